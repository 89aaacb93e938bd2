"""Tables of the learner's measurements for benchmarks/results/README.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.sections import table


def rollouts_ahead(result: Any) -> Iterable[str]:
    rows = [
        (
            name,
            f"{one['step_s']:.2f}",
            f"{one['answers_per_s']:.1f}",
            f"{100 * one['simulator_wait']:.1f} %",
            f"{one['mismatch']:.4f}",
        )
        for name, one in (("in turn", result["in_turn"]), ("ahead", result["ahead"]))
    ]
    yield table(("rollouts", "seconds per step", "answers per second", "waiting for the simulator", "mismatch"), rows)


def memory_plan(result: Any) -> Iterable[str]:
    cases = [
        (
            f"{case['forward']}, {case['type']}" + (", recomputed" if case["recompute"] else ""),
            case["tokens"],
            *(f"{case[key] / 1e6:.1f}" for key in ("stored", "stored_planned")),
            f"{case['stored_planned'] / case['stored'] - 1:+.0%}",
            *(f"{case[key] / 1e6:.1f}" for key in ("most", "most_planned")),
            f"{case['most_planned'] / case['most'] - 1:+.0%}",
        )
        for case in result["cases"]
    ]
    head = ("forward pass", "tokens", "stored, MB", "planned", "difference", "peak, MB", "planned", "difference")
    yield table(head, cases)
    yield "Qwen3-VL with the settings of `configs/qwen3-vl-4b.toml`, GiB of one GPU:\n"
    parts = ("weights", "images", "activations", "logits", "own")
    models = [
        (
            f"Qwen3-VL-{name}",
            f"{model['parameters'] / 1e9:.2f}",
            f"{model['trained'] / 1e6:.0f}",
            *(f"{model['gib'][part]:.1f}" for part in parts),
        )
        for name, model in result["models"].items()
    ]
    yield table(
        ("model", "billion parameters", "million trained", *parts[:-1], "all without vLLM"),
        models,
    )
    yield "What it needs on a GPU of this size with vLLM beside it, and the settings after which it fits:\n"
    rows = [
        (f"Qwen3-VL-{name}", *(_on(card) for card in model["cards"].values()))
        for name, model in result["models"].items()
    ]
    cards = next(iter(result["models"].values()))["cards"]
    yield table(("model", *(f"{card} GB" for card in cards)), rows)


def _on(card: Any) -> str:
    if card["fits"]:
        return f"{card['need_gib']:.0f}: fits"
    if not card["set"]:
        return f"{card['need_gib']:.0f}: does not fit"
    changes = ", ".join(f"`{change.removeprefix('learner.')}`" for change in card["set"])
    return f"{card['need_gib']:.0f}; {card['then_gib']:.0f} with {changes}"
