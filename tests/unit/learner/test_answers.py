"""Looking around before answering: prompts, views, sharing between answers, and failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional, Sequence

import numpy as np
import pytest

from learner.rollouts.answerer import Answerer
from learner.rollouts.base import Completion, Prompt, Rollout, Sampling
from learner.rollouts.group import Group
from learner.settings import StreamSettings
from learner.stream.episodes import Task, task_from
from protocol.answers.prompt import MOVES, STYLES, Look, Moved, Style, read_move, write_prompt
from protocol.errors import VantageError
from protocol.tasks.scene import SceneSpec
from protocol.tasks.task import ACTIONS, Degradation, QuestionSpec, TaskSpec
from protocol.wire.messages import Observe, RenderTask
from tests.support.learner import END, Channel, Encoder, question, simulator

Script = Callable[[Prompt, int], str]


class Scripted:
    """Engine that answers script(prompt, sample) and records its calls."""

    name = "scripted"
    live = True

    def __init__(self, script: Script) -> None:
        self._script = script
        self.calls: list[tuple[list[Prompt], int, Sampling]] = []

    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> list[Rollout]:
        self.calls.append((list(prompts), n, sampling))
        return [
            Rollout(prompt, (1,), tuple(_completion(self._script(prompt, sample)) for sample in range(n)), -0.5)
            for prompt in prompts
        ]

    def load_adapter(self, name: str, path: Path) -> None: ...

    def close(self) -> None: ...


def _completion(text: str) -> Completion:
    finished = not text.endswith("-")  # a dash marks a truncated completion
    return Completion((7, END), (-0.1, -0.2), text.removesuffix("-"), finished)


def task(seq: int = 1, look_around: int = 3, degradations: tuple[Degradation, ...] = ()) -> Task:
    scene, asked = SceneSpec(seed=seq), QuestionSpec("view_direction")
    spec = TaskSpec(f"s{seq}", 4, seq, scene, asked, look_around=look_around, degradations=degradations)
    return task_from(Channel(simulator()).request(RenderTask(spec)), spec, "raw")


class Looks:
    """Answers tasks by a script and records the Observe messages."""

    def __init__(self, script: Script, fails: Callable[[Observe], Optional[VantageError]] = lambda _: None) -> None:
        self.engine = Scripted(script)
        self.observed: list[Observe] = []
        self._fails = fails
        self.answerer = Answerer(
            self.engine,
            Encoder(),  # type: ignore[arg-type]
            "words",
            Channel(simulator(fail_observe=self._record)),
            StreamSettings(),
        )

    def _record(self, message: Observe) -> Optional[VantageError]:
        self.observed.append(message)
        return self._fails(message)

    def __call__(
        self, tasks: Sequence[Task], n: int = 4, sampling: Optional[Sampling] = None, blind: Sequence[bool] = ()
    ) -> list[Any]:
        return self.answerer.answer(tasks, n, sampling or Sampling(), blind)


def texts(group: Group) -> list[list[str]]:
    return [[turn.completion.text for turn in group.turns(sample)] for sample in range(len(group.last))]


def always(text: str) -> Script:
    return lambda _prompt, _sample: text


def test_without_a_budget_prompts_offer_no_moves_and_a_move_is_an_answer() -> None:
    looks = Looks(always("turn left"))
    (group,) = looks([task(look_around=0)])
    ((prompts, n, _),) = looks.engine.calls
    assert n == 4 and prompts[0].text == write_prompt(question(), "words")
    assert not looks.observed and texts(group) == [["turn left"]] * 4


def test_each_move_adds_a_view_and_the_last_turn_offers_no_moves() -> None:
    looks = Looks(always("turn left"))
    (group,) = looks([task(look_around=3)], n=1)
    assert texts(group) == [["turn left"] * 4]  # three moves, then an answer
    prompts = [turn.prompt for turn in group.turns(0)]
    assert [len(prompt.images) for prompt in prompts] == [1, 2, 3, 4]
    assert [int(image[0, 0, 0]) for image in prompts[-1].images[1:]] == [1, 2, 3]  # views in the order of the moves
    assert "3 moves" in prompts[0].text and "1 moves" in prompts[2].text and "first you have" not in prompts[3].text
    assert prompts[3].text.count("turn left") == 3
    starts = [message.pose.position_m[1] for message in looks.observed]
    assert starts == [0, 1, 2]  # each move starts where the last one ended


def test_answers_with_the_same_moves_share_prompt_and_views() -> None:
    script = ["turn left", "turn left", "look up", "left"]
    looks = Looks(lambda prompt, sample: script[sample] if len(prompt.images) == 1 else "right")
    (group,) = looks([task()])
    assert texts(group) == [["turn left", "right"], ["turn left", "right"], ["look up", "right"], ["left"]]
    assert sorted(message.action for message in looks.observed) == ["look_up", "turn_left"]
    assert sorted((len(prompts), n) for prompts, n, _ in looks.engine.calls[1:]) == [(1, 1), (1, 2)]
    first, second = group.last[:2]
    assert first.prompt is second.prompt


def test_blocked_moves_are_marked_in_the_prompt() -> None:
    looks = Looks(lambda prompt, _: "move forward" if len(prompt.images) == 1 else "left")
    (group,) = looks([task()], n=1)
    assert "move forward not" in group.last[0].prompt.text


def test_observed_views_are_degraded_like_the_episode() -> None:
    degradations = (Degradation("noise", 2),)
    looks = Looks(always("look up"))
    looks([task(9, 2, degradations)], n=1)
    observed = [(message.degradations, message.run_seed, message.seq, message.index) for message in looks.observed]
    assert observed == [(degradations, 4, 9, 1), (degradations, 4, 9, 2)]


def test_blind_questions_offer_no_moves() -> None:
    looks = Looks(always("turn left"))
    looks([task()], blind=[True])
    ((prompts, _, _),) = looks.engine.calls
    assert prompts[0].images == () and "moves" not in prompts[0].text and not looks.observed


def test_the_first_answer_stays_greedy_in_later_turns() -> None:
    looks = Looks(lambda prompt, _: "turn left" if len(prompt.images) == 1 else "left")
    looks([task()], n=3, sampling=Sampling(0.7, 3, 0, greedy_first=True))
    later = {(n, sampling.temperature, sampling.greedy_first) for _, n, sampling in looks.engine.calls[1:]}
    assert later == {(1, 0.0, False), (2, 0.7, False)}


def test_turns_are_sampled_with_different_seeds() -> None:
    looks = Looks(always("turn left"))
    looks([task()])
    seeds = [sampling.seed for _, _, sampling in looks.engine.calls]
    assert len(set(seeds)) == len(seeds)
    again = Looks(always("turn left"))
    again([task()])
    assert [sampling.seed for _, _, sampling in again.engine.calls] == seeds


def test_a_truncated_move_is_not_a_move() -> None:
    looks = Looks(always("turn left-"))
    (group,) = looks([task()], n=1)
    assert not looks.observed and not group.last[0].completion.finished


def test_a_failed_view_affects_its_task_only() -> None:
    broken = Looks(
        lambda prompt, _: "turn left" if len(prompt.images) == 1 else "left",
        lambda message: VantageError("poison", "it killed three workers") if message.seq == 2 else None,
    )
    first, second, third = broken([task(1), task(2), task(3)])
    assert isinstance(second, VantageError) and second.code == "poison"
    assert len(first.turns(0)) == len(third.turns(0)) == 2


@pytest.mark.parametrize("style", STYLES)
def test_every_offered_move_is_read_and_options_are_not(style: Style) -> None:
    text = write_prompt(question(), style, Look(2, (Moved("forward", True), Moved("look_up"))))
    assert set(MOVES.values()) == set(ACTIONS)
    for words, action in MOVES.items():
        assert words in text
        for form in (words, f" {words.upper()} .", words.title()):
            assert read_move(form) == action
    for other in ("left", "right", "turn", "turn left turn left", "turn left, left", "", "A", "forward left"):
        assert read_move(other) == ""


@pytest.mark.parametrize("left", [1, 2, 0])
def test_letters_style_states_the_remaining_moves(left: int) -> None:
    text = write_prompt(question(), "letters", Look(left, (Moved("turn_left"), Moved("forward", True))))
    assert "turn left, move forward (blocked)." in text
    assert ("more move" in text) == (left > 0)
    assert np.array(left == 1) == ("(1 more move)" in text)
