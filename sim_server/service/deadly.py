"""Scenes that end workers, as files that crash a simulator's own code do.

A scene is deadly if a request about it was quarantined before any other was answered. Without this, every further
request about it would end as many workers as the first one.
"""

from __future__ import annotations

from collections import OrderedDict

MAX_REMEMBERED = 4096


class DeadlyScenes:
    """Scenes by name; the oldest are forgotten."""

    def __init__(self) -> None:
        self._answered: OrderedDict[str, None] = OrderedDict()
        self._deadly: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, scene: str) -> bool:
        return scene in self._deadly

    def answered(self, scene: str) -> None:
        """Record that a worker has answered a request about the scene, and so can open it."""
        _remember(self._answered, scene)

    def quarantined(self, scene: str) -> None:
        """Record that a request about the scene ended too many workers."""
        if scene and scene not in self._answered:
            _remember(self._deadly, scene)


def _remember(scenes: OrderedDict[str, None], scene: str) -> None:
    scenes[scene] = None
    scenes.move_to_end(scene)
    while len(scenes) > MAX_REMEMBERED:
        scenes.popitem(last=False)
