"""Commands that need no service: images, completion, and messages about invalid arguments."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from PIL import Image
from typer.testing import CliRunner

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, SceneSpec
from protocol.wire.codec import Packet
from protocol.wire.messages import QuarantinedWorker, SimStatus, WorkerStatus
from sim_server.cli import app
from sim_server.sensing.contact_sheet import overview_poses
from tests.support.third_party.vantage_toy import ToyBackend


def invoke(*arguments: str):
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_commands_are_completed(monkeypatch):
    monkeypatch.setenv("_SIM_SERVER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "sim-server re")
    monkeypatch.setenv("COMP_CWORD", "1")
    result = CliRunner().invoke(app, [], prog_name="sim-server")
    assert result.output.split() == ["render"]


def test_an_image_has_the_requested_size(tmp_path):
    out = tmp_path / "one.png"
    assert invoke("render", "--backend", "toy", "--size", "64x48", "--out", str(out)).exit_code == 0
    assert Image.open(out).size == (64, 48)


def test_several_views_make_a_contact_sheet(tmp_path):
    out = tmp_path / "sheet.png"
    assert invoke("render", "--backend", "toy", "--size", "64x48", "--views", "5", "--out", str(out)).exit_code == 0
    assert Image.open(out).size == (3 * 64 + 2 * 4, 2 * 48 + 4)


def test_overview_poses_are_deterministic_and_distinct():
    scene = ToyBackend().open(SceneSpec(seed=5))
    poses = overview_poses(scene, Camera(64, 48), 6)
    assert poses == overview_poses(scene, Camera(64, 48), 6)
    assert len(set(poses)) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("render", "--out", "x.png", "--size", "64"), "--size"),
        (("render", "--out", "x.png", "--backend", "toy", "--size", "9999x10"), "width_px"),
        (("render", "--out", "x.png", "--backend", "toy", "--objects", "9-3"), "min_objects"),
        (("render", "--out", "x.png", "--backend", "unreal"), "not installed"),
        (("render", "--out", "no/such/folder/x.png", "--backend", "toy", "--size", "8x8"), "cannot be written"),
        (("render", "--out", "x.png", "--backend", "toy", "--sensor", "map"), "cannot render maps"),
        (("render", "--out", "x.png", "--backend", "toy", "--sensor", "normals"), "no such sensors: normals"),
        (("render", "--out", "x.png", "--backend", "toy", "--sensor", "heat"), "panorama"),
        (("worker",), "--join RUN and --connect"),
        (("status", "no/such/run"), "not a run directory"),
    ],
)
def test_invalid_arguments_are_reported_by_name(arguments, message):
    with pytest.raises(VantageError, match=message):
        invoke(*arguments)


def test_the_status_shows_quarantined_workers_and_stalls_and_no_markup(monkeypatch, tmp_path):
    """Texts of a worker are shown as they are: neither markup nor escape codes take effect."""
    worker = WorkerStatus("toy-1", "toy", "d[/bold]x", 2, 0, False, 3)
    quarantined = (QuarantinedWorker("toy-2", "the episode has 0 views."),)
    answer = SimStatus((worker,), 0, 3, 0, 0, 0, quarantined, ("no answers since 10:00. Start a worker.",), 1)

    class FakeClient:
        def request(self, *_, **__):
            return Packet(b"", answer, [])

    monkeypatch.setattr("sim_server.cli._client", lambda _: nullcontext(FakeClient()))
    output = invoke("status", str(tmp_path)).output
    assert "d[/bold]x" in output
    assert "worker toy-2 is quarantined: the episode has 0 views." in output
    assert "no progress: no answers since 10:00. Start a worker." in output and "verified 1" in output
