"""The report of a run: report.html, one self-contained page made from the run's files alone. It works offline."""

from __future__ import annotations

import base64
import time
from collections import Counter
from pathlib import Path
from typing import Any, Optional, Sequence

import jinja2
from markupsafe import Markup

from launch.report import charts
from launch.report.data import data_figures, replay_chart, score_chart
from launch.report.kinds import COMPOSED, kind_figures, kind_rows
from launch.report.records import EpisodeRecord, Records, SkillChange, StepRecord, gallery, is_relational, split_cell
from launch.report.worlds import issued_chart, world_heatmap, world_names, world_rows, world_shares
from protocol.run.config import to_toml
from protocol.run.directory import RunDir, write_atomic

GALLERY = 18  # episodes
GALLERY_ANSWERS = 4
SMALL_PX = 256  # images up to this width are scaled without smoothing
_IMAGE_TYPES = {".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


def write_report(run: RunDir) -> Path:
    """Write or replace the run's report.html and return its path."""
    path = run.path / "report.html"
    write_atomic(path, render(Records(run).update()).encode())
    return path


def render(records: Records) -> str:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    skills = _skills(records)
    changes = records.changes()
    return templates.get_template("report.html.jinja").render(
        name=records.run.name,
        seed=records.run.seed,
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        headline=_headline(records, changes),
        changes=changes,
        is_relational=is_relational,
        legend=[(name, index % charts.COLORS) for index, name in enumerate(skills)],
        held_out=Markup(_held_out_chart(records, skills)),
        reward=Markup(_reward_chart(records)),
        asked=Markup(_asked_chart(records, skills)),
        purposes=_purposes(records),
        no_gradient=Markup(_no_gradient_chart(records)),
        data_figures=data_figures(records.steps),
        data_score=Markup(score_chart(records)),
        replay=Markup(replay_chart(records.steps)),
        heatmap=Markup(_heatmap(records, skills)),
        worlds=world_rows(records),
        world_heatmap=Markup(world_heatmap(records, skills)),
        world_shares=Markup(world_shares(records)),
        world_legend=[(name, index % charts.COLORS) for index, name in enumerate(world_names(records))],
        step_time=Markup(_step_time(records.steps)),
        kinds=kind_rows(records.run),
        kind_figures=kind_figures(records.run),
        galleries=_galleries(records.run),
        config=to_toml(records.run.config),
        done=records.run.read_done("learner"),
        small_views=records.run.config.get("curriculum", {}).get("world", {}).get("width_px", 0) <= SMALL_PX,
    )


# ----------------------------------------------------------------------------- parts of the page


def _skills(records: Records) -> list[str]:
    """Every skill of the run, relational ones first; the position of a skill is its colour on every chart."""
    names = {skill for evaluation in records.evaluations for skill in evaluation.skills()}
    names |= {split_cell(cell)[0] for lease in records.leases for cell in lease.cells}
    return sorted(names, key=lambda name: (not is_relational(name), name))


def _headline(records: Records, changes: Sequence[SkillChange]) -> list[tuple[str, str]]:
    """(figure, label) pairs for the top of the page."""
    figures = []
    for relational, label in ((True, "relational skills, held out"), (False, "perception, held out")):
        rows = [row for row in changes if is_relational(row.skill) == relational]
        if rows:
            before = 100 * sum(row.before for row in rows) / len(rows)
            after = 100 * sum(row.after for row in rows) / len(rows)
            figures.append((f"{before:.1f} → {after:.1f} %", f"{label} ({after - before:+.1f} points)"))
    if records.steps:
        figures.append((str(records.steps[-1].step), "training steps"))
        minutes = (records.steps[-1].time_s - records.steps[0].time_s) / 60
        figures.append((f"{minutes:.1f} min", "from first to last step"))
    if records.leases:
        figures.append((f"{sum(sum(lease.cells.values()) for lease in records.leases):,}", "questions issued"))
    return figures


def _held_out_chart(records: Records, skills: Sequence[str]) -> str:
    lines = []
    for index, skill in enumerate(skills):
        points = [
            (evaluation.step, right / asked)
            for evaluation in records.evaluations
            for right, asked in [evaluation.greedy(skill)]
            if asked
        ]
        if points:
            xs, ys = zip(*points)
            lines.append(charts.Series(skill, xs, ys, index % charts.COLORS, emphasis=is_relational(skill)))
    return charts.line_chart(lines, "step", (0.0, 1.0), percent=True)


def _reward_chart(records: Records) -> str:
    xs = [step.step for step in records.steps]
    rewards = [step.reward for step in records.steps]
    window = max(1, len(rewards) // 25)
    smooth = [sum(rewards[max(0, t - window) : t + 1]) / (t + 1 - max(0, t - window)) for t in range(len(rewards))]
    return charts.line_chart(
        [charts.Series("reward", xs, rewards, 9), charts.Series("smoothed", xs, smooth, 0, emphasis=True)], "step"
    )


def _no_gradient_chart(records: Records) -> str:
    shown = [step for step in records.steps if step.no_gradient is not None]
    ys = [step.no_gradient or 0.0 for step in shown]
    lines = [charts.Series("without gradient", [step.step for step in shown], ys, 2, emphasis=True)]
    return charts.line_chart(lines, "step", (0.0, 1.0), percent=True)


def _asked_chart(records: Records, skills: Sequence[str]) -> str:
    """Proportion of each skill among the specs issued."""
    return issued_chart(records, skills, lambda cell: split_cell(cell)[0])


def _purposes(records: Records) -> list[tuple[str, str]]:
    count: Counter[str] = Counter()
    for lease in records.leases:
        count.update(lease.purposes)
    total = sum(count.values()) or 1
    return [(purpose, f"{100 * number / total:.0f}\u00a0%") for purpose, number in count.most_common()]


def _heatmap(records: Records, skills: Sequence[str]) -> str:
    """Held-out accuracy per skill and level, "before → after" in each cell, coloured by the last evaluation."""
    last = records.after or (records.evaluations[-1] if records.evaluations else None)
    if last is None:
        return ""
    levels = sorted({score.level for score in last.scores})
    rows = [skill for skill in skills if last.greedy(skill)[1]]
    before = records.before if last is not records.before else None

    def cell(skill: str, level: int) -> Optional[charts.Shade]:
        was = before.greedy(skill, level) if before else (0.0, 0)
        return charts.before_after(was, last.greedy(skill, level), f"{skill}, level {level}")

    values = [[cell(skill, level) for level in levels] for skill in rows]
    return charts.heatmap(rows, [f"level {level}" for level in levels], values)


def _step_time(steps: Sequence[StepRecord]) -> str:
    """Mean wall seconds of each part of a step."""
    total: Counter[str] = Counter()
    for step in steps:
        total.update(step.seconds)
    return charts.bars([(name, seconds / len(steps)) for name, seconds in total.items()], "s") if steps else ""


def _galleries(run: RunDir) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """(title, explanation, episodes) of the latest questions of skills, and of the latest composed ones."""
    titles = {
        "Episodes": "The latest training questions with their rendered views, the policy's answers (as a fraction of "
        "the group) and the true answer, computed by a program from the scene.",
        "Composed episodes": "The latest questions that the loop wrote itself.",
    }
    shown = (gallery(run, GALLERY, COMPOSED, without=True), gallery(run, GALLERY, COMPOSED))
    items = [[_gallery_item(episode) for episode in episodes] for episodes in shown]
    return [(title, about, one) for (title, about), one in zip(titles.items(), items) if one]


def _gallery_item(episode: EpisodeRecord) -> dict[str, Any]:
    """The values of the page's template for one episode; images as data URLs."""
    answers = Counter(episode.answers)
    return {
        "images": [
            f"data:{_IMAGE_TYPES.get(path.suffix, 'image/png')};base64,{base64.b64encode(path.read_bytes()).decode()}"
            for path in episode.images
        ],
        "question": episode.question,
        "truth": episode.truth,
        "program": episode.program,
        "skill": episode.skill,
        "level": episode.level,
        "step": episode.step,
        "blind": episode.blind,
        "degraded": episode.degradation,
        "answers": [
            {
                "text": text or "(empty)",
                "fraction": count / len(episode.answers),
                "right": _expanded(text, episode.options) == episode.truth,
            }
            for text, count in answers.most_common(GALLERY_ANSWERS)
        ],
    }


def _expanded(answer: str, options: Sequence[str]) -> str:
    """The option that a letter names; any other answer unchanged."""
    index = ord(answer) - ord("A") if len(answer) == 1 else -1
    return options[index] if 0 <= index < len(options) else answer
