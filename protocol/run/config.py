"""Configuration: TOML overlays merged in order, then `key=value` settings, checked by one strict model per table.

    tree = load([Path("configs/demo.toml")], sets=["learner.lr=1e-5"])
    settings = section(tree, "learner", LearnerSettings)

Each package defines the model of its own table in <package>/settings.py; this module knows only the table names.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional, Sequence, TypeVar, Union, get_args

import pydantic

from protocol.errors import VantageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLES = ("run", "sim", "curriculum", "learner", "proposer")

Tree = dict[str, Any]


class Section(pydantic.BaseModel):
    """Base of every settings model: unknown keys and values of another type are errors, instances are immutable.

    Checking is strict as in JSON: an array fills a tuple and an integer fills a float, but "3" is not a number and 1
    is not a boolean.
    """

    model_config = pydantic.ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class RunSettings(Section):
    """The [run] table, which every process reads."""

    name: str = ""  # empty: the config's name
    seed: int = pydantic.Field(default=0, ge=0, lt=2**31)
    trackers: tuple[str, ...] = ()  # experiment trackers: tensorboard, trackio, wandb

    @pydantic.field_validator("name")
    @classmethod
    def _file_name(cls, name: str) -> str:
        if not re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})?", name):
            raise ValueError("must be at most 64 letters, digits, '.', '_' and '-', the first a letter or digit")
        return name


AnySection = TypeVar("AnySection", bound=Section)


def load(paths: Iterable[Path], sets: Sequence[str] = ()) -> Tree:
    """Merge TOML files in order, later ones over earlier ones, then settings such as "learner.lr=1e-5".

    Tables merge key by key; any other value, arrays included, is replaced. A setting is parsed as TOML, or taken as a
    plain string if that fails. Raises VantageError("bad_config").
    """
    tree: Tree = {}
    for path in paths:
        tree = merge(tree, _read(Path(path)))
    for setting in sets:
        tree = merge(tree, _parse_set(setting))
    for table, value in tree.items():
        if table not in TABLES:
            raise VantageError(
                "bad_config", f"unknown table [{table}]{did_you_mean(table, TABLES)}; known are {_listed(TABLES)}."
            )
        if not isinstance(value, dict):
            raise VantageError("bad_config", f"{table} must be a table of keys, not {value!r}.")
    return tree


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Tree:
    """`base` with `over` merged into it; neither is changed."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def section(tree: Mapping[str, Any], name: str, model: type[AnySection]) -> AnySection:
    """The settings of one table. Raises VantageError("bad_config") naming the key and what is allowed."""
    try:
        table = json.dumps(tree.get(name, {}))
    except TypeError:
        raise VantageError("bad_config", f"[{name}] holds a date or time, which no setting accepts.") from None
    try:
        return model.model_validate_json(table)
    except pydantic.ValidationError as error:
        raise VantageError("bad_config", _sentence(name, model, error)) from None


def to_toml(tree: Mapping[str, Any]) -> str:
    """The tree as TOML text, which `load` reads back to the same tree. Keys with value None are omitted."""
    lines: list[str] = []
    _write_table(lines, (), tree)
    return "\n".join(lines).lstrip("\n") + "\n"


# ----------------------------------------------------------------------------- reading


def _read(path: Path) -> Tree:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise VantageError("bad_config", f"there is no config file {path}.") from None
    except OSError as error:
        raise VantageError("bad_config", f"config file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise VantageError("bad_config", f"config file {path} is not valid TOML: {error}.") from None


def _parse_set(setting: str) -> Tree:
    key, equals, text = setting.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or len(parts) < 2 or not all(parts):
        raise VantageError("bad_config", f"a setting is written table.key=value, not {setting!r}.")
    try:
        value: Any = tomllib.loads("value = " + text)["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for part in reversed(parts):
        value = {part: value}
    return value


# ----------------------------------------------------------------------------- sentences

_WORDS = (  # pydantic's wording -> ours
    ("Input should be", "must be"),
    ("greater than or equal to", "at least"),
    ("less than or equal to", "at most"),
    ("a valid ", "a "),
    ("a integer", "an integer"),
    ("a array", "an array"),
)


def _sentence(name: str, model: type[Section], error: pydantic.ValidationError) -> str:
    """One sentence about the first problem, followed by the number of further problems."""
    problems = error.errors(include_url=False)
    first = problems[0]
    loc = first["loc"]
    key = ".".join(str(part) for part in (name, *loc))
    if first["type"] == "extra_forbidden":
        parent = _model_at(model, loc[:-1])
        known = sorted(parent.model_fields) if parent else []
        where = ".".join(str(part) for part in (name, *loc[:-1]))
        text = f"unknown key {key}{did_you_mean(str(loc[-1]), known)}; [{where}] knows {_listed(known)}"
    elif first["type"] == "missing":
        text = f"{key} is required"
    elif isinstance(first["input"], dict) and first["type"] == "value_error":
        text = f"[{key}]: {_reason(first)}"  # about several keys of a table; the reason names them
    else:
        text = f"{key} = {json.dumps(first['input'], default=str)}: {_reason(first)}"
    more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
    return f"{text}{more}."


def _reason(problem: Any) -> str:
    """The problem with one value in plain words."""
    kind, ctx = problem["type"], problem.get("ctx", {})
    if kind == "value_error":
        return str(ctx["error"])
    if kind == "string_pattern_mismatch" and (choices := re.fullmatch(r"\^\(([\w|]+)\)\$", ctx["pattern"])):
        known = choices[1].split("|")
        return f"must be one of {_listed(known)}{did_you_mean(problem['input'], known)}"
    if kind == "too_short":
        return f"needs at least {ctx['min_length']} item{'s' if ctx['min_length'] > 1 else ''}"
    words = problem["msg"]
    for theirs, ours in _WORDS:
        words = words.replace(theirs, ours)
    return words


def _model_at(model: type[pydantic.BaseModel], loc: Sequence[Union[int, str]]) -> Optional[type[pydantic.BaseModel]]:
    """The model at `loc` below `model`."""
    current: Optional[type[pydantic.BaseModel]] = model
    for part in loc:
        if isinstance(part, int) or current is None:
            continue  # an array index: items share the model of the array
        field = current.model_fields.get(part)
        if field is not None:
            current = _model_in(field.annotation)
    return current


def _model_in(annotation: Any) -> Optional[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _model_in(argument))), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ ", did you mean NAME" where one of the known words is close, else ""."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]}" if close else ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "no keys"


# ----------------------------------------------------------------------------- writing


def _write_table(lines: list[str], path: tuple[str, ...], table: Mapping[str, Any]) -> None:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping) and value is not None}
    if path and (plain or not table):
        lines += ["", "[" + ".".join(map(_key, path)) + "]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, Mapping):
            _write_table(lines, (*path, key), value)


def _key(key: str) -> str:
    bare = key and all(char.isascii() and (char.isalnum() or char in "-_") for char in key)
    return key if bare else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        items = (f"{_key(key)} = {_value(item)}" for key, item in value.items() if item is not None)
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    raise TypeError(f"TOML has no {type(value).__name__}")
