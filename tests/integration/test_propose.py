"""A proposal over the real wire: client, broker and worker as processes, with the simulator that ships."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from learner.rewards import score
from protocol.client import Client
from protocol.endpoint import lookup
from protocol.messages import (
    Describe,
    EpisodeReply,
    GetCurriculumStatus,
    GetSimStatus,
    LeaseSpecs,
    Propose,
    Rejected,
    RenderTask,
    SendReports,
)
from protocol.proposals import proposal_of
from protocol.rundir import RunDir
from protocol.scene import Camera, SceneSpec
from sim_server.questions.evidence import name_of
from tests.support.curriculum import report_on

ROOT = Path(__file__).parents[2]
NAMES = ("chair", "table", "sofa", "bed", "lamp", "plant", "bookshelf", "cabinet", "ball", "box")
SCENE = SceneSpec(seed=1, min_objects=6, max_objects=9, categories=NAMES)


@pytest.mark.timeout(300)  # a first start compiles the renderer
def test_proposals_are_accepted_and_rejected_over_the_wire(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", {"sim": {"backend": "rooms"}})
    command = [sys.executable, "-m", "sim_server.cli", "serve", str(run.path), "--workers", "1"]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        with Client(lambda: lookup(run.path, "sim"), "proposer") as sim:
            scene = sim.request(Describe(SCENE), deadline_s=250).message.scene
            a, b, *_ = scene.objects
            program = f'if image_x(object({a.id}), view(0)) < image_x(object({b.id}), view(0)) then "left" else "right"'
            sound = Propose(
                SCENE,
                f"is the {name_of(a)} left or right of the {name_of(b)} ?",
                program,
                "choice",
                options=("left", "right"),
                camera=Camera(64, 64),
                max_views=1,
                proposal_id="from outside",
            )
            packet = sim.request(sound, deadline_s=60)
            assert isinstance(packet.message, EpisodeReply), packet.message
            episode = packet.message.episode
            assert episode.spec_id == "from outside" and episode.question.family == "proposed"
            assert packet.array(episode.views[0].rgb).shape == (64, 64, 3)
            assert score(episode.question, episode.question.answer).accuracy == 1

            told = Propose(SCENE, sound.text, program + " ?", "choice", proposal_id="faulty")
            answer = sim.request(told, deadline_s=60).message
            assert isinstance(answer, Rejected) and answer.proposal_id == "faulty"
            (rejection,) = answer.rejections
            assert (rejection.code, rejection.part, rejection.at) == ("syntax", "program", len(program) + 1)
            assert sim.request(GetSimStatus()).message.quarantined == 0
    finally:
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.timeout(300)
def test_a_file_of_questions_becomes_specs_of_a_live_run(tmp_path: Path) -> None:
    """A sound question and a faulty one go in; the sound one is leased, drawn, reported and shown, once."""
    run = RunDir.create(tmp_path / "run", {"sim": {"backend": "rooms"}, "curriculum": {"proposals": {"share": 0.5}}})
    serving = [sys.executable, "-m", "sim_server.cli", "serve", str(run.path), "--workers", "1"]
    deciding = [sys.executable, "-m", "curriculum.cli", "serve", str(run.path)]
    processes = [subprocess.Popen(command, cwd=ROOT) for command in (serving, deciding)]
    try:
        with (
            Client(lambda: lookup(run.path, "sim"), "learner") as sim,
            Client(lambda: lookup(run.path, "curriculum"), "learner") as curriculum,
        ):
            a, b, *_ = sim.request(Describe(SCENE), deadline_s=250).message.scene.objects
            asked = {
                "scene": msgspec.to_builtins(SCENE),
                "text": f"is the {name_of(a)} left or right of the {name_of(b)} ?",
                "program": f"if image_x(object({a.id}), view(0)) < image_x(object({b.id}), view(0)) "
                'then "left" else "right"',
                "answer_type": "choice",
                "options": ["left", "right"],
                "camera": {"width_px": 64, "height_px": 64},
                "proposal_id": "sound",
            }
            path = tmp_path / "mine.jsonl"
            path.write_text("".join(json.dumps(line) + "\n" for line in (asked, {**asked, "program": "1 +"})))

            def propose() -> subprocess.CompletedProcess[str]:
                command = [sys.executable, "-m", "curriculum.cli", "propose", str(run.path), str(path)]
                return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)

            first = propose()
            assert first.returncode == 1, first.stderr  # one was rejected
            assert "sound: accepted" in first.stdout and "syntax:" in first.stdout, first.stdout
            assert "1 of 2 will be asked, 1 rejected, 0 were there before" in first.stdout
            assert "0 of 2 will be asked, 1 rejected, 1 were there before" in propose().stdout

            batch = curriculum.request(LeaseSpecs("learner", 2, 0)).message
            (leased,) = [one for one in batch.specs if one.spec.proposal]
            answer = sim.request(RenderTask(leased.spec), deadline_s=60).message
            assert isinstance(answer, EpisodeReply)
            direct = sim.request(proposal_of(leased.spec), deadline_s=60).message
            assert isinstance(direct, EpisodeReply) and direct.episode.question == answer.episode.question
            assert [view.pose for view in direct.episode.views] == [view.pose for view in answer.episode.views]
            curriculum.request(SendReports((report_on(leased, (1.0, 0.0, 1.0, 1.0)),)))
            status = curriculum.request(GetCurriculumStatus()).message
            assert (status.proposals, status.proposals_waiting, status.cells[-1].asked) == (1, 0, 1)
            later = curriculum.request(LeaseSpecs("learner", 64, 0)).message
            assert not any(one.spec.proposal for one in later.specs)
    finally:
        for process in processes:
            process.terminate()
        assert [process.wait(60) for process in processes] == [0, 0]
    shown = subprocess.run(
        [sys.executable, "-m", "curriculum.cli", "status", str(run.path)], cwd=ROOT, capture_output=True, text=True
    )
    assert "proposed" in shown.stdout and "1 questions proposed from outside, 0 times still" in shown.stdout
