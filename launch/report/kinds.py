"""The report's section about composed questions, from the status of the curriculum."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from protocol.run.directory import RunDir
from protocol.wire.proposals import KindStatus

COMPOSED = "composed"  # skill of composed questions in the records
_SHOWN = 60  # kinds


def read_kinds(run: RunDir) -> list[KindStatus]:
    """The kinds in the status of the curriculum; entries of another form are left out."""
    kinds = []
    for one in (run.read_status("curriculum") or {}).get("kinds") or ():
        try:
            kinds.append(msgspec.convert(one, KindStatus))
        except msgspec.ValidationError:
            continue
    return kinds


def kind_rows(run: RunDir) -> list[dict[str, Any]]:
    """The values of the page's template for each kind that has an accepted question."""
    return [
        {
            "example": kind.example,
            "program": kind.program,
            "depth": kind.kind.depth,
            "accepted": kind.accepted,
            "examined": kind.accepted + sum(kind.rejected.values()),
            "asked": kind.asked,
            "taught": f"{100 * kind.first_success:.0f} → {100 * kind.last_success:.0f} %" if kind.asked else "–",
            "state": f"retired, {kind.retired}" if kind.retired else f"{100 * kind.share:.0f} %",
        }
        for kind in read_kinds(run)
        if kind.example
    ][:_SHOWN]


def kind_figures(run: RunDir) -> str:
    """One or two sentences about what was proposed, accepted and rejected."""
    kinds = read_kinds(run)
    rejected = sum((Counter(kind.rejected) for kind in kinds), Counter[str]())
    accepted, retired = sum(kind.accepted for kind in kinds), sum(bool(kind.retired) for kind in kinds)
    why = f" ({', '.join(f'{count:,} {code}' for code, count in rejected.most_common())})" if rejected else ""
    return (
        f"{len(kinds)} kinds, {retired} of them retired. Of {accepted + rejected.total():,} questions that the "
        f"simulator examined, {accepted:,} were accepted{why}."
    )
