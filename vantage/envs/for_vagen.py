"""Questions in the form of VAGEN's environments: async reset and step, observations with <image> placeholders.

env_registry:                                  # in VAGEN's registry of environments
  Vantage: vantage.envs.for_vagen.QuestionEnv

env_config: {config: demo, run: runs/vagen, questions: train}
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any, ClassVar, Optional

from protocol.answers.prompt import read_move
from protocol.errors import VantageError
from vantage.envs.pool import Pool, open_pool
from vantage.envs.questions import OpenQuestion, RgbImage, Walk, pil

IMAGE = "<image>"
CURRICULUM = "curriculum"
_SYSTEM = "You see one or more views of a home. Answer the question about them."


class QuestionEnv:
    """A question per episode. `seed` names the question, so that the answers of a group share it.

    `env_config`: config, run and sets as in open_pool; questions, "train" or "held-out". A live curriculum needs one
    process that leases and groups of answers with one lease, which this form does not carry: its seeds are drawn by the
    trainer.
    """

    _pools: ClassVar[dict[tuple[str, str], Pool]] = {}
    _guard: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, env_config: dict[str, Any]) -> None:
        self.config = env_config
        self._question: Optional[OpenQuestion] = None
        self._walk: Optional[Walk] = None

    async def system_prompt(self) -> dict[str, Any]:
        return {"obs_str": _SYSTEM}

    async def reset(self, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
        self._question = await asyncio.to_thread(self._ask, seed)
        self._walk = self._question.walk()
        text = self._question.prompt("letters", self._walk.look if self._question.moves else None)
        observation = _observation(self._question.parts("letters", text))
        return observation, {"question": self._question.ticket.number, "skill": self._question.question.skill}

    async def step(self, action_str: str) -> tuple[dict[str, Any], float, bool, dict[str, Any]]:
        """A move or the answer. Raises VantageError("bad_request") before `reset` and after the answer."""
        if self._question is None or self._walk is None:
            raise VantageError("bad_request", "reset the environment before a step.")
        if self._walk.left and (move := read_move(action_str)):
            seen = await asyncio.to_thread(self._walk.move, move)
            left = f"{self._walk.left} more moves, or answer." if self._walk.left else "Answer the question now."
            text = f"{'The way is blocked. ' if seen.blocked else ''}{left}"
            return _observation([seen.image, text]), 0.0, False, {"success": False}
        question, self._question = self._question, None
        reward = question.answer(action_str)
        return {"obs_str": "The episode is over."}, reward.accuracy, True, {"success": reward.accuracy == 1.0}

    async def close(self) -> None:
        """The pool stays open for the other environments of the process and closes with it."""

    def _ask(self, seed: int) -> OpenQuestion:
        config = self.config
        key = (str(config.get("config")), str(config.get("run")))
        with self._guard:
            if key not in self._pools:
                self._pools[key] = open_pool(config.get("config"), config.get("run"), sets=config.get("sets", ()))
            pool = self._pools[key]
        return pool.open_split(config.get("questions", "train")).question(seed)


def _observation(parts: list[str | RgbImage]) -> dict[str, Any]:
    images = [pil(part) for part in parts if not isinstance(part, str)]
    text = "".join(part.replace(IMAGE, "") if isinstance(part, str) else IMAGE for part in parts)
    return {"obs_str": text, "multi_modal_input": {IMAGE: images}} if images else {"obs_str": text}
