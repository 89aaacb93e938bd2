"""The functions of the lmms-eval task `vantage`: a dataset of `sim-server generate` as lmms-eval reads it.

This file is copied beside the task's YAML and imported by lmms-eval in its own environment, without Vantage.
"""

from __future__ import annotations

import math
from typing import Any, Sequence

_THRESHOLDS = 10  # of the relative error: 0.5, 0.45 ... 0.05


def process_docs(dataset: Any) -> Any:
    """The questions with lettered options or a number as answer; others have no published rule."""
    return dataset.filter(lambda options, truth: bool(options[0]) or _number(truth) is not None, input_columns=_COLUMNS)


_COLUMNS = ["options", "ground_truth"]


def doc_to_visual(doc: dict[str, Any]) -> list[Any]:
    return [image.convert("RGB") for image in doc["images"]]


def doc_to_text(doc: dict[str, Any]) -> str:
    """The text of the question as Vantage's own policies read it, without the tags of several images."""
    return str(doc["messages"][0]["content"][-1]["text"])


def doc_to_messages(doc: dict[str, Any]) -> list[dict[str, Any]]:
    """The user turn as Vantage's own policies read it."""
    images = iter(doc_to_visual(doc))
    content = [
        {"type": "image", "url": next(images)} if part["type"] == "image" else {"type": "text", "text": part["text"]}
        for part in doc["messages"][0]["content"]
    ]
    return [{"role": "user", "content": content}]


def process_results(doc: dict[str, Any], results: Sequence[str]) -> dict[str, Any]:
    value = score(results[0], doc["ground_truth"], lettered=bool(doc["options"][0]))
    return {"overall": (doc["question_type"], value), "micro": value, doc["question_type"]: value}


def score(answer: str, truth: str, lettered: bool) -> float:
    """The score of an answer by the rule of VSI-Bench, 0..1: a letter, or the mean relative accuracy of a number."""
    word = answer.split(" ")[0].rstrip(".").strip()
    if lettered:
        return float(word.lower() == truth.lower())
    value, true = _number(word), _number(truth)
    if value is None or true is None:
        return 0.0
    if true == 0:
        return float(value == 0)
    error = abs(value - true) / true
    return sum(error <= 1 - (0.5 + 0.45 * step / (_THRESHOLDS - 1)) for step in range(_THRESHOLDS)) / _THRESHOLDS


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def mean_of_skills(values: Sequence[tuple[str, float]]) -> float:
    by_skill: dict[str, list[float]] = {}
    for skill, value in values:
        by_skill.setdefault(skill, []).append(value)
    return mean([mean(own) for own in by_skill.values()])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
