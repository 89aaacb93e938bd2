"""Proposals over the wire: client, broker and worker as processes, with the `rooms` simulator."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Iterator, NamedTuple

import msgspec
import pytest

from curriculum.record.events import ProposedEvent
from curriculum.record.store import FILE_NAME, Store
from protocol.answers.scoring import score
from protocol.run.directory import RunDir
from protocol.tasks.proposals import proposal_key
from protocol.tasks.scene import Camera, SceneSpec
from protocol.tasks.task import Episode, Proposal, TaskSpec
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup
from protocol.wire.messages import (
    CurriculumStatus,
    Describe,
    GetCurriculumStatus,
    GetSimStatus,
    LeaseSpecs,
    Rejected,
    RenderTask,
    SendReports,
)
from sim_server.questions.evidence import name_of
from tests.support.curriculum import report_on

pytestmark = pytest.mark.timeout(300)  # the first start compiles the renderer

ROOT = Path(__file__).parents[2]
NAMES = ("chair", "table", "sofa", "bed", "lamp", "plant", "bookshelf", "cabinet", "ball", "box")
SCENE = SceneSpec(seed=1, min_objects=6, max_objects=9, categories=NAMES)


class Live(NamedTuple):
    run: RunDir
    sim: Client
    curriculum: Client


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A run with a running simulator and curriculum."""
    world = {"categories": list(NAMES), "width_px": 64, "height_px": 64}
    config = {
        "sim": {"backend": "rooms"},
        "curriculum": {"proposals": {"share": 0.5, "ahead": 24, "kinds": 3}, "world": world},
        "proposer": {"source": "composer", "depth": 2, "per_minute": 6000},
    }
    run = RunDir.create(tmp_path_factory.mktemp("live") / "run", config)
    serving = [sys.executable, "-m", "sim_server.cli", "serve", str(run.path), "--workers", "1"]
    deciding = [sys.executable, "-m", "curriculum.cli", "serve", str(run.path)]
    processes = [subprocess.Popen(command, cwd=ROOT) for command in (serving, deciding)]
    try:
        with (
            Client(lambda: lookup(run.path, "sim"), "learner") as sim,
            Client(lambda: lookup(run.path, "curriculum"), "learner") as curriculum,
        ):
            yield Live(run, sim, curriculum)
    finally:
        for process in processes:
            process.terminate()
        assert [process.wait(60) for process in processes] == [0, 0]


@pytest.fixture(scope="module")
def valid(live: Live) -> TaskSpec:
    a, b, *_ = live.sim.request(Describe(SCENE), deadline_s=250).message.scene.objects
    asked = Proposal(
        f"is the {name_of(a)} left or right of the {name_of(b)} ?",
        f'if image_x(object({a.id}), view(0)) < image_x(object({b.id}), view(0)) then "left" else "right"',
        "choice",
        options=("left", "right"),
    )
    return TaskSpec("valid", scene=SCENE, camera=Camera(64, 64), proposal=asked)


def test_proposals_are_accepted_and_rejected_over_the_wire(live: Live, valid: TaskSpec) -> None:
    packet = live.sim.request(RenderTask(valid, examine=True), deadline_s=60)
    episode = packet.message
    assert isinstance(episode, Episode), episode
    assert episode.spec_id == "valid" and episode.question.skill == "proposed"
    assert packet.array(episode.views[0].rgb).shape == (64, 64, 3)
    assert score(episode.question, episode.question.answer).accuracy == 1

    assert valid.proposal is not None
    program = valid.proposal.program
    invalid = TaskSpec("invalid", scene=SCENE, proposal=Proposal(valid.proposal.text, program + " ?", "choice"))
    answer = live.sim.request(RenderTask(invalid, examine=True), deadline_s=60).message
    assert isinstance(answer, Rejected) and answer.spec_id == "invalid"
    (rejection,) = answer.rejections
    assert (rejection.code, rejection.part, rejection.at) == ("syntax", "program", len(program) + 1)
    assert live.sim.request(GetSimStatus()).message.quarantined == 0


