"""A bounded least-recently-used cache of open scenes, and the keys of scenes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from contextlib import nullcontext
from typing import Callable, ContextManager

import msgspec

from protocol.tasks.scene import SceneSpec
from sim_server.backends.base import Backend, Scene


def scene_key(spec: SceneSpec) -> str:
    """A key that is equal for equal specs and readable in a status table: seed or asset, and a digest of the spec."""
    digest = hashlib.blake2b(msgspec.msgpack.encode(spec), digest_size=6).hexdigest()
    return f"{spec.asset or spec.seed}-{digest}"


class WarmScenes:
    """Opens scenes of one backend and keeps the `bound` most recently used ones open."""

    def __init__(self, backend: Backend, bound: int, loading: Callable[[], ContextManager[None]] = nullcontext) -> None:
        """`loading()` is entered while a scene is being opened, which can be slow."""
        self._backend = backend
        self._bound = bound
        self._loading = loading
        self._scenes: OrderedDict[SceneSpec, Scene] = OrderedDict()
        self.loads = 0  # scenes opened so far

    def get(self, spec: SceneSpec) -> Scene:
        """The open scene of a spec. Raises what the backend raises."""
        scene = self._scenes.pop(spec, None)
        if scene is None:
            while len(self._scenes) >= self._bound:
                self._scenes.popitem(last=False)[1].close()
            with self._loading():
                scene = self._backend.open(spec)
            self.loads += 1
        self._scenes[spec] = scene
        return scene

    def close(self) -> None:
        while self._scenes:
            self._scenes.popitem()[1].close()
