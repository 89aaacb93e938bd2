"""A proposal over the real wire: client, broker and worker as processes, with the simulator that ships."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from learner.rewards import score
from protocol.client import Client
from protocol.endpoint import lookup
from protocol.messages import Describe, EpisodeReply, GetSimStatus, Propose, Rejected
from protocol.rundir import RunDir
from protocol.scene import Camera, SceneSpec
from sim_server.questions.evidence import name_of

ROOT = Path(__file__).parents[2]
NAMES = ("chair", "table", "sofa", "bed", "lamp", "plant", "bookshelf", "cabinet", "ball", "box")
SCENE = SceneSpec(seed=1, min_objects=6, max_objects=9, categories=NAMES)


@pytest.mark.timeout(300)  # a first start compiles the renderer
def test_proposals_are_accepted_and_rejected_over_the_wire(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", {"sim": {"backend": "rooms"}})
    command = [sys.executable, "-m", "sim_server.cli", "serve", "--run-dir", str(run.path), "--workers", "1"]
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
