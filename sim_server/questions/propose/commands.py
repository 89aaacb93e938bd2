"""`sim-server propose`."""

# No postponed annotations here: on Python 3.9 Typer cannot resolve Annotated types in them.

from pathlib import Path
from typing import Annotated, Optional

import msgspec
import typer

from protocol.run.directory import write_atomic
from protocol.tasks.proposals import read_proposals
from protocol.tasks.task import Episode, Proposal, TaskSpec
from protocol.wire.messages import Rejected, RenderTask
from sim_server.questions.language.parser import pointed


def propose(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="A proposal as JSON, or several as JSON lines (.jsonl).")
    ],
    out: Annotated[
        Optional[Path],
        typer.Option("--out", help="File for the question or rejections of each proposal, as JSON lines."),
    ] = None,
    backend: Annotated[str, typer.Option("--backend", help="Simulator.")] = "rooms",
) -> None:
    """Test questions from a person or a model without a service. Exits with 1 if one was rejected."""
    from sim_server.service.core import SimCore
    from sim_server.settings import SimSettings

    proposals = [item for path in files for item in read_proposals(path)]
    core = SimCore(SimSettings(backend=backend))
    lines: list[bytes] = []
    accepted = 0
    for number, spec in enumerate(proposals, start=1):
        proposal = spec.proposal
        assert proposal is not None
        typer.echo(f"{number}. {proposal.text[:200]!r}")
        reply, _ = core.handle(RenderTask(spec, examine=True))
        lines.append(msgspec.json.encode(_record(spec, reply)))
        if isinstance(reply, Rejected):
            _explain(proposal, reply)
            continue
        assert isinstance(reply, Episode)
        question = reply.question
        choices = f", of {', '.join(question.options)}" if question.options else ""
        typer.echo(f"   accepted: {question.answer}{' ' + question.unit if question.unit else ''}{choices}")
        accepted += 1
    core.close()
    if out is not None:
        write_atomic(out, b"".join(line + b"\n" for line in lines))
    typer.echo(f"{accepted} of {len(proposals)} accepted")
    if accepted < len(proposals):
        raise typer.Exit(1)


def _record(spec: TaskSpec, reply: msgspec.Struct) -> dict[str, object]:
    record: dict[str, object] = {"spec_id": spec.spec_id, "accepted": isinstance(reply, Episode)}
    if isinstance(reply, Episode):
        poses = [view.pose for view in reply.views]
        record.update(question=reply.question, scene=spec.scene, camera=spec.camera, poses=poses)
        record.update(scene_id=reply.scene_id, renderer_digest=reply.renderer_digest)
    else:
        assert isinstance(reply, Rejected)
        record["rejections"] = reply.rejections
    return record


def _explain(proposal: Proposal, rejected: Rejected) -> None:
    parts = {"program": proposal.program, "text": proposal.text}
    for one in rejected.rejections:
        typer.echo(f"   {one.code}: {one.message}")
        if one.at >= 0 and one.part in parts:
            for line in pointed(parts[one.part], one.at).splitlines():
                typer.echo(f"      {line}")
