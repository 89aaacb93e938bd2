"""The pages under docs/ and the README: links, commands, options, configuration keys and defaults exist in the code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pydantic
import pytest
import tomllib
import typer

from curriculum.settings import CurriculumSettings
from learner.settings import LearnerSettings
from protocol.run.config import section
from sim_server.settings import SimSettings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TABLES: dict[str, type[pydantic.BaseModel]] = {
    "sim": SimSettings,
    "learner": LearnerSettings,
    "learner.evaluate": type(LearnerSettings().evaluate),
    "learner.sft": type(LearnerSettings().sft),
}
COMMANDS = ("sim-server", "curriculum", "proposer", "learner", "vantage")


def parts(text: str, language: str) -> list[str]:
    """The code blocks of a page in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def commands() -> Iterator[tuple[str, list[str]]]:
    """(page, words) of every command line of ours in shell blocks and in tables."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in parts(text, "sh") for line in block.replace("\\\n", " ").splitlines()]
        inline = re.findall(rf"`((?:{'|'.join(COMMANDS)}) [^`]+)`", text)
        for line in (*lines, *inline):
            words = shlex.split(line.replace("…", "").replace("[", " ").replace("]", " "), comments=True)
            while words and "=" in words[0]:  # variables of the environment
                words = words[1:]
            if len(words) > 1 and words[0] in COMMANDS and not words[1].startswith("<"):
                yield f"{page.name}: {line}", words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize(
    ("where", "words"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_commands_exist(where: str, words: list[str]) -> None:
    module = {"sim-server": "sim_server"}.get(words[0], words[0])
    app = typer.main.get_command(import_module(f"{module}.cli").app)
    verb = app.commands.get(words[1])  # type: ignore[attr-defined]
    assert verb is not None, where
    known = {option for parameter in verb.params for option in (*parameter.opts, *parameter.secondary_opts)}
    ours = words[2 : words.index("--") if "--" in words else None]
    for word in ours:
        assert not word.startswith("--") or word.partition("=")[0] in {*known, "--help"}, f"{where}: {word}"


def documented_keys() -> Iterator[tuple[str, str, str]]:
    """(table, key, default) of every table whose first column is headed "key in `[table]`"."""
    for page in PAGES:
        for table, body in re.findall(
            r"^\| key in `\[([\w.]+)\]` \| default \|.*\n\|[-|]+\n((?:\|.*\n)+)", page.read_text(encoding="utf-8"), re.M
        ):
            for keys, default in re.findall(r"^\| ([^|]+) \| ([^|]+) \|", body, re.M):
                names, values = re.findall(r"`([\w.]+)`", keys), default.split(", ")
                for name, value in zip(names, values if len(values) == len(names) else values * len(names)):
                    yield table, name, value.strip("` ")


@pytest.mark.parametrize(("table", "key", "default"), list(documented_keys()))
def test_keys_have_the_documented_defaults(table: str, key: str, default: str) -> None:
    value = TABLES[table]()
    for name in key.split("."):
        value = getattr(value, name)
    assert value == (tuple(found) if isinstance(found := tomllib.loads(f"x = {default}")["x"], list) else found)


def test_the_curriculum_s_settings_block_shows_the_defaults() -> None:
    *examples, block = parts((ROOT / "docs" / "guides" / "curriculum.md").read_text(encoding="utf-8"), "toml")
    for example in examples:
        section(tomllib.loads(example), "curriculum", CurriculumSettings)
    shown = tomllib.loads(block)["curriculum"]
    del shown["skills"], shown["worlds"]
    assert section({"curriculum": shown}, "curriculum", CurriculumSettings) == CurriculumSettings()
