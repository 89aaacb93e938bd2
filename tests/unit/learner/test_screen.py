"""Which candidates are chosen, how the others are reported, and which questions come back."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from learner.policy.checkpoints import Facts, ReplayFacts
from learner.rollouts.base import Prompt
from learner.settings import GrpoSettings, ReplaySettings, ScreenSettings, StreamSettings
from learner.stream.episodes import Task
from learner.stream.replay import Replay
from learner.stream.screen import (
    CELL_FULL,
    DUPLICATE,
    INFORMATIVE,
    ONE_SIDED,
    SAME_VIEWS,
    Candidate,
    Confidence,
    choose,
    rank,
)
from protocol.errors import VantageError
from protocol.run.directory import read_jsonl
from protocol.tasks.scene import SceneSpec
from protocol.tasks.task import Episode, Mention, QuestionSpec, TaskSpec
from tests.support.learner import Channel, Curriculum, question, simulator
from tests.support.loop import Loop

IMAGE = np.zeros((96, 96, 3), np.uint8)


def task(number: int, level: int = 0, scene: int = -1, object_id: int = 1) -> Task:
    spec = TaskSpec(
        f"s{number}", seq=number, scene=SceneSpec(seed=number if scene < 0 else scene),
        question=QuestionSpec("view_direction", level),
    )  # fmt: skip
    answer = f"chair {scene}" if scene >= 0 else f"chair {number}"
    asked = msgspec.structs.replace(question(answer), mentions=(Mention(object_id, 0, 2),))
    return Task(spec, asked, (IMAGE,))


def known(p: float) -> Confidence:
    return Confidence(p, p**0.5, p, p * (1 - p))


def chosen(
    tasks: list[Task], confidences: list[float], count: int, **settings: Any
) -> tuple[list[int], dict[int, str]]:
    candidates = rank([(task, known(p)) for task, p in zip(tasks, confidences)])
    found = choose(candidates, count, ScreenSettings(**settings), np.random.default_rng(0))
    return sorted(found.chosen), found.left_out


def test_the_largest_variance_is_chosen() -> None:
    tasks = [task(number, level=number % 5) for number in range(8)]
    picked, left_out = chosen(tasks, [0.01, 0.5, 0.99, 0.6, 0.2, 0.0, 1.0, 0.4], 3, largest_share=1.0)
    assert picked == [1, 3, 7]
    assert set(left_out.values()) == {INFORMATIVE}


def test_a_cell_is_bounded_unless_there_is_nothing_else() -> None:
    tasks = [task(number, level=0 if number < 8 else 1) for number in range(10)]
    confidences = [0.5] * 8 + [0.9] * 2
    picked, left_out = chosen(tasks, confidences, 4, largest_share=0.5)
    assert len([index for index in picked if index < 8]) == 2 and set(picked) >= {8, 9}
    assert set(left_out.values()) == {CELL_FULL}
    picked, _ = chosen(tasks, confidences, 8, largest_share=0.3)
    assert len(picked) == 8


def test_near_duplicates_are_left_out() -> None:
    tasks = [task(0, scene=3), task(1, scene=3), task(2, scene=3, object_id=2), task(3, scene=4)]
    picked, left_out = chosen(tasks, [0.5, 0.5, 0.6, 0.6], 3, largest_share=1.0)
    assert len(picked) == 3 and set(picked) >= {2, 3}
    assert list(left_out.values()) == [DUPLICATE]


def test_a_share_is_drawn_at_random_whatever_the_confidence() -> None:
    tasks = [task(number, level=number % 5) for number in range(40)]
    sure = 0
    for seed in range(50):
        candidates = rank([(one, known(0.5 if number < 20 else 1.0)) for number, one in enumerate(tasks)])
        settings = ScreenSettings(unranked_share=0.25, largest_share=1.0)
        found = choose(candidates, 8, settings, np.random.default_rng(seed))
        sure += sum(index >= 20 for index in found.chosen)
    assert 30 < sure < 70  # two of eight are drawn from all candidates, half of which are sure


def test_no_answer_has_more_than_half_of_the_questions_of_its_skill() -> None:
    def two_sided(answer: str, number: int) -> Candidate:
        return Candidate(("depth_order", number % 2), number, 0.25 - number / 1000, f"s{number}", answer)

    biased = [two_sided("farther", number) for number in range(6)] + [two_sided("nearer", number) for number in (6, 7)]
    settings, rng = ScreenSettings(largest_share=1.0), np.random.default_rng(0)
    found = choose(biased, 4, settings, rng)
    assert sorted(biased[index].answer for index in found.chosen) == ["farther", "farther", "nearer", "nearer"]
    found = choose(biased, 2, settings, rng, [("depth_order", "farther")] * 2 + [("view_direction", "left")])
    assert [biased[index].answer for index in found.chosen] == ["nearer", "nearer"]
    assert ONE_SIDED in found.left_out.values()


def test_questions_of_which_several_answers_score_share_the_variance_of_their_cell() -> None:
    numbers = [task(number, level=number % 2) for number in range(4)]
    numbers = [replace(one, question=msgspec.structs.replace(one.question, answer_type="number")) for one in numbers]
    variances = [0.2, 0.0, 0.0, 0.1]
    pairs = [(one, Confidence(0.0, 0.5, 0.4, variance)) for one, variance in zip(numbers, variances)]
    assert [one.variance for one in rank([*pairs, (task(9), known(0.4))])] == pytest.approx(
        [0.1, 0.05, 0.1, 0.05, 0.24]
    )


def confident(prompt: Prompt) -> float:
    """Questions whose true answer is left are uncertain, the others sure."""
    return 0.5 if prompt.images[0][0, 0, 0] else 0.999


def test_screened_candidates_are_evidence_and_no_answers(tmp_path: Path) -> None:
    loop = Loop(
        tmp_path, lambda _: 2, stream=StreamSettings(in_flight=8, ahead=64),
        grpo=GrpoSettings(groups=4, samples=4, objective="grpo+truth"),
        screen=ScreenSettings(candidates=4, largest_share=1.0),
    )  # fmt: skip
    loop.engine.confidence = confident
    assert len(loop.collector.collect(0)) == 4
    reports = loop.reports()
    outcomes = Counter(report.outcome for report in reports)
    counts = loop.collector.counts
    assert outcomes["screened"] == counts.screened == 3 * outcomes["answered"]
    assert counts.candidates == len(reports) == len({report.report_id for report in reports})
    assert sum(counts.left_out.values()) == counts.screened
    answered = Counter(int(report.spec_id[1:]) % 2 for report in reports if report.outcome == "answered")
    assert answered == {1: 2, 0: 2}  # the policy is uncertain where the answer is left: half of the questions
    for report in reports:
        if report.outcome == "answered":
            assert report.truth_probability == pytest.approx(0.5 if int(report.spec_id[1:]) % 2 else 0.999)
        else:
            assert report.rewards == () and report.reason
            assert report.success_rate == pytest.approx(report.truth_probability)
            assert report.truth_likelihood == pytest.approx(report.truth_probability**0.5)
    assert len(loop.engine.prompts) == outcomes["answered"]  # nothing was sampled for the others


def test_at_most_one_question_about_a_view_is_chosen() -> None:
    tasks = [one for number in range(4) for one in replace(task(number), others=(question(),) * 2).candidates]
    for unranked in (0.0, 1.0):
        settings = {"largest_share": 0.3, "unranked_share": unranked}
        picked, left_out = chosen(tasks, [0.5, 0.5, 0.5, *[0.9] * 9], 4, **settings)
        assert sorted(index // 3 for index in picked) == [0, 1, 2, 3]
        assert Counter(left_out.values())[SAME_VIEWS] >= 2
    picked, _ = chosen(tasks[:6], [0.5] * 6, 4)
    assert len(picked) == 2


def shared(folder: Path, **settings: Any) -> Loop:
    """A loop with 4 candidates per question, two of them about each view; the policy is unsure of the second one."""
    loop = Loop(
        folder, lambda _: 2, stream=StreamSettings(in_flight=8, ahead=64),
        grpo=GrpoSettings(groups=4, samples=4, objective="grpo+truth"),
        screen=ScreenSettings(candidates=4, per_view=2, largest_share=1.0), **settings,
    )  # fmt: skip
    loop.engine.confidence = lambda prompt: 0.5 if prompt.text.endswith("1") else 0.9
    return loop


def test_candidates_share_views_and_each_spec_has_one_report_with_all_of_them(tmp_path: Path) -> None:
    loop = shared(tmp_path)
    assert len(loop.collector.collect(0)) == 4
    counts, reports = loop.collector.counts, loop.reports()
    assert counts.candidates == 16 and len(reports) == len({report.report_id for report in reports}) == 8
    assert Counter(report.outcome for report in reports) == {"answered": 4, "screened": 4}
    assert counts.screened == sum(counts.left_out.values()) == 12 and counts.left_out[SAME_VIEWS] == 4
    for report in reports:
        assert report.candidates == pytest.approx((0.9, 0.5))
        assert report.candidate_variance == pytest.approx((0.09 + 0.25) / 2)
        if report.outcome == "answered":
            assert report.truth_probability == pytest.approx(0.5)
        else:
            assert report.success_rate == report.truth_probability == pytest.approx(0.7)
    records, _ = read_jsonl(loop.folder / "episodes.jsonl")
    assert [record["index"] for record in records] == [1] * 4
    assert [record["question"] for record in records] == [prompt.text for prompt in loop.engine.prompts]


def test_specs_are_taken_until_there_are_enough_candidates(tmp_path: Path) -> None:
    """The simulator does not find another question about each view."""

    def fewer(episode: Episode) -> Episode:
        return episode if int(episode.spec_id[1:]) % 4 else msgspec.structs.replace(episode, others=())

    loop = shared(tmp_path, change=fewer)
    loop.collector.collect(0)
    assert loop.collector.counts.candidates >= 16
    assert len(loop.reports()) in (9, 10)
    assert {len(report.candidates) for report in loop.reports()} == {0, 2}


def test_one_question_is_requested_about_the_views_of_a_blind_spec(tmp_path: Path) -> None:
    loop = shared(tmp_path, curriculum=Curriculum(blind_every=3))
    loop.collector.collect(0)
    blind = [report for report in loop.reports() if report.blind]
    assert blind and all(report.candidates == () for report in blind)
    assert {len(report.candidates) for report in loop.reports() if not report.blind} == {2}


def test_blind_questions_are_not_screened(tmp_path: Path) -> None:
    loop = Loop(
        tmp_path, lambda _: 2, curriculum=Curriculum(blind_every=3), stream=StreamSettings(in_flight=8, ahead=64),
        grpo=GrpoSettings(groups=4, samples=4), screen=ScreenSettings(candidates=4),
    )  # fmt: skip
    loop.collector.collect(0)
    assert all(prompt.images for prompt in loop.engine.scored)
    assert {report.outcome for report in loop.reports() if report.blind} == {"answered"}


def test_a_policy_that_looks_around_is_screened_by_sampled_answers(tmp_path: Path) -> None:
    def fail(message: Any) -> Any:
        return VantageError("poison", "it killed three workers") if message.seq == 3 else None

    loop = Loop(
        tmp_path, lambda _: 2, curriculum=Curriculum(look_around=1), fail_observe=fail,
        grpo=GrpoSettings(groups=2, samples=4), screen=ScreenSettings(candidates=3, samples=4),
    )  # fmt: skip
    loop.engine.words = ("turn left", "left")
    loop.collector.collect(0)
    reports = {report.spec_id: report for report in loop.reports()}
    assert reports["s00003"].outcome == "broken"
    assert all(len(one.rewards) == 4 for one in reports.values() if one.outcome == "screened")


# ----------------------------------------------------------------------------- replay


def test_questions_come_back_a_bounded_number_of_times(tmp_path: Path) -> None:
    loop = Loop(
        tmp_path, lambda _: 2, grpo=GrpoSettings(groups=8, samples=4, replacements=0.0),
        replay=ReplaySettings(share=0.75, uses=3, gap_steps=2),
    )  # fmt: skip
    used: Counter[bytes] = Counter()
    last: dict[int, int] = {}
    for step in range(12):
        for group in loop.collector.collect(step):
            key = id(group.prompt.images[0])
            used[key] += 1
            assert step - last.get(key, -9) >= 2
            last[key] = step
        assert loop.collector.counts.replayed <= 6
    assert max(used.values()) == 3
    reports = loop.reports()
    assert len({report.spec_id for report in reports}) == len(reports) < sum(used.values())
    assert loop.collector.replay.used_up > 0


def test_a_question_is_retired_when_the_policy_is_sure_not_when_a_few_samples_are_right(tmp_path: Path) -> None:
    loop = Loop(
        tmp_path, lambda _: 4, grpo=GrpoSettings(groups=8, samples=4, objective="truth"),
        replay=ReplaySettings(share=0.5, gap_steps=1),
    )  # fmt: skip
    loop.collector.collect(0)  # all samples are "left", which is right for half of the specs, but p is 1/2
    assert (loop.collector.replay.retired, len(loop.collector.replay)) == (0, 8)
    assert loop.collector.counts.asked == loop.collector.counts.kept == 8  # every group teaches: none to replace
    loop.engine.confidence = lambda _: 0.99
    loop.collector.collect(1)
    assert (loop.collector.replay.retired, len(loop.collector.replay)) == (8, 4)
    assert loop.collector.counts.replayed == 4
    assert loop.collector.counts.before_replay == pytest.approx(4 * 0.5)
    assert loop.collector.counts.after_replay == pytest.approx(4 * 0.99)


def test_memory_is_bounded_and_the_oldest_leave_first() -> None:
    replay = Replay(ReplaySettings(share=0.5, most=10), Channel(simulator()), StreamSettings())
    for number in range(30):
        replay.note(task(number), 0, 0.5)
    assert [facts.spec.seq for facts in replay.facts()] == list(range(20, 30))


def test_a_checkpoint_holds_the_questions_and_a_resumed_run_renders_them_again() -> None:
    settings = ReplaySettings(share=0.9, gap_steps=1)
    before = Replay(settings, Channel(simulator()), StreamSettings())
    for number in range(40):
        before.note(task(number), 7, number / 50)
    manifest = msgspec.json.encode({"step": 7, "loop_s": 1.0, "replay": before.facts()})
    facts = msgspec.json.decode(manifest, type=Facts)

    def gone(spec: TaskSpec) -> Any:
        return VantageError("infeasible", "the renderer has changed") if spec.seq == 5 else None

    after = Replay(settings, Channel(simulator(fail_render=gone)), StreamSettings())
    after.restore(facts.replay)
    assert after.facts() == list(facts.replay)  # a kill before they are rendered loses none
    for _ in range(4):
        drawn = after.draw(100, 8, np.random.default_rng(0))
    assert len(drawn) == len(after) == 39
    again = next(one for one in drawn if one.spec.seq == 9)
    assert again.images[0].shape == (96, 96, 3) and after.success(again) == pytest.approx(9 / 50)
    assert sorted(after.facts(), key=lambda one: one.spec.seq) == [one for one in facts.replay if one.spec.seq != 5]


def test_a_question_comes_back_with_its_number(tmp_path: Path) -> None:
    loop = shared(tmp_path, replay=ReplaySettings(share=0.75, gap_steps=1))
    loop.collector.collect(0)
    facts = msgspec.json.decode(msgspec.json.encode(loop.collector.replay.facts()), type=list[ReplayFacts])
    assert [one.index for one in facts] == [1] * 4
    facts.append(ReplayFacts(task(99).spec, 1, 0, 0.5, index=2))
    gone = ReplayFacts(task(98).spec, 1, 0, 0.5, index=3)

    def fewer(episode: Episode) -> Episode:
        return msgspec.structs.replace(episode, others=episode.others[:2])

    again = Replay(ReplaySettings(share=0.9), Channel(simulator(change=fewer)), StreamSettings())
    again.restore([*facts, gone])
    for _ in range(2):
        drawn = again.draw(100, 8, np.random.default_rng(0))
    assert {one.spec.spec_id: one.question.text[-1] for one in drawn} == {
        one.spec.spec_id: str(one.index) for one in facts
    }
    assert again.facts() == facts


def test_restored_questions_are_rendered_a_few_at_a_time() -> None:
    class Slow:
        def __init__(self) -> None:
            self.waiting: list[Future[Any]] = []

        def submit(self, message: Any, deadline_s: float = 30.0) -> Future[Any]:
            self.waiting.append(Future())
            return self.waiting[-1]

        def request(self, message: Any, deadline_s: float = 30.0) -> Any:
            raise AssertionError

    slow = Slow()
    replay = Replay(ReplaySettings(share=0.5), slow, StreamSettings())
    replay.restore([ReplayFacts(task(number).spec, 1, 0, 0.5) for number in range(100)])
    for step in range(5):
        assert replay.draw(8, step, np.random.default_rng(0)) == []
    assert len(slow.waiting) == 16 and len(replay.facts()) == 100
