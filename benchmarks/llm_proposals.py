"""Count what the simulator accepts of the questions that a language model proposes.

    python -m benchmarks.llm_proposals --url http://127.0.0.1:8000/v1 --model NAME [--calls 8] [--out FILE]

The source `llm` looks at scenes of the demo, with images, and its answers are constrained by the JSON schema and then
by the grammar. A call fails if the server does not answer or its answer is cut off at `--tokens`; a rejected question
is counted by the code of the first reason.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.composed_questions import DEMO, looks_at
from benchmarks.machine import describe_machine
from proposer.llm.source import LanguageModel
from proposer.settings import Endpoint
from protocol.errors import VantageError
from protocol.run.config import load
from protocol.seeds import rng_for
from protocol.tasks.specs import World, world_of
from protocol.tasks.task import TaskSpec
from protocol.wire.messages import Rejected, RenderTask
from protocol.wire.proposals import ProposalRequest, Refusal
from sim_server.service.core import SimCore
from sim_server.settings import SimSettings

_SEED = 12
_SCENES = 700_000  # number of the first scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--calls", type=int, default=8, help="for each constraint")
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--timeout", type=float, default=120.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    core, world = SimCore(SimSettings()), world_of(load([DEMO], []))
    rows = []
    for constraint in ("schema", "grammar"):
        settings = Endpoint(
            url=options.url,
            model=options.model,
            constraint=constraint,
            questions=2,
            max_tokens=options.tokens,
            timeout_s=options.timeout,
            retries=0,
            calls_per_minute=600.0,
        )
        rows.append({"constraint": constraint, **_asked(core, world, settings, options.calls)})
        print(json.dumps(rows[-1]), flush=True)
    if options.out:
        result = {"machine": describe_machine(), "model": options.model, "rows": rows}
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def _asked(core: SimCore, world: World, settings: Endpoint, calls: int) -> dict[str, Any]:
    model = LanguageModel(settings, lambda seconds: bool(time.sleep(seconds)))
    failures: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    refusals: list[Refusal] = []
    examined = accepted = 0
    examples: list[dict[str, str]] = []
    for number in range(calls):
        looks = looks_at(core, world, _SCENES + number, images=True)
        request = ProposalRequest(
            number,
            _SEED,
            tuple(look.spec for look in looks[:1]),
            looks[0].camera,
            new_kinds=8,
            refusals=tuple(refusals),
        )
        try:
            drafts = model.write(request, looks, rng_for(_SEED, "llm", number))
        except VantageError as error:
            failures[f"{error.code}: {error.message.rpartition(': ')[2][:80]}"] += 1
            continue
        for draft in drafts:
            spec = TaskSpec("q", _SEED, number, draft.look.spec, camera=draft.look.camera, proposal=draft.proposal)
            reply, _ = core.handle(RenderTask(spec, ("rgb",), examine=True))
            examined += 1
            first = reply.rejections[0] if isinstance(reply, Rejected) else None
            accepted += first is None
            if first is not None:
                rejected[first.code] += 1
                refusals = [*refusals, Refusal(draft.kind.name, first.code, draft.proposal.text, first.message)][-8:]
            reason = "" if first is None else f"{first.code}: {first.message[:160]}"
            examples.append({"text": draft.proposal.text, "program": draft.proposal.program, "rejected": reason})
    return {
        **model.figures,
        "failures": dict(failures.most_common()),
        "examined": examined,
        "accepted": accepted,
        "rejected": dict(rejected.most_common()),
        "examples": msgspec.to_builtins(examples[:4]),
    }


if __name__ == "__main__":
    main()
