"""Sealed folders are atomic and verified."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from protocol.errors import VantageError
from protocol.run import sealed
from protocol.run.sealed import numbered, sealed_folder, sweep, verify_folder


def write(final: Path, text: str = "weights") -> None:
    with sealed_folder(final, {"step": 3}) as staging:
        (staging / "adapter.bin").write_text(text)


def test_a_sealed_folder_is_verified_and_returns_its_facts(tmp_path: Path) -> None:
    write(tmp_path / "step-000003")
    assert verify_folder(tmp_path / "step-000003")["step"] == 3


@pytest.mark.parametrize("damage", ["changed", "truncated", "missing", "manifest truncated", "manifest missing"])
def test_damage_is_reported(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "step-000003"
    write(folder)
    file, manifest = folder / "adapter.bin", folder / "manifest.json"
    if damage == "changed":
        file.write_text("weightz")
    elif damage == "truncated":
        file.write_text("weig")
    elif damage == "missing":
        file.unlink()
    elif damage == "manifest truncated":
        manifest.write_bytes(manifest.read_bytes()[:20])
    else:
        manifest.unlink()
    with pytest.raises(VantageError) as caught:
        verify_folder(folder)
    assert caught.value.code == "corrupt"
    assert "\n" not in caught.value.message


def test_the_folder_appears_only_when_complete(tmp_path: Path) -> None:
    final = tmp_path / "step-000003"
    with pytest.raises(RuntimeError), sealed_folder(final, {}) as staging:
        (staging / "adapter.bin").write_text("half")
        assert not final.exists()
        raise RuntimeError("killed")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_kill_are_removed(tmp_path: Path) -> None:
    leftover = tmp_path / ".writing-step-000004"
    leftover.mkdir()
    (leftover / "adapter.bin").write_text("half")
    assert numbered(tmp_path, "step-") == {}
    write(tmp_path / "step-000004")
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000004"]


def test_a_full_disk_is_reported_and_leaves_other_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "step-000003")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sealed, "write_atomic", full)
    with pytest.raises(VantageError) as caught:
        write(tmp_path / "step-000004")
    assert caught.value.code == "disk_full"
    assert [path.name for path in tmp_path.iterdir()] == ["step-000003"]
    verify_folder(tmp_path / "step-000003")


def test_folders_are_ordered_by_number(tmp_path: Path) -> None:
    for name in ("step-000010", "step-000002", "step-1000000", "other", "step-x"):
        os.mkdir(tmp_path / name)
    assert list(numbered(tmp_path, "step-")) == [2, 10, 1000000]
