"""Configuration files: merging, overrides, validation and messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curriculum.settings import CurriculumSettings
from protocol.errors import VantageError
from protocol.run.config import RunSettings, Section, load, merge, section, to_toml


class Inner(Section):
    rank: int = 8
    dropout: float = 0.0


class Outer(Section):
    lr: float = 1e-4
    skills: tuple[str, ...] = ()
    lora: Inner = Inner()
    parts: tuple[Inner, ...] = ()
    note: Optional[str] = None


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def config_error(tree: dict[str, Any]) -> str:
    with pytest.raises(VantageError) as caught:
        section(tree, "learner", Outer)
    assert caught.value.code == "bad_config"
    return caught.value.message


def test_files_merge_in_order_and_overrides_come_last(tmp_path: Path) -> None:
    base = write(tmp_path / "a.toml", '[learner]\nlr = 1.0\nskills = ["x", "y"]\n[learner.lora]\nrank = 4\n')
    over = write(tmp_path / "b.toml", '[learner]\nskills = ["z"]\n[learner.lora]\ndropout = 0.5\n')
    tree = load([base, over], ["learner.lora.rank=16", "run.name=first", "learner.note='2'"])
    settings = section(tree, "learner", Outer)
    assert settings == Outer(lr=1.0, skills=("z",), lora=Inner(rank=16, dropout=0.5), note="2")
    assert section(tree, "run", RunSettings).name == "first"


def test_a_missing_table_gives_defaults() -> None:
    assert section({}, "learner", Outer) == Outer()


def test_integers_are_accepted_as_floats_but_text_is_not() -> None:
    assert section({"learner": {"lr": 1}}, "learner", Outer).lr == 1.0
    assert "learner.lr" in config_error({"learner": {"lr": "1"}})
    assert "learner.lora.rank" in config_error({"learner": {"lora": {"rank": True}}})


def test_an_unknown_key_is_reported_with_suggestions() -> None:
    message = config_error({"learner": {"lora": {"rnk": 4}}})
    assert "learner.lora.rnk" in message and "did you mean rank" in message and "dropout, rank" in message


def test_an_unknown_key_in_an_array_of_tables_lists_known_keys() -> None:
    assert "knows dropout, rank" in config_error({"learner": {"parts": [{"rank": 1}, {"size": 2}]}})


@pytest.mark.parametrize(
    ("table", "key", "value", "message"),
    [
        (
            "curriculum",
            "selector",
            "frontir",
            "not installed, did you mean frontier; choose one of .*frontier",
        ),
        ("curriculum", "skills", [], "needs at least 1 item"),
        ("curriculum", "skills", [{"name": "depth_ordr"}], "did you mean depth_order"),
        ("curriculum", "max_lease_s", 0, "must be greater than 0"),
        ("curriculum", "static_specs", 0, "must be at least 1"),
        ("curriculum", "static_specs", "9", "must be an integer"),
        (
            "curriculum",
            "world",
            {"min_objects": 9},
            r"^\[curriculum.world\]: min_objects may not exceed max_objects\.$",
        ),
    ],
)
def test_wrong_values_are_explained(table: str, key: str, value: Any, message: str) -> None:
    with pytest.raises(VantageError, match=message):
        section({table: {key: value}}, table, CurriculumSettings)


def test_several_problems_give_one_line() -> None:
    message = config_error({"learner": {"lr": "a", "skills": 3}})
    assert "1 more problem" in message and message.count("\n") == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[learnr]\n", "did you mean learner"),
        ("learner = 3\n", "must be a table"),
        ("[learner\n", "not valid TOML"),
    ],
)
def test_invalid_files_are_reported(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(VantageError, match=expected) as caught:
        load([write(tmp_path / "c.toml", text)])
    assert caught.value.code == "bad_config"


def test_a_missing_file_and_invalid_overrides_are_errors(tmp_path: Path) -> None:
    with pytest.raises(VantageError, match="no config file"):
        load([tmp_path / "none.toml"])
    for bad in ("learner", "lr=3", "learner..lr=3", "=3"):
        with pytest.raises(VantageError, match="table.key=value"):
            load([], [bad])


def test_the_run_name_must_be_a_file_name() -> None:
    with pytest.raises(VantageError, match="run.name"):
        section({"run": {"name": "../x"}}, "run", RunSettings)


def test_merge_does_not_modify_its_arguments() -> None:
    base = {"a": {"b": 1}}
    over = {"a": {"c": 2}}
    assert merge(base, over) == {"a": {"b": 1, "c": 2}}
    assert base == {"a": {"b": 1}} and over == {"a": {"c": 2}}


keys = st.text(min_size=1, max_size=8)
scalars = st.one_of(st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False), st.text(max_size=12))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(keys, values, max_size=4))
def test_toml_round_trips(tmp_path_factory: pytest.TempPathFactory, table: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("toml") / "t.toml"
    path.write_bytes(to_toml({"run": table}).encode())
    assert load([path]) == {"run": table}


def test_none_is_omitted() -> None:
    assert "note" not in to_toml({"learner": Outer().model_dump()})
