"""Invalid scenes, poses and cameras get typed errors from a real worker, which survives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import msgspec
import numpy as np
import pytest
import zmq

from protocol import PROTOCOL_MAJOR, PROTOCOL_MINOR
from protocol.errors import Infeasible, VantageError
from protocol.run.directory import RunDir
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.wire.client import Client
from protocol.wire.codec import decode, encode
from protocol.wire.endpoint import lookup
from protocol.wire.messages import Failure, GetSimStatus, Hello, Observe
from sim_server.backends.rooms import RoomsBackend

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
SMALL, UPRIGHT = Camera(32, 24), (1.0, 0.0, 0.0, 0.0)
OUTSIDE = Pose((0.0, 1.5, 0.0), UPRIGHT)


def _glb(document: dict) -> bytes:
    text = json.dumps({"asset": {"version": "2.0"}, **document}).encode()
    text += b" " * (-len(text) % 4)
    chunk = len(text).to_bytes(4, "little") + b"JSON" + text
    return b"glTF" + (2).to_bytes(4, "little") + (12 + len(chunk)).to_bytes(4, "little") + chunk


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Client]]:
    """A run with one worker of `rooms`, whose dataset has three scenes, all invalid."""
    folder = tmp_path_factory.mktemp("bad")
    assets = folder / "assets"
    assets.mkdir()
    (assets / "text.glb").write_text("this is no GLB")
    (assets / "bare.glb").write_bytes(_glb({"scenes": [{"nodes": []}]}))
    (assets / "cut.glb").write_bytes(_glb({"scenes": [{"nodes": []}]})[:-8])
    config = assets / "bad.scene_dataset_config.json"
    config.write_text(json.dumps({"stages": {"paths": {".glb": ["."]}}}))
    run = folder / "run"
    RunDir.create(run, {"sim": {"backend": "rooms", "dataset": str(config)}})
    command = [sys.executable, "-m", "sim_server.cli", "serve", "--workers", "1", str(run)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
    client = Client(lambda: lookup(run, "sim"), "test")
    yield run, client
    client.close()
    process.terminate()
    process.wait(60)


def _good_pose() -> Pose:
    x, y, z = RoomsBackend().open(SceneSpec()).sample_navigable(np.random.default_rng(0))
    return Pose((x, y + 1.5, z), UPRIGHT)


def _frames_with_an_image_without_pixels() -> list[bytes]:
    """A request that only a client in another language can send: Camera rejects the size."""
    frames = [bytes(frame) for frame in encode(b"id", Observe(SceneSpec(), SMALL, OUTSIDE))]
    header = msgspec.msgpack.decode(frames[3])
    header["camera"] = {**header.get("camera", {}), "width_px": 0}
    return [*frames[:3], msgspec.msgpack.encode(header)]


def test_invalid_requests_get_typed_errors_and_the_worker_survives(served: tuple[Path, Client]) -> None:
    run, client = served
    invalid = {
        "is not a GLB": Observe(SceneSpec(asset="text"), SMALL, OUTSIDE),
        "no triangles": Observe(SceneSpec(asset="bare"), SMALL, OUTSIDE),
        "truncated": Observe(SceneSpec(asset="cut"), SMALL, OUTSIDE),
        "no worker can serve": Observe(SceneSpec(asset="elsewhere"), SMALL, OUTSIDE),
        "navigable": Observe(SceneSpec(), SMALL, Pose((50.0, 1.5, 50.0), UPRIGHT)),  # outside every room
        "(nan": Observe(SceneSpec(), SMALL, Pose((float("nan"), 1.5, 0.0), UPRIGHT)),
        "quaternion": Observe(SceneSpec(), SMALL, Pose(_good_pose().position_m, (0.0, 0.0, 0.0, 0.0))),
        "pairs of colour": Observe(SceneSpec(min_objects=7, max_objects=9, categories=("bed",)), SMALL, OUTSIDE),
        "palette": Observe(SceneSpec(palette="loud"), SMALL, OUTSIDE),
        "ceiling_m": Observe(SceneSpec(ceiling_m=float("nan")), SMALL, OUTSIDE),
        "unicorn": Observe(SceneSpec(categories=("unicorn",)), SMALL, OUTSIDE),
    }
    codes = {}
    for phrase, message in invalid.items():
        with pytest.raises(VantageError) as caught:
            client.request(message, deadline_s=200.0)  # the first start compiles the kernels
        assert phrase in caught.value.message, caught.value
        codes[phrase] = caught.value.code
    assert [codes[phrase] for phrase in ("is not a GLB", "no triangles", "truncated")] == ["corrupt"] * 3
    assert codes["pairs of colour"] == Infeasible("").code and codes["palette"] == codes["(nan"] == "bad_request"

    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(lookup(run, "sim").address)
        socket.send_multipart(encode(b"", Hello("stranger", PROTOCOL_MAJOR, PROTOCOL_MINOR)))
        socket.send_multipart(_frames_with_an_image_without_pixels())
        answers = []
        while len(answers) < 2 and socket.poll(30000):
            answers.append(decode(socket.recv_multipart()))
    answer = answers[1].message
    assert answers[1].request_id == b"id" and isinstance(answer, Failure)
    assert answer.code == "bad_request" and "width_px and height_px must lie in 1..4096" in answer.message

    before = client.request(GetSimStatus()).message.workers
    client.request(Observe(SceneSpec(), SMALL, _good_pose()), deadline_s=60.0)
    status = client.request(GetSimStatus()).message
    assert [w.worker_id for w in status.workers] == [w.worker_id for w in before] and len(before) == 1
    assert status.redispatched == status.quarantined == 0
