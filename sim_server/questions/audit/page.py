"""The audit as one HTML file that works offline: a table, then images with question, answer, program and oracle."""

from __future__ import annotations

import base64
import html
import io
from typing import Sequence

import numpy as np
from PIL import Image

from sim_server.questions.audit.blind import BlindScore
from sim_server.questions.audit.tally import AuditRow, Example

SCALE_TO_PX = 240
REASONS_SHOWN = 3  # per row; audit.json has all of them
COLORS = ((230, 60, 60), (40, 110, 230), (20, 150, 70), (230, 150, 20), (150, 60, 200))  # by order in the sentence

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60666d; --rule: #e3e6ea; --bad: #ffe3e0; --code: #33507a }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #98a1ad; --rule: #2d333c; --bad: #4a2320; --code: #9db8e0 }
  body { background: #14171b }
}
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 88rem; padding: 0 1rem; color: var(--ink) }
.scroll { overflow-x: auto }
table { border-collapse: collapse; margin: 1rem 0; font-size: 14px; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .5rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap }
th:first-child, td:first-child, .why { text-align: left } td.why { white-space: normal; color: var(--soft) }
.why { min-width: 14rem } .bad { background: var(--bad) }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); gap: 1rem }
.card { border: 1px solid var(--rule); border-radius: 8px; padding: .8rem }
.views { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: 4px }
.views img { width: 100%; border-radius: 4px; image-rendering: pixelated }
.question { font-weight: 600; margin: .5rem 0 .2rem }
code { font-size: 12px; word-break: break-word; color: var(--code) }
.small { color: var(--soft); font-size: 13px }
"""


def page(rows: Sequence[AuditRow], scores: Sequence[BlindScore], examples: Sequence[Example], title: str) -> str:
    """The complete page, with the questions that failed a check first."""
    wrong = [item for item in examples if not (item.agrees and item.holds)]
    right = [item for item in examples if item.agrees and item.holds]
    realised, agreed = sum(row.realised for row in rows), sum(row.agrees for row in rows)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<meta name=viewport content='width=device-width'><title>{html.escape(title)}</title><style>{_STYLE}</style>",
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{realised} questions of {sum(row.specs for row in rows)} specs. The oracle agrees with {agreed},",
        f"a second run of the program with {sum(row.holds for row in rows)}.</p>",
        _table(rows),
        _blind_table(scores),
    ]
    if wrong:
        parts += [f"<h2>Failed checks ({len(wrong)})</h2><div class=cards>", *map(_card, wrong), "</div>"]
    if right:
        parts += ["<h2>Examples</h2><div class=cards>", *map(_card, right), "</div>"]
    return "\n".join(parts) + "\n</html>\n"


def _table(rows: Sequence[AuditRow]) -> str:
    heads = (
        "skill", "level", "realised", "infeasible", "failed", "placements", "ms", "answers", "bits", "chance", "blind",
        "program", "oracle",
    )  # fmt: skip
    head = "".join(f"<th>{name}</th>" for name in heads)
    lines = [f"<div class=scroll><table><tr>{head}<th class=why>rules that rejected most</th></tr>"]
    for row in rows:
        bad = " class=bad" if row.agrees < row.realised or row.holds < row.realised or row.failed else ""
        cells = (
            row.skill, str(row.level), str(row.realised), str(row.specs - row.realised - row.failed), str(row.failed),
            f"{row.attempts:.1f}", f"{row.ms:.1f}", str(row.answers), f"{row.entropy_bits:.2f}", f"{row.chance:.2f}",
            f"{row.blind:.2f}", f"{row.holds}/{row.realised}", f"{row.agrees}/{row.realised}",
        )  # fmt: skip
        why = html.escape(" · ".join(f"{times} {rule}" for rule, times in list(row.reasons.items())[:REASONS_SHOWN]))
        lines.append(f"<tr{bad}>" + "".join(f"<td>{cell}</td>" for cell in cells) + f"<td class=why>{why}</td></tr>")
    return "\n".join([*lines, "</table></div>"])


def _blind_table(scores: Sequence[BlindScore]) -> str:
    heads = ("skill", "asked", "blind", "chance", "constant", "excess", "error")
    lines = [
        "<h2>Answers without images</h2>",
        "<p>Scores of a reader of the questions alone, of a guess among the options, and of the best constant.</p>",
        "<div class=scroll><table><tr>",
        "".join(f"<th>{name}</th>" for name in heads) + "</tr>",
    ]
    for score in scores:
        numbers = (score.blind, score.chance, score.constant, score.excess, score.error)
        cells = (score.skill, str(score.questions), *(f"{number:.2f}" for number in numbers))
        bad = " class=bad" if score.leaks() else ""
        lines.append(f"<tr{bad}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "\n".join([*lines, "</table></div>"])


def _card(item: Example) -> str:
    question = item.question
    images = "".join(
        f'<img alt="view {index}" src="data:image/png;base64,{_png(rgb, ids, item)}">'
        for index, (rgb, ids) in enumerate(zip(item.rgb, item.ids))
    )
    options = f" of {html.escape(', '.join(question.options))}" if question.options else ""
    unit = f" {html.escape(question.unit)}" if question.unit else ""
    verdict = "agrees" if item.agrees else "DISAGREES"
    scene = item.spec.scene.asset or str(item.spec.scene.seed)
    holds = "" if item.holds else " · a second run of the program gives another answer"
    return (
        f"<div class='card{'' if item.agrees and item.holds else ' bad'}'>"
        f"<div class=views>{images}</div><div class=question>{_marked(item)}</div>"
        f"<div><b>{html.escape(question.answer)}{unit}</b><span class=small>{options}</span></div>"
        f"<code>{html.escape(question.program)}</code>"
        f"<div class=small>oracle: {html.escape(item.oracle)} ({verdict}){holds} · {question.skill} {question.level}"
        f" · margin {question.margin:.3g} · scene {html.escape(scene)}, seq {item.spec.seq}</div>"
        "</div>"
    )


def _marked(item: Example) -> str:
    """The sentence, with every phrase that names an object in the colour of the object's outline."""
    text, parts, last = item.question.text, [], 0
    for index, mention in enumerate(item.question.mentions):
        color = "rgb({},{},{})".format(*COLORS[index % len(COLORS)])
        phrase = html.escape(text[mention.start : mention.end])
        parts += [html.escape(text[last : mention.start]), f"<span style='color:{color}'>{phrase}</span>"]
        last = mention.end
    return "".join([*parts, html.escape(text[last:])])


def _png(rgb: np.ndarray, ids: np.ndarray, item: Example) -> str:
    """A view scaled by an integer factor, with the outlines of the objects that the sentence names."""
    scale = max(1, SCALE_TO_PX // max(rgb.shape[:2]))
    big = np.repeat(np.repeat(rgb, scale, 0), scale, 1)
    owners = np.repeat(np.repeat(ids, scale, 0), scale, 1)
    for index, mention in enumerate(item.question.mentions):
        mask = owners == mention.object_id
        inner = mask.copy()
        for axis in (0, 1):
            for step in (-1, 1):
                inner &= np.roll(mask, step, axis)
        big[mask & ~inner] = COLORS[index % len(COLORS)]
    buffer = io.BytesIO()
    Image.fromarray(big).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
