"""Which groups of a step are trained on, replaced and reported."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Callable, Optional

import msgspec
import numpy as np
import pytest

from learner.settings import StreamSettings
from learner.stream import episodes
from learner.stream.episodes import EpisodeLog
from protocol.errors import Infeasible, VantageError
from protocol.run.directory import read_jsonl
from protocol.tasks.task import Episode, TaskSpec
from protocol.wire.messages import Done, Observe
from tests.support.learner import Curriculum
from tests.support.loop import Loop


def test_groups_without_gradient_are_replaced(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda index: 2 if index % 2 else 4)  # all answers of every second group are equal
    groups = loop.collector.collect(0)
    assert len(groups) == 8
    assert all(len({reward.accuracy for reward in group.rewards}) == 2 for group in groups)
    counts = loop.collector.counts
    assert counts.kept == 8
    assert counts.no_gradient == counts.asked - sum(report.had_gradient for report in loop.reports())


def test_replacement_is_bounded(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda index: 2 if index == 0 else 4)
    groups = loop.collector.collect(0)
    assert loop.collector.counts.asked == 16
    assert len(groups) == 1


def test_a_step_without_gradient_still_has_a_group(tmp_path: Path) -> None:
    assert Loop(tmp_path, lambda _: 4).collector.collect(0)


def test_leases_are_split_into_allowed_sizes(tmp_path: Path) -> None:
    stream = StreamSettings(in_flight=8, ahead=8192)
    assert Loop(tmp_path, lambda _: 2, stream=stream).collector.collect(0)


def test_every_question_is_reported_once(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda index: 1 + index % 4)
    for step in range(3):
        loop.collector.collect(step)
    reports = loop.reports()
    assert len(reports) == len(loop.engine.prompts)
    assert len({report.report_id for report in reports}) == len(reports)
    assert len(loop.outbox) == 0


def test_reports_are_on_disk_when_collect_returns(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2)
    loop.collector.collect(0)
    records, _ = read_jsonl(tmp_path / "outbox.jsonl")
    assert sum("report" in record for record in records) >= 8


def test_success_rate_follows_the_truth(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 1)  # one "left" of four; "left" is the true answer of specs with odd numbers
    loop.collector.collect(0)
    for report in loop.reports():
        odd = int(report.spec_id[1:]) % 2
        assert report.success_rate == (0.25 if odd else 0.75)
        assert report.truth_likelihood == pytest.approx(0.5**0.5)  # of two tokens with probability 0.5


def test_blind_questions_have_no_images_and_are_never_trained_on(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2, curriculum=Curriculum(blind_every=3))
    groups = loop.collector.collect(0)
    assert all(group.prompt.images for group in groups)
    blind = [report for report in loop.reports() if report.blind]
    assert blind
    assert len(blind) == sum(not prompt.images for prompt in loop.engine.prompts)


def test_infeasible_and_broken_specs_are_replaced_and_reported(tmp_path: Path) -> None:
    def fail_render(spec: TaskSpec) -> Optional[VantageError]:
        if spec.seq % 5 == 0:
            return Infeasible("no view shows it")
        return VantageError("poison", "it killed three workers") if spec.seq % 7 == 0 else None

    loop = Loop(tmp_path, lambda _: 2, fail_render=fail_render)
    assert len(loop.collector.collect(0)) == 8
    outcomes = {report.spec_id: report.outcome for report in loop.reports()}
    assert outcomes["s00000"] == outcomes["s00005"] == "infeasible"
    assert outcomes["s00007"] == "broken"
    assert all(report.rewards == () for report in loop.reports() if report.outcome != "answered")


def test_a_failed_view_while_looking_around_is_not_a_wrong_answer(tmp_path: Path) -> None:
    def fail_observe(message: Observe) -> Optional[VantageError]:
        return VantageError("poison", "it killed three workers") if message.seq % 3 == 0 else None

    loop = Loop(tmp_path, lambda _: 2, curriculum=Curriculum(look_around=1), fail_observe=fail_observe)
    loop.engine.words = ("turn left", "left")  # the first two answers look around first
    assert len(loop.collector.collect(0)) >= 1
    reports = {int(report.spec_id[1:]): report for report in loop.reports()}
    assert {seq % 3 == 0 for seq, report in reports.items() if report.outcome == "broken"} == {True}
    assert {seq % 3 == 0 for seq, report in reports.items() if report.outcome == "answered"} == {False}
    records, _ = read_jsonl(loop.folder / "episodes.jsonl")
    assert all(record["moves"] == [["turn left"], ["turn left"], [], []] for record in records)


def test_a_missing_backend_ends_the_run(tmp_path: Path) -> None:
    loop = Loop(
        tmp_path, lambda _: 2, fail_render=lambda _: VantageError("backend_missing", "habitat is not installed")
    )
    with pytest.raises(VantageError, match="habitat"):
        loop.collector.collect(0)


def test_stale_tasks_are_dropped(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2, stream=StreamSettings(in_flight=8, ahead=16, max_staleness_steps=2))
    loop.collector.collect(0)
    loop.collector.collect(9)
    assert loop.stream.stale > 0
    assert loop.collector.counts.staleness_steps <= 2


def test_the_number_of_tasks_ahead_is_bounded(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2, stream=StreamSettings(in_flight=4, ahead=12))
    loop.collector.collect(0)
    asked = len(loop.engine.prompts)
    leased = next(loop.curriculum._numbers)
    assert asked <= leased <= asked + 12


def test_a_stop_request_ends_waiting(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2, fail_render=lambda _: Infeasible("nothing can be seen"))
    loop.stop.set()
    with pytest.raises(VantageError) as caught:
        loop.collector.collect(0)
    assert caught.value.code == "draining"


def test_the_gallery_keeps_the_newest_views_and_their_answers(tmp_path: Path) -> None:
    stream = StreamSettings(in_flight=8, ahead=16, keep_images=3, keep_episodes=20)
    loop = Loop(tmp_path, lambda _: 2, stream=stream)
    for step in range(4):
        loop.collector.collect(step)
    records, _ = read_jsonl(loop.folder / "episodes.jsonl")
    assert len(list((loop.folder / "images").iterdir())) == 3
    assert 20 <= len(records) <= 20 + 2 * 4  # two per step are for the gallery
    *_, shown = (record for record in records if record["images"])
    assert shown["step"] == 3
    assert (loop.folder / shown["images"][0]).exists()
    assert sorted(shown["answers"]) == ["left", "left", "right", "right"]
    assert {"question", "truth", "program", "options", "step"} <= shown.keys()


# ----------------------------------------------------------------------------- a simulator that lies or fails


def altered(**changes: Any) -> Callable[[Episode], Episode]:
    """Change the question of every third episode."""

    def change(episode: Episode) -> Episode:
        if int(episode.spec_id[1:]) % 3:
            return episode
        return msgspec.structs.replace(episode, question=msgspec.structs.replace(episode.question, **changes))

    return change


LIES: dict[str, Callable[[Episode], Any]] = {
    "skill": altered(skill="bogus"),
    "other skill": altered(skill="depth_order"),
    "level": altered(level=3),
    "answer": altered(answer="up"),
    "answer type": altered(answer_type="essay"),
    "escape code": altered(text="left or \x1b[31mright ?"),
    "vision token": altered(text="is <|image_pad|> left or right ?"),
    "too many options": altered(options=("left", "right", *map(str, range(40))), answer="39", show_options=True),
    "an answer that cannot be read": altered(options=("left, up", "left , up"), answer="left , up"),
    "long text": altered(text="left " * 200_000),
    "spec": lambda episode: msgspec.structs.replace(episode, spec_id="s99999"),
    "no views": lambda episode: msgspec.structs.replace(episode, views=()),
    "message": lambda _: Done(),
}


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_an_episode_that_is_not_that_of_its_spec_is_broken_and_never_trained_on(tmp_path: Path, lie: str) -> None:
    def change(episode: Episode) -> Any:
        return LIES[lie](episode) if int(episode.spec_id[1:]) % 3 == 0 else episode

    loop = Loop(tmp_path, lambda _: 2, change=change)
    assert len(loop.collector.collect(0)) == 8
    outcomes = {int(report.spec_id[1:]): report.outcome for report in loop.reports()}
    assert {number % 3 == 0 for number, outcome in outcomes.items() if outcome == "broken"} == {True}
    assert {number % 3 == 0 for number, outcome in outcomes.items() if outcome == "answered"} == {False}
    assert {report.skill for report in loop.reports()} == {"view_direction"}


@pytest.mark.parametrize("code", ["version", "backend_missing", "bad_config"])
def test_a_worker_that_claims_a_fault_of_the_run_does_not_end_it(tmp_path: Path, code: str) -> None:
    def fail_render(spec: TaskSpec) -> Optional[VantageError]:
        return VantageError(code, "start again with another version") if spec.seq % 2 else None

    loop = Loop(tmp_path, lambda _: 2, fail_render=fail_render)
    assert len(loop.collector.collect(0)) == 8


def test_views_that_always_fail_end_the_run_only_for_a_reason_that_no_task_can_avoid(tmp_path: Path) -> None:
    for code in ("backend_missing", "poison"):
        error = VantageError(code, "the reason")
        loop = Loop(
            tmp_path / code,
            lambda _: 2,
            curriculum=Curriculum(look_around=1),
            fail_observe=lambda _, error=error: error,
        )
        loop.engine.words = ("turn left", "turn left")
        threading.Timer(0.5, loop.stop.set).start()
        with pytest.raises(VantageError, match="the reason" if code == "backend_missing" else "stopping"):
            loop.collector.collect(0)
        (stall,) = loop.stalls.current
        assert stall.missing == "views for a policy that looks around"


@pytest.mark.parametrize(
    ("error", "least"),
    [(VantageError("internal", "the worker fails"), 3), (Infeasible("nothing can be seen"), 48)],
    ids=["broken", "infeasible"],
)
def test_a_learner_without_questions_tells_so_and_asks_slowly(
    tmp_path: Path, error: VantageError, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(episodes, "_RETRY_S", 0.05)
    asked: list[TaskSpec] = []

    def fail_render(spec: TaskSpec) -> Optional[VantageError]:
        asked.append(spec)
        return error

    loop = Loop(tmp_path, lambda _: 2, fail_render=fail_render)
    threading.Timer(0.6, loop.stop.set).start()
    with pytest.raises(VantageError, match="stopping"):
        loop.collector.collect(0)
    (stall,) = loop.stalls.current
    assert stall.missing == "questions from the simulator" and stall.error == error.message
    assert least <= len(asked) < least + 40
    assert "waiting for questions from the simulator" in loop.waited


def test_a_learner_without_specs_tells_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(episodes, "_RETRY_S", 0.05)
    loop = Loop(tmp_path, lambda _: 2)
    monkeypatch.setattr(loop.curriculum, "_lease", lambda _: (_ for _ in ()).throw(VantageError("busy", "full")))
    threading.Timer(0.6, loop.stop.set).start()
    with pytest.raises(VantageError, match="stopping"):
        loop.collector.collect(0)
    (stall,) = loop.stalls.current
    assert stall.missing == "specs from the curriculum" and stall.error == "full"
    assert "waiting for specs from the curriculum" in loop.waited


def test_a_policy_whose_answers_cannot_be_read_is_shown_after_three_steps(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2)
    loop.engine.words = ("(A) perhaps", "it depends")
    for step in range(3):
        assert not loop.stalls.current
        loop.collector.collect(step)
    (stall,) = loop.stalls.current
    assert stall.missing == "answers that can be read"
    assert "it depends" in stall.error and "learner.policy.style" in stall.advice
    loop.engine.words = ("left", "it depends")
    loop.collector.collect(3)
    assert not loop.stalls.current


# ----------------------------------------------------------------------------- episodes on disk


def episode_log(folder: Path) -> EpisodeLog:
    return EpisodeLog(folder, StreamSettings(keep_images=4))


def test_ids_from_outside_do_not_leave_the_folder_of_images(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "episodes"
    log = episode_log(folder)
    image = np.zeros((4, 4, 3), np.uint8)
    for name in ("../../x", "/tmp/x", "..", "a/b", "x" * 300, "\0", "p-1"):
        log.add({"spec_id": name}, [image], True)
    log.close()
    assert {path.parent for path in tmp_path.rglob("*.png")} == {folder / "images"}
    assert (folder / "images" / "p-1-0.png").exists()
    assert len(list((folder / "images").iterdir())) == 4


def test_views_are_not_written_through_links(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    folder = tmp_path / "episodes"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "p-1-0.png").symlink_to(victim)
    (folder / "images" / "dangling.png").symlink_to(tmp_path / "nowhere")
    log = episode_log(folder)
    log.add({"spec_id": "p-1"}, [np.zeros((4, 4, 3), np.uint8)], True)
    log.close()
    assert victim.read_bytes() == b"precious"
    (folder / "episodes.jsonl").unlink()
    (folder / "episodes.jsonl").symlink_to(victim)
    with pytest.raises(VantageError, match="episodes.jsonl is a symbolic link, not a regular file"):
        episode_log(folder)


def test_a_damaged_line_of_episodes_moves_aside_at_the_next_start(tmp_path: Path) -> None:
    episode_log(tmp_path).add({"spec_id": "s1"}, [], False)
    with open(tmp_path / "episodes.jsonl", "ab") as file:
        file.write(b'garbage\n{"spec_id": "s2", "ima')
    log = episode_log(tmp_path)
    log.add({"spec_id": "s3"}, [], False)
    assert [record["spec_id"] for record in read_jsonl(tmp_path / "episodes.jsonl")[0]] == ["s1", "s3"]
    assert len((tmp_path / "episodes.jsonl.refused").read_text().splitlines()) == 2
