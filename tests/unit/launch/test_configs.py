from __future__ import annotations

from pathlib import Path

import pytest

from launch.settings import MODELS, check_same, resolve
from protocol.config import load, section, to_toml
from protocol.errors import VantageError

CONFIGS = sorted((Path(__file__).resolve().parents[3] / "configs").glob("**/*.toml"))


def test_the_three_shipped_configs_are_there() -> None:
    assert {"demo", "smoke", "qwen3-vl-4b"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_parses_and_its_resolved_form_reads_back(path: Path, tmp_path: Path) -> None:
    _, resolved = resolve([path], [])
    assert resolved["run"]["name"] == path.stem
    again = tmp_path / "again.toml"
    again.write_text(to_toml(resolved))
    assert load([again]) == resolved
    for table, model in MODELS.items():
        assert section(resolved, table, model) == section(load([path]), table, model) or table == "run"


def test_an_unknown_key_of_any_table_is_refused() -> None:
    for table in MODELS:
        with pytest.raises(VantageError, match=f"unknown key {table}.no_such_key") as caught:
            resolve([CONFIGS[0]], [f"{table}.no_such_key=1"])
        assert caught.value.code == "bad_config"


def test_a_resumed_run_keeps_its_configuration() -> None:
    demo = next(path for path in CONFIGS if path.stem == "demo")
    given, resolved = resolve([demo], [])
    check_same(given, resolved, "demo")
    changed, _ = resolve([demo], ["learner.grpo.learning_rate=0.5"])
    with pytest.raises(VantageError, match=r"learner\.grpo\.learning_rate = 0\.001, not 0\.5.*--name"):
        check_same(changed, resolved, "demo")
    fewer, _ = resolve([demo], ['curriculum.skills=[{name="depth_order", levels=[0]}]'])
    with pytest.raises(VantageError, match=r"curriculum\.skills"):
        check_same(fewer, resolved, "demo")


def test_the_name_comes_from_the_option_then_the_table_then_the_last_file() -> None:
    demo = next(path for path in CONFIGS if path.stem == "demo")
    assert resolve([demo], [])[1]["run"]["name"] == "demo"
    assert resolve([demo], ["run.name=mine"])[1]["run"]["name"] == "mine"
    assert resolve([demo], ["run.name=mine"], "other")[1]["run"]["name"] == "other"
    with pytest.raises(VantageError):
        resolve([demo], [], "../elsewhere")
