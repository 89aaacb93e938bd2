"""Caches of kernels and navmeshes are in a writable folder, whatever the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim_server import numba_cache
from sim_server.caches import cache_dir, is_writable


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file, below which no folder can be made, not even by root."""
    path = tmp_path / "file"
    path.write_text("")
    return path


def test_the_first_writable_folder_is_used(tmp_path, file, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir("x") == tmp_path / "xdg" / "vantage" / "x"
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    assert cache_dir("x") == tmp_path / "home" / ".cache" / "vantage" / "x"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_dir("x") == tmp_path / "home" / ".cache" / "vantage" / "x"
    monkeypatch.setenv("HOME", str(file))
    found = cache_dir("x")
    assert is_writable(found) and found.name.startswith("vantage-x-")
    found.rmdir()


def test_without_a_home_no_folder_named_tilde_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # no HOME and no entry in the password database
    found = cache_dir("x")
    assert found.is_absolute() and is_writable(found)
    found.rmdir()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package_is_writable", [True, False])
def test_a_numba_cache_that_is_not_writable_is_replaced(tmp_path, file, monkeypatch, caplog, package_is_writable):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(file / "below"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(os, "access", lambda *_: package_is_writable)
    numba_cache.set_cache_dir()
    expected = None if package_is_writable else str(tmp_path / "xdg" / "vantage" / "numba")
    assert os.environ.get("NUMBA_CACHE_DIR") == expected
    assert "is not writable" in caplog.text
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "own"))
    numba_cache.set_cache_dir()
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "own")


@pytest.mark.timeout(300)
def test_kernels_compile_with_an_unusable_cache_folder(tmp_path, file):
    code = (
        "import os; os.access = lambda *_: False\n"
        "from sim_server.numba_cache import set_cache_dir; set_cache_dir()\n"
        "from sim_server.backends.rooms.light.lightmap import Rectangles, find_rectangles\n"
        "import numpy as np; z = np.zeros((4, 3), np.float32)\n"
        "find_rectangles(z, z, np.array([[0, 1, 2], [0, 2, 3]], np.int32)).points()"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(file), "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "xdg" / "vantage" / "numba").rglob("*.nbi"))
