"""The table of the kinds of composed questions on the terminal."""

from __future__ import annotations

from collections import Counter
from typing import Optional, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from protocol.wire.proposals import KindStatus

_RETIRED_SHOWN = 8


def print_kinds(console: Console, kinds: Sequence[KindStatus]) -> None:
    """Print the kinds that are asked, the last ones that were retired (the reason is in the last column), and what was
    rejected."""
    asked = [kind for kind in kinds if not kind.retired]
    retired = [kind for kind in kinds if kind.retired]
    table = Table(title="composed questions", title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1))
    table.add_column("kind, by an example", min_width=18, ratio=1)
    for column in ("accepted", "asked", "right", "taught", "blind", "share"):
        table.add_column(column, justify="right", no_wrap=True)
    for kind in (*asked, *retired[:_RETIRED_SHOWN]):
        table.add_row(
            kind.example or kind.kind.name,
            f"{kind.accepted}/{kind.accepted + sum(kind.rejected.values())}",
            str(kind.asked),
            number(kind.success_rate if kind.asked else None),
            taught(kind),
            number(kind.blind_success),
            kind.retired.partition(":")[0] if kind.retired else f"{100 * kind.share:.0f} %",
        )
    console.print(table)
    rejected = sum((Counter(kind.rejected) for kind in kinds), Counter[str]())
    reasons = Counter(kind.retired.partition(":")[0] for kind in retired)
    accepted = sum(kind.accepted for kind in kinds)
    console.print(
        f"{len(asked)} kinds are asked, {len(retired)} were retired{_listed(reasons)}; "
        f"{accepted + rejected.total()} questions were examined, {accepted} accepted, {rejected.total()} "
        f"rejected{_listed(rejected)}",
        highlight=False,
    )


def taught(kind: KindStatus) -> str:
    """The success over the first and the last questions of a kind."""
    return f"{kind.first_success:.2f} → {kind.last_success:.2f}" if kind.asked else "–"


def number(value: Optional[float]) -> str:
    return "–" if value is None else f"{value:.2f}"


def _listed(counts: Counter[str]) -> str:
    return f" ({', '.join(f'{count} {name}' for name, count in counts.most_common())})" if counts else ""
