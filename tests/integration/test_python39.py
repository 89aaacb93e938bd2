"""protocol and sim_server under Python 3.9, which the stable packages of habitat-sim need: imports, and a worker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest

from protocol.run.directory import RunDir
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup
from protocol.wire.messages import Observe
from tests.support.toy import THIRD_PARTY

ROOT = Path(__file__).parents[2]
EVERYTHING = """
import importlib, pkgutil, protocol, sim_server
for package in (protocol, sim_server):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""


def python39() -> Optional[str]:
    """Return a Python 3.9 that starts; a shim of pyenv on the path may not."""
    found = [shutil.which("python3.9"), *map(str, Path("~/.pyenv/versions").expanduser().glob("3.9.*/bin/python"))]
    works = (path for path in found if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0)
    return next(works, None)


pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.slow,
    pytest.mark.skipif(python39() is None, reason="Python 3.9 is not installed"),
]


@pytest.fixture(scope="module")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python 3.9 with the locked packages of the simulator."""
    venv = tmp_path_factory.mktemp("py39") / "venv"
    interpreter = python39()
    assert interpreter is not None
    subprocess.run([interpreter, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", "--no-deps", "--no-compile"]
    subprocess.run([*pip, "-r", str(ROOT / "requirements" / "sim-py39.txt")], check=True)
    return str(venv / "bin" / "python")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(THIRD_PARTY)))}


def test_every_module_of_protocol_and_simulator_imports(old_python: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [old_python, "-c", EVERYTHING], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_a_worker_on_python_39_serves_a_run_of_this_version(old_python: str, tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", {"sim": {"backend": "toy"}})
    serve = [sys.executable, "-m", "sim_server.cli", "serve", str(run.path), "--workers", "0"]
    work = [old_python, "-m", "sim_server.cli", "worker", "--join", str(run.path), "--worker-id", "old"]
    started = [subprocess.Popen(command, env=environment()) for command in (serve, work)]
    try:
        with Client(lambda: lookup(run.path, "sim"), "test") as client:
            asked = Observe(SceneSpec(seed=3), Camera(32, 24), Pose((2.0, 1.5, 2.0), (1.0, 0.0, 0.0, 0.0)))
            packet = client.request(asked, deadline_s=120.0)
            assert packet.array(packet.message.view.rgb).shape == (24, 32, 3)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)
