"""A short selection of the campaigns of benchmarks/chaos: kills, damaged files, a moved folder."""

from __future__ import annotations

import pytest

from benchmarks.chaos.corruptions import corruptions
from benchmarks.chaos.kills import survive
from benchmarks.chaos.storms import moved_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_run_survives_kills_of_its_processes_and_its_supervisor(tmp_path):
    figures = survive(tmp_path, 3, seed=5)
    assert sum(figures["kills"].values()) == 3
    assert (figures["lost"], figures["doubled"]) == (0, 0)


def test_a_run_with_a_damaged_file_ends_well_or_with_a_sentence(tmp_path):
    cases = ("checkpoints/*/manifest.json:flipped", "outbox.jsonl:link")
    verdicts = {row["file"]: row["verdict"] for row in corruptions(tmp_path, cases)}
    assert verdicts["checkpoints/*/manifest.json"] == "done"
    assert "is a symbolic link" in verdicts["outbox.jsonl"]


def test_a_run_whose_folder_is_moved_says_so_and_resumes_when_it_is_back(tmp_path):
    assert "was moved or deleted" in moved_folder(tmp_path)["sentence"]
