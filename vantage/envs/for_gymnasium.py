"""Questions as a Gymnasium environment: an episode is a question, actions are texts.

    import gymnasium, vantage.envs.for_gymnasium
    env = gymnasium.make("Vantage-v0", config="demo")
    observation, info = env.reset(seed=1)           # observation["prompt"], ["images"], ["views"]
    observation, reward, terminated, truncated, info = env.step("A")

A text that is a move, such as "turn left", looks around if moves are left; any other text is the answer and ends the
episode. `render` returns the last view.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import string
from typing import Any, Optional, Sequence, Union

import numpy as np
from numpy.typing import NDArray

from protocol.answers.prompt import Style, read_move
from protocol.errors import VantageError
from protocol.skills import CATALOGUE
from protocol.tasks.specs import cells_of, worlds_of
from vantage.envs.pool import Pool, open_pool
from vantage.envs.questions import OpenQuestion, Walk
from vantage.envs.versions import need
from vantage.question import Config

need("gymnasium", (1, 0), "gymnasium")

import gymnasium  # noqa: E402 - after the check of the version
from gymnasium import spaces  # noqa: E402

CURRICULUM = "curriculum"
_LONGEST_PROMPT = 4096
_LONGEST_ACTION = 1024
_QUESTIONS = 2**31  # numbers from which seeds draw


class QuestionEnv(gymnasium.Env):
    """One question per episode; the reward, 0 to 1, comes with the answer.

    Observations: prompt, a text; images, uint8 [M, H, W, 3] with the M images that a question may have at most, zero
    after the last one; views, the number of images.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self,
        config: Union[Config, Sequence[Config], None] = None,
        run: Optional[str] = None,
        questions: str = "train",
        *,
        pool: Optional[Pool] = None,
        style: Style = "letters",
        render_mode: Optional[str] = "rgb_array",
    ) -> None:
        """`questions`: "train" or "held-out", in which a seed names a question, or "curriculum", in which it does not.

        `config` and `run` are those of `open_pool`; `pool` is one that is open already and stays open. Raises
        VantageError("bad_config") if images differ in size.
        """
        self.render_mode = render_mode
        self._style: Style = style
        self._pool = pool or open_pool(config, run)
        self._owned = pool is None
        try:
            tree = self._pool.run.config
            worlds = worlds_of(tree).values()
            shapes = {shape for world in worlds for shape in world.image_shapes}
            if len(shapes) > 1:
                raise VantageError(
                    "bad_config",
                    "Gymnasium needs images of one size: leave landscape or portrait cameras out of "
                    "curriculum.world.cameras.",
                )
            self._split = None if questions == CURRICULUM else self._pool.open_split(questions)
        except BaseException:
            self.close()
            raise
        views = max(CATALOGUE[skill].view_budget for skill, _ in cells_of(tree)) + max(
            world.look_around for world in worlds
        )
        (shape,) = shapes
        self.observation_space = spaces.Dict(
            {
                "prompt": spaces.Text(_LONGEST_PROMPT, min_length=0, charset=string.printable),
                "images": spaces.Box(0, 255, (views, *shape, 3), np.uint8),
                "views": spaces.Discrete(views + 1),
            }
        )
        self.action_space = spaces.Text(_LONGEST_ACTION, min_length=0, charset=string.printable)
        self._question: Optional[OpenQuestion] = None
        self._walk: Optional[Walk] = None
        self._images: list[NDArray[np.uint8]] = []

    def reset(
        self, *, seed: Optional[int] = None, options: Optional[dict[str, Any]] = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        if self._split is None:
            self._question = self._pool.ask()
        else:
            self._question = self._split.question(int(self.np_random.integers(_QUESTIONS)))
        self._images = list(self._question.images)
        self._walk = self._question.walk()
        return self._observed(), {"question": self._question.ticket.number, "skill": self._question.question.skill}

    def step(self, action: str) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """A move or the answer. Raises VantageError("bad_request") before `reset` and after the answer."""
        if self._question is None or self._walk is None:
            raise VantageError("bad_request", "reset the environment before a step.")
        if self._walk.left and (move := read_move(action)):
            seen = self._walk.move(move)
            self._images.append(seen.image)
            return self._observed(), 0.0, False, False, {"blocked": seen.blocked}
        question, self._question = self._question, None
        reward = question.answer(action, self._style)
        info = {"readable": reward.readable, "answer": question.question.answer, "program": question.question.program}
        return self._observed(question), 0.0 if question.ticket.blind else reward.accuracy, True, False, info

    def render(self) -> Optional[NDArray[np.uint8]]:  # type: ignore[override]
        return self._images[-1] if self._images else None

    def close(self) -> None:
        if self._owned:
            self._pool.close()

    def _observed(self, question: Optional[OpenQuestion] = None) -> dict[str, Any]:
        asked = question or self._question
        assert asked is not None and self._walk is not None
        space = self.observation_space["images"]  # type: ignore[index]
        images = np.zeros(space.shape, np.uint8)
        for index, image in enumerate(self._images):
            images[index] = image
        look = self._walk.look if asked.moves else None
        prompt = asked.prompt(self._style, look)[:_LONGEST_PROMPT]
        return {"prompt": prompt, "images": images, "views": np.int64(len(self._images))}


gymnasium.register(id="Vantage-v0", entry_point="vantage.envs.for_gymnasium:QuestionEnv", order_enforce=False)
