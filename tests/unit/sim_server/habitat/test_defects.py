"""Bad datasets: one sentence for the bad scene, and the others still open."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable

import pytest

from protocol.errors import VantageError
from protocol.tasks.scene import SceneSpec
from sim_server.backends.habitat import HabitatBackend
from tests.conformance.habitat_run.defects import make_dataset, open_each

from .conftest import dataset_of

MakeHabitat = Callable[..., HabitatBackend]


def test_each_bad_scene_is_refused_and_the_good_one_stays_usable(
    make_habitat: MakeHabitat, exported: tuple[Path, str], tmp_path: Path
) -> None:
    home, good = exported
    config, defects = make_dataset(home, good, tmp_path / "bad")
    backend = make_habitat(config)
    assert len(defects) > 15
    for outcome in open_each(backend, good, defects):
        assert outcome.code == "corrupt", outcome
        assert (
            outcome.defect in outcome.sentence or home.parent.name in outcome.sentence or "objects/" in outcome.sentence
        )
        assert "\n" not in outcome.sentence and "ESP_CHECK" not in outcome.sentence
        assert outcome.good, outcome.defect


@pytest.mark.stand_in
def test_a_scene_that_only_the_library_rejects_is_refused_and_the_renderer_restarts(
    habitat_sim: Any,
    make_habitat: MakeHabitat,
    exported: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a failed load, the next scene would end the process of the library."""
    home, good = exported
    config, _ = make_dataset(home, good, tmp_path / "bad")
    backend = make_habitat(config)
    monkeypatch.setattr(backend, "_files", lambda name: None)
    before = habitat_sim.Simulator.made
    (outcome,) = open_each(backend, good, ["object_missing"])
    assert outcome.code == "corrupt" and "object_missing" in outcome.sentence and "ESP_CHECK" not in outcome.sentence
    assert outcome.good and habitat_sim.Simulator.made == before + 2
    with pytest.raises(VantageError, match="restart this worker"):
        backend.open(SceneSpec(asset="object_missing"))
    assert habitat_sim.Simulator.made == before + 2  # it is refused at once


@pytest.mark.parametrize("text", ["{", "[]", "", '{"scene_instances": 3}'])
def test_a_dataset_that_is_not_json_gets_one_sentence(make_habitat: MakeHabitat, tmp_path: Path, text: str) -> None:
    config = Path(shutil.copytree(dataset_of("flat").parent, tmp_path / "flat")) / dataset_of("flat").name
    config.write_text(text)
    with pytest.raises(VantageError) as caught:
        make_habitat(config)
    assert caught.value.code == "corrupt" and config.name in caught.value.message and "\n" not in caught.value.message


def test_a_scene_without_a_stage_is_named(make_habitat: MakeHabitat, tmp_path: Path) -> None:
    """habitat-sim refuses the whole dataset for one such scene."""
    config = Path(shutil.copytree(dataset_of("flat").parent, tmp_path / "flat")) / dataset_of("flat").name
    (config.parent / "scenes" / "broken.scene_instance.json").write_text(json.dumps({"object_instances": []}))
    with pytest.raises(VantageError, match="stage_instance.*broken") as caught:
        make_habitat(config)
    assert caught.value.code == "corrupt" and "ESP_CHECK" not in caught.value.message
