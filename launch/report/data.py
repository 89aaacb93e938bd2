"""The report's section about data: what was generated, screened out, trained on and replayed, and what it gave."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import Sequence

from launch.report import charts
from launch.report.records import Evaluation, Records, StepRecord

_WINDOW_STEPS = 10  # of the mean success of replayed questions, and of the figures about answers


def data_figures(steps: Sequence[StepRecord]) -> list[tuple[str, str]]:
    """(figure, label) pairs; empty if no step recorded its candidates."""
    candidates = sum(step.candidates for step in steps)
    if not candidates:
        return []
    trained = sum(step.kept for step in steps)
    replayed = sum(step.replayed for step in steps)
    left_out: Counter[str] = Counter()
    for step in steps:
        left_out.update(step.left_out)
    why = ", ".join(f"{count:,} {reason}" for reason, count in left_out.most_common())
    return [
        (f"{candidates:,}", "questions generated"),
        (f"{sum(step.screened for step in steps):,}", f"screened out ({why})" if why else "screened out"),
        (f"{trained - replayed:,}", "distinct questions trained on"),
        (f"{trained / max(trained - replayed, 1):.1f}", "uses per question"),
        *_answer_figures(steps),
    ]


def _answer_figures(steps: Sequence[StepRecord]) -> list[tuple[str, str]]:
    """What the answers of the last steps look like; empty for records without counts of answers."""
    last = [step for step in steps if step.rewarded][-_WINDOW_STEPS:]
    answers = sum(step.rewarded for step in last)
    if not answers:
        return []
    return [
        (f"{sum(step.readable for step in last) / answers:.0%}", "of the last answers readable"),
        (f"{sum(step.truncated for step in last) / answers:.1%}", "of the last answers cut off"),
        (f"{sum(step.answer_tokens for step in last) / answers:,.0f}", "tokens in an answer"),
    ]


def score_chart(records: Records) -> str:
    """Held-out score against the distinct questions and all questions trained on."""
    distinct = _at_steps([step.kept - step.replayed for step in records.steps], records.steps)
    presented = _at_steps([step.kept for step in records.steps], records.steps)
    scored = [(evaluation, _mean(evaluation)) for evaluation in records.evaluations]
    lines = []
    for color, (name, count) in enumerate({"distinct": distinct, "with replays": presented}.items()):
        points = [(float(count[evaluation.step]), score) for evaluation, score in scored if evaluation.step in count]
        if len(points) > 1:
            xs, ys = zip(*points)
            lines.append(charts.Series(name, xs, ys, color, emphasis=not color))
    return charts.line_chart(lines, "questions trained on", (0.0, 1.0), percent=True) if lines else ""


def replay_chart(steps: Sequence[StepRecord]) -> str:
    """Mean success of replayed questions at their last use and at this one."""
    shown = [step for step in steps if step.replayed]
    if len(shown) < 2:
        return ""
    lines = []
    for color, name in enumerate(("at the use before", "when replayed")):
        sums = [step.after_replay if color else step.before_replay for step in shown]
        means = []
        for index in range(len(shown)):
            window = slice(max(0, index - _WINDOW_STEPS + 1), index + 1)
            means.append(sum(sums[window]) / sum(step.replayed for step in shown[window]))
        lines.append(charts.Series(name, [step.step for step in shown], means, color, emphasis=bool(color)))
    return charts.line_chart(lines, "step", (0.0, 1.0), percent=True)


def _at_steps(counts: Sequence[int], steps: Sequence[StepRecord]) -> dict[int, int]:
    """The running total after each step, and 0 before the first."""
    return {0: 0, **dict(zip((step.step for step in steps), accumulate(counts)))}


def _mean(evaluation: Evaluation) -> float:
    return evaluation.mean(evaluation.skills()) or 0.0
