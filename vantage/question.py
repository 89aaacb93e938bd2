"""Questions with their images, the prompt for a policy, and the score of a reply."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Iterator, Sequence, Union

import numpy as np
from numpy.typing import NDArray

from protocol.answers.prompt import Reading, Style, read_answer, write_answer, write_prompt
from protocol.answers.scoring import Reward
from protocol.answers.scoring import score as score_answer
from protocol.errors import Infeasible
from protocol.run.config import load, section
from protocol.tasks import task
from protocol.tasks.specs import cells_of, world_of
from sim_server.backends.registry import make_backend
from sim_server.dataset.plan import Plan, Specs
from sim_server.service.scenes import WarmScenes
from sim_server.settings import SimSettings
from vantage.config_files import DEFAULT, config_path
from vantage.numbered import check_split

if TYPE_CHECKING:
    from sim_server.backends.base import Scene

Config = Union[str, os.PathLike[str]]
_WARM_SCENES = 2


@dataclass(frozen=True, eq=False)
class Question:
    """A question about rendered views.

    text: an English sentence. rule: the convention under which it is answered, which `prompt` states after the text.
    answer: canonical text, that is one of `options` for a choice, a decimal in `unit` for a number, items joined by
    ", " for a sequence, JSON for a map. images: one uint8 [H, W, 3] sRGB array per view. program: the expression that
    derives the answer from the scene. spec: the order that reproduces this question.
    asked: the question as services exchange it.
    """

    skill: str
    level: int
    text: str
    rule: str
    options: tuple[str, ...]
    answer: str
    answer_type: str
    unit: str
    images: tuple[NDArray[np.uint8], ...] = field(repr=False)
    program: str
    spec: task.TaskSpec = field(repr=False)
    asked: task.Question = field(repr=False)

    def prompt(self, style: Style = "letters") -> str:
        """The text for a policy: with the rule and lettered options ("letters"), or as words and options ("words").

        "reason" is "letters" with reasoning before the answer, in tags.
        """
        return write_prompt(self.asked, style)

    def completion(self, style: Style = "letters") -> str:
        """The right reply to `prompt`."""
        return write_answer(self.asked, style)

    def score(self, reply: str, style: Style = "letters", reading: Reading = "lenient") -> Reward:
        """Score a reply to `prompt`: `accuracy` is 0 to 1, `readable` is False if the reply is not one clear answer.

        The same rule gives the learner's rewards: a choice must be exactly one option, a number is scored by mean
        relative accuracy, a sequence by pairs in order, a map by cells under the best quarter turn. A "lenient" reading
        accepts "The answer is B." and "150 cm", a "strict" one only the form that the prompt asks for.
        """
        return score_answer(self.asked, read_answer(self.asked, reply, style, reading))


def questions(
    config: Union[Config, Sequence[Config]] = DEFAULT,
    split: str = "train",
    n: int = 100,
    *,
    seed: int = 0,
    sets: Sequence[str] = (),
) -> Iterator[Question]:
    """Iterate over the questions of a configuration's skills in its world, at most `n`.

    `config`: the name of a shipped configuration or a path, or several, of which later ones override earlier ones.
    `split`: "train" or "held-out", which never share a scene. `sets`: settings such as "curriculum.world.width_px=256".
    The questions are those of `sim-server generate` with the same configuration, n, seed and split; infeasible specs
    are skipped. Raises VantageError: "bad_config", or "bad_request" for another split.
    """
    named = check_split(split)
    given = [config] if isinstance(config, (str, os.PathLike)) else list(config)
    tree = load([config_path(one) for one in given], sets)
    world = world_of(tree).model_copy(update={"look_around": 0})  # the images must suffice
    plan = Plan(n, seed, named, tuple(cells_of(tree)), world.model_dump(mode="json"))
    return _realise_all(Specs(plan), n, section(tree, "sim", SimSettings))


def _realise_all(specs: Specs, n: int, settings: SimSettings) -> Iterator[Question]:
    backend = make_backend(settings.backend, settings)
    scenes = WarmScenes(backend, _WARM_SCENES)
    try:
        for number in range(n):
            spec = specs[number]
            try:
                question = realise_question(scenes.get(spec.scene), spec)
            except Infeasible:
                continue
            yield question
    finally:
        scenes.close()
        backend.close()


def realise_question(scene: Scene, spec: task.TaskSpec) -> Question:
    """Realise a spec in its open scene. Raises VantageError as sim_server.questions.realise does."""
    from sim_server.questions.realise import realise  # brings numba

    realised = realise(scene, spec)
    asked = realised.question
    assert realised.frames.rgb is not None
    return Question(
        skill=asked.skill,
        level=asked.level,
        text=asked.text,
        rule=asked.rule,
        options=asked.options,
        answer=asked.answer,
        answer_type=asked.answer_type,
        unit=asked.unit,
        images=tuple(realised.frames.rgb),
        program=asked.program,
        spec=spec,
        asked=asked,
    )