def test_a_file_of_proposals_becomes_specs_of_a_running_curriculum(live: Live, valid: TaskSpec, tmp_path: Path) -> None:
    """Of a valid and an invalid proposal, the valid one is leased, rendered, reported and shown once."""
    accepted = msgspec.to_builtins(valid)
    rejected = {**accepted, "proposal": {**accepted["proposal"], "program": "1 +"}}
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (accepted, rejected)))

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        command_line = [sys.executable, "-m", "curriculum.cli", *arguments]
        return subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, timeout=200)

    first = command("propose", str(live.run.path), str(path))
    assert first.returncode == 1, first.stderr  # one was rejected
    assert "valid: accepted" in first.stdout and "syntax:" in first.stdout, first.stdout
    assert "1 of 2 will be asked, 1 rejected, 0 were there before" in first.stdout
    again = command("propose", str(live.run.path), str(path)).stdout
    assert "0 of 2 will be asked, 1 rejected, 1 were there before" in again

    batch = live.curriculum.request(LeaseSpecs("learner", 2, 0)).message
    (leased,) = [one for one in batch.specs if one.spec.proposal]
    answer = live.sim.request(RenderTask(leased.spec), deadline_s=60).message
    assert isinstance(answer, Episode)
    direct = live.sim.request(RenderTask(valid, examine=True), deadline_s=60).message
    assert isinstance(direct, Episode) and direct.question == answer.question
    assert [view.pose for view in direct.views] == [view.pose for view in answer.views]
    live.curriculum.request(SendReports((report_on(leased, (1.0, 0.0, 1.0, 1.0)),)))
    status = live.curriculum.request(GetCurriculumStatus()).message
    assert (status.proposals, status.proposals_waiting, status.cells[-1].asked) == (1, 0, 1)
    later = live.curriculum.request(LeaseSpecs("learner", 64, 0)).message
    assert not any(one.spec.proposal for one in later.specs)
    shown = command("status", str(live.run.path)).stdout
    assert "proposed" in shown and "1 proposals, 0 of their specs not issued yet" in shown


def test_a_proposer_that_is_killed_loses_and_doubles_nothing(live: Live) -> None:
    """Killed while it works and again later, the proposer goes on with the request that was not answered."""

    def started() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "proposer.cli", "serve", str(live.run.path)], cwd=ROOT)

    def status() -> CurriculumStatus:
        return live.curriculum.request(GetCurriculumStatus()).message

    def wait_for(accepted: int) -> None:
        end_s = time.monotonic() + 120
        while sum(kind.accepted for kind in status().kinds) < accepted:
            assert time.monotonic() < end_s, (live.run.read_status("proposer"), status().kinds)
            time.sleep(0.02)

    before = status().proposals
    for accepted in (1, 6):
        proposer = started()
        wait_for(accepted)
        proposer.kill()
        assert proposer.wait() == -9
        batch = live.curriculum.request(LeaseSpecs("learner", 8, 0)).message
        asked = [one for one in batch.specs if one.spec.proposal]
        assert asked and all(one.spec.question.skill.startswith("composed:") for one in asked)
        for one in asked:
            episode = live.sim.request(RenderTask(one.spec), deadline_s=60).message
            assert isinstance(episode, Episode) and episode.question.text == one.spec.proposal.text
        live.curriculum.request(SendReports(tuple(report_on(one) for one in asked)))
    proposer = started()
    wait_for(12)
    proposer.terminate()
    assert proposer.wait(60) == 0

    after = status()
    with closing(Store(live.run.path / FILE_NAME, live.run.seed, read_only=True)) as store:
        answers = [one for _, one in store.events() if isinstance(one, ProposedEvent) and one.request >= 0]
    keys = [proposal_key(spec) for one in answers for spec in one.proposals]
    assert [one.request for one in answers] == list(range(len(answers)))  # each request was answered once
    assert len(keys) == len(set(keys)) == after.proposals - before == sum(kind.accepted for kind in after.kinds)
