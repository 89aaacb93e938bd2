"""Charts as inline SVG text. Colours are CSS classes (c0, c1, …), so that the page's light and dark themes apply.

Every chart is 520 units wide and scales with the page; the <title> of a mark is its tooltip.
"""

from __future__ import annotations

import math
from html import escape
from typing import NamedTuple, Optional, Sequence

WIDTH = 520
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 28
COLORS = 11  # classes c0..c10 of the page


class Series(NamedTuple):
    """A named line through (x, y) points, x ascending. `color` numbers a CSS class; `low` and `high` bound a band."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    color: int
    emphasis: bool = False
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def line_chart(
    series: Sequence[Series], x_label: str, y_range: Optional[tuple[float, float]] = None, percent: bool = False
) -> str:
    """Lines over a shared x axis; with `percent`, y is a fraction shown in per cent."""
    points = [(x, y) for line in series for x, y in zip(line.xs, line.ys) if math.isfinite(y)]
    if not points:
        return ""
    frame = _Frame(
        (min(x for x, _ in points), max(x for x, _ in points)),
        y_range or _padded(min(y for _, y in points), max(y for _, y in points)),
        height=230,
    )
    body = [frame.axes(x_label, percent)]
    for line in sorted(series, key=lambda item: item.emphasis):
        shown = [(x, y) for x, y in zip(line.xs, line.ys) if math.isfinite(y)]
        if line.low:
            edge = [frame.point(x, y) for x, y in zip(line.xs, line.high)]
            edge += [frame.point(x, y) for x, y in zip(line.xs[::-1], line.low[::-1])]
            body.append(f'<polygon class="band c{line.color}" points="{" ".join(edge)}"/>')
        path = " ".join(frame.point(x, y) for x, y in shown)
        weight = " strong" if line.emphasis else ""
        body.append(f'<polyline class="line c{line.color}{weight}" points="{path}"/>')
        if len(shown) <= 60:
            for x, y in shown:
                value = f"{100 * y:.1f} %" if percent else f"{y:.3g}"
                cx, cy = frame.point(x, y).split(",")
                title = f"{line.name}: {value} at {x_label} {_number(x)}"
                body.append(
                    f'<circle class="dot c{line.color}" cx="{cx}" cy="{cy}" r="{3.2 if line.emphasis else 2.2}">'
                    f"<title>{escape(title)}</title></circle>"
                )
    return frame.svg(body)


def area_chart(names: Sequence[str], xs: Sequence[float], fractions: Sequence[Sequence[float]], x_label: str) -> str:
    """Stacked areas: `fractions[i][t]` of name i at xs[t], each column summing to 1. Name i has color i."""
    if not xs:
        return ""
    frame = _Frame((xs[0], xs[-1]), (0.0, 1.0), height=230)
    body = []
    below = [0.0] * len(xs)
    for index, name in enumerate(names):
        above = [base + fraction for base, fraction in zip(below, fractions[index])]
        edge = [frame.point(x, y) for x, y in zip(xs, above)]
        edge += [frame.point(x, y) for x, y in zip(xs[::-1], below[::-1])]
        body.append(
            f'<polygon class="area c{index % COLORS}" points="{" ".join(edge)}"><title>{escape(name)}</title></polygon>'
        )
        below = above
    return frame.svg([frame.axes(x_label, percent=True), *body])


def bars(parts: Sequence[tuple[str, float]], unit: str) -> str:
    """Horizontal bars, longest first."""
    if not parts:
        return ""
    ordered = sorted(parts, key=lambda part: -part[1])
    most = max(value for _, value in ordered) or 1.0
    row, label = 26, 90
    total = sum(value for _, value in ordered) or 1.0
    body = []
    for index, (name, value) in enumerate(ordered):
        y = index * row
        width = (WIDTH - label - 130) * value / most
        body.append(
            _text("label", label - 8, y + 17, name, "end")
            + f'<rect class="bar c0" x="{label}" y="{y + 5}" width="{width:.1f}" height="16" rx="2"/>'
            + _text("label", label + width + 8, y + 17, f"{value:.2f} {unit} · {_percent(value / total)}", "start")
        )
    return f'<svg viewBox="0 0 {WIDTH} {row * len(ordered)}" role="img">{"".join(body)}</svg>'


Shade = tuple[float, str, str]  # of a cell of a heat map: fraction 0 to 1, text, tooltip


def before_after(before: tuple[float, int], after: tuple[float, int], what: str) -> Optional[Shade]:
    """The cell for (right, asked) before, of 0 questions if unknown, and after; None if there is no after."""
    if not after[1]:
        return None
    text = f"{100 * after[0] / after[1]:.0f}"
    if before[1]:
        text = f"{100 * before[0] / before[1]:.0f} → {text}"
    return after[0] / after[1], text, f"{what}: {text} % of {after[1]} questions"


def heatmap(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[Optional[Shade]]]) -> str:
    """A cell for each value; None leaves it empty. The hue follows the fraction."""
    cell_w, cell_h, label, top = 84, 28, 158, 24
    body = [
        _text("label", label + column * cell_w + cell_w / 2, 16, name, "middle") for column, name in enumerate(columns)
    ]
    for r, name in enumerate(rows):
        y = top + r * cell_h
        body.append(_text("label", label - 8, y + 19, name, "end"))
        for c, value in enumerate(values[r]):
            if value is None:
                continue
            fraction, text, tip = value
            hue = 8 + 135 * min(max(fraction, 0.0), 1.0)
            x = label + c * cell_w
            body.append(
                f'<g><title>{escape(tip)}</title><rect class="cell" style="--h:{hue:.0f}" x="{x + 1}" y="{y + 1}" '
                f'width="{cell_w - 2}" height="{cell_h - 2}" rx="3"/>'
                + _text("celltext", x + cell_w / 2, y + 19, text, "middle")
                + "</g>"
            )
    width, height = max(label + len(columns) * cell_w, WIDTH), top + len(rows) * cell_h
    return f'<svg viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img">{"".join(body)}</svg>'


class _Frame:
    """Maps data to chart units and draws the axes."""

    def __init__(self, x_range: tuple[float, float], y_range: tuple[float, float], height: int) -> None:
        self.x0, self.x1 = x_range if x_range[1] > x_range[0] else (x_range[0] - 0.5, x_range[0] + 0.5)
        self.y0, self.y1 = y_range
        self.height = height

    def point(self, x: float, y: float) -> str:
        return f"{self._x(x):.1f},{self._y(y):.1f}"

    def _x(self, x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - self.x0) / (self.x1 - self.x0)

    def _y(self, y: float) -> float:
        fraction = (min(max(y, self.y0), self.y1) - self.y0) / (self.y1 - self.y0)
        return self.height - BOTTOM - (self.height - TOP - BOTTOM) * fraction

    def axes(self, x_label: str, percent: bool) -> str:
        parts = []
        for tick in _ticks(self.y0, self.y1, 5):
            y = self._y(tick)
            text = f"{100 * tick:.0f} %" if percent else _number(tick)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(_text("tick", LEFT - 6, y + 4, text, "end"))
        parts += [
            _text("tick", self._x(tick), self.height - 12, _number(tick), "middle")
            for tick in _ticks(self.x0, self.x1, 6, least=1.0)
        ]
        parts.append(_text("tick", WIDTH - RIGHT, self.height + 2, x_label, "end"))
        return "".join(parts)

    def svg(self, body: Sequence[str]) -> str:
        return f'<svg viewBox="0 0 {WIDTH} {self.height}" role="img">{"".join(body)}</svg>'


def _text(style: str, x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _ticks(low: float, high: float, most: int, least: float = 0.0) -> list[float]:
    """About `most` round numbers in low..high, at least `least` apart."""
    rough = max((high - low) / most, least)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _padded(low: float, high: float) -> tuple[float, float]:
    pad = (high - low) * 0.08 or 0.5
    return low - pad, high + pad


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %" if fraction >= 0.005 or not fraction else "<1 %"


def _number(value: float) -> str:
    return f"{value:.10g}" if abs(value) < 1e6 else f"{value:.3g}"
