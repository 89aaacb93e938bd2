"""Proposals in files: what `sim-server propose` and `curriculum propose` share.

A proposal is a TaskSpec that carries its question, program and answer type (`TaskSpec.proposal`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Iterator

import msgspec

from protocol.errors import VantageError
from protocol.tasks.check import as_name, check_name
from protocol.tasks.task import PROPOSED, QuestionSpec, TaskSpec

MAX_BYTES = 64 * 2**20
_EXAMPLE = "docs/reference/language.md has an example"


def read_proposals(path: Path) -> Iterator[TaskSpec]:
    """The proposals in a file: one JSON object, or one per line if its name ends in .jsonl.

    A proposal without a `spec_id` is named by its file and line. Raises VantageError("bad_request").
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise VantageError("bad_request", f"{path} is larger than {MAX_BYTES // 2**20} MiB; split it.")
        content = path.read_bytes()
    except OSError as error:
        raise VantageError("bad_request", f"{path} cannot be read: {error.strerror}.") from None
    if not content.strip():
        raise VantageError("bad_request", f"{path} is empty; {_EXAMPLE} of a proposal.")
    lines = content.split(b"\n") if path.suffix == ".jsonl" else [content]
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{path} line {number}" if path.suffix == ".jsonl" else str(path)
            yield _parse(line, where, default_id=as_name(f"{path.name}:{number}"))


def _parse(line: bytes, where: str, default_id: str) -> TaskSpec:
    try:
        spec = msgspec.json.decode(line, type=TaskSpec)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise VantageError("bad_request", f"{where} is not a valid proposal ({error}); {_EXAMPLE}.") from None
    if spec.proposal is None:
        raise VantageError("bad_request", f"{where} has no `proposal`; {_EXAMPLE}.")
    if spec.spec_id:
        check_name(spec.spec_id, f"the spec_id in {where}")
    return msgspec.structs.replace(spec, spec_id=spec.spec_id or default_id, question=QuestionSpec(PROPOSED))


def proposal_key(spec: TaskSpec) -> str:
    """Equal for the same question about the same scene and views, whatever its id and kind."""
    fields = msgspec.to_builtins(msgspec.structs.replace(spec, spec_id=""))
    fields["proposal"].pop("kind")
    for owner, field in (("proposal", "rule"), ("scene", "wishes")):  # so that keys of earlier versions are found
        if not fields[owner][field]:
            del fields[owner][field]
    return hashlib.blake2b(msgspec.msgpack.encode(fields), digest_size=12).hexdigest()
