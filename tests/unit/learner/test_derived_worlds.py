"""Offline evaluation asks about the worlds that the curriculum has derived."""

from __future__ import annotations

from pathlib import Path

from learner.evaluate.offline import derived_worlds
from protocol.run.directory import RunDir
from protocol.tasks.specs import World


def test_derived_worlds_come_from_the_last_status_of_the_curriculum(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", {})
    assert derived_worlds(run) == {}, "no curriculum has run"
    dark = World(name="plain-1", lights=("night",))
    run.write_status(
        "curriculum",
        {
            "worlds": [
                {"name": "plain", "settings": "", "retired": ""},
                {"name": "plain-1", "settings": dark.model_dump_json(), "retired": ""},
                {"name": "plain-2", "settings": dark.model_dump_json(), "retired": "too hard"},
                {"name": "of-an-earlier-version"},
            ]
        },
    )
    assert derived_worlds(run) == {"plain-1": dark}
