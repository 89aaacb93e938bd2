"""Questions from outside as files, and as specs: what `sim-server propose` and `curriculum propose` share."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Iterator

import msgspec

from protocol.errors import VantageError
from protocol.tasks.task import PROPOSED, Proposal, QuestionSpec, TaskSpec
from protocol.wire.messages import Propose

MAX_BYTES = 64 * 2**20
_SHOWN = "docs/12-language.md shows one"


def read_proposals(path: Path) -> Iterator[Propose]:
    """The proposals in a file: one as JSON, or one per line where its name ends in .jsonl.

    One without a `proposal_id` is named by its file and line. Raises VantageError("bad_request").
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise VantageError("bad_request", f"{path} is larger than {MAX_BYTES // 2**20} MiB; split it.")
        content = path.read_bytes()
    except OSError as error:
        raise VantageError("bad_request", f"{path} cannot be read: {error.strerror}.") from None
    if not content.strip():
        raise VantageError("bad_request", f"{path} holds no proposal; {_SHOWN}.")
    lines = content.splitlines() if path.suffix == ".jsonl" else [content]
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            proposal = msgspec.json.decode(line, type=Propose)
        except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
            where = f"{path} line {number}" if path.suffix == ".jsonl" else str(path)
            raise VantageError("bad_request", f"{where} is no proposal ({error}); {_SHOWN}.") from None
        name = proposal.proposal_id or f"{path.name}:{number}"
        yield msgspec.structs.replace(proposal, proposal_id=name)


def proposal_key(proposal: Propose) -> str:
    """The same for the same question about the same scene and views, whatever it is called."""
    asked = msgspec.structs.replace(proposal, proposal_id="", sensors=("rgb",), image_codec="raw")
    return hashlib.blake2b(msgspec.msgpack.encode(asked), digest_size=12).hexdigest()


def spec_of(proposal: Propose, spec_id: str) -> TaskSpec:
    """The order for the episode that `proposal` becomes; a simulator draws for it what it drew when it tested it."""
    question = Proposal(
        text=proposal.text,
        program=proposal.program,
        answer_type=proposal.answer_type,
        options=proposal.options,
        unit=proposal.unit,
        poses=proposal.poses,
        proposal_id=proposal.proposal_id,
    )
    return TaskSpec(
        spec_id=spec_id,
        run_seed=proposal.run_seed,
        seq=proposal.seq,
        scene=proposal.scene,
        question=QuestionSpec(PROPOSED),
        camera=proposal.camera,
        max_views=proposal.max_views,
        proposal=question,
    )


def proposal_of(spec: TaskSpec) -> Propose:
    """What `spec_of` was given, its sensors and codec aside. The spec carries a proposal."""
    asked = spec.proposal
    assert asked is not None
    return Propose(
        scene=spec.scene,
        text=asked.text,
        program=asked.program,
        answer_type=asked.answer_type,
        options=asked.options,
        unit=asked.unit,
        camera=spec.camera,
        poses=asked.poses,
        max_views=spec.max_views,
        proposal_id=asked.proposal_id,
        run_seed=spec.run_seed,
        seq=spec.seq,
    )
