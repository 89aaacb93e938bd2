"""Answers the questions of a benchmark with the policy of a run, and scores them by its published rule."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Callable, Optional, Sequence

import msgspec

from learner.benchmark.questions import Asked
from learner.evaluate.offline import load_policy
from learner.policy.assemble import Parts
from learner.rollouts.base import Prompt, Sampling
from learner.rollouts.transformers import GenerateEngine
from learner.settings import LearnerSettings
from protocol.answers.letters import LETTERS
from protocol.answers.prompt import read_answer, write_prompt
from protocol.answers.reasoning import parse
from protocol.answers.vsi_bench import BenchmarkResult, Item, evaluate, unit_of
from protocol.run.directory import RunDir, write_atomic
from protocol.run.files import make_folder

_AT_ONCE = 8  # questions whose images are in memory
_OF_A_VIDEO = "These images are frames of one video, in the order of time."
_OF_A_VIDEO_IN_WORDS = "these images are of one video ."


def evaluate_benchmark(
    run: RunDir,
    name: str,
    asked: Sequence[Asked],
    step: Optional[int],
    adapter: str,
    show: Callable[[str], object],
) -> BenchmarkResult:
    """Answer greedily, and write predictions and scores to evaluations/benchmark_<kind>.jsonl and .json.

    `step` and `adapter` choose the policy as in `load_policy`, whose errors are raised.
    """
    saved = load_policy(run, step, adapter)
    parts, settings = saved.parts, saved.settings
    engine = GenerateEngine(parts.model, parts.processor, parts.encoder)  # views may differ in size
    sampling = Sampling(0.0, settings.rollout.max_answer_tokens, settings.evaluate.seed)
    answers: dict[str, str] = {}
    for start in range(0, len(asked), _AT_ONCE):
        batch = asked[start : start + _AT_ONCE]
        prompts = [Prompt(_text(one, parts, settings), tuple(one.images())) for one in batch]
        for one, rollout in zip(batch, engine.generate(prompts, 1, sampling)):
            answers[one.item.id] = _prediction(one.item, rollout.completion.text, parts, settings)
        show(f"{len(answers)} of {len(asked)} questions answered")
    result = evaluate([one.item for one in asked], answers)
    folder = run.path / "evaluations"
    make_folder(folder)
    kind = name.partition(":")[0]
    lines = (json.dumps({"id": key, "prediction": text}) for key, text in answers.items())
    write_atomic(folder / f"benchmark_{kind}.jsonl", "".join(f"{line}\n" for line in lines).encode())
    summary = {
        "benchmark": name,
        "step": saved.step,
        "adapter": adapter,
        "policy": settings.policy.model,
        **asdict(result),
    }
    write_atomic(folder / f"benchmark_{kind}.json", json.dumps(summary, indent=1).encode())
    return result


def _text(one: Asked, parts: Parts, settings: LearnerSettings) -> str:
    style = settings.policy.style
    question = msgspec.structs.replace(one.item.question, unit=unit_of(one.item))
    text = write_prompt(question, style, None, parts.encoder.tags)
    if one.video:
        text = f"{_OF_A_VIDEO_IN_WORDS} {text}" if style == "words" else f"{_OF_A_VIDEO}\n{text}"
    return parts.encoder.plain(text)


def _prediction(item: Item, completion: str, parts: Parts, settings: LearnerSettings) -> str:
    """The answer in the form that the benchmark scores: a letter or a number, as the policy wrote it."""
    style = settings.policy.style
    if style == "reason":
        return (parse(completion, parts.encoder.tags).answer or "").strip()
    if style == "letters":
        return completion.strip()
    read = read_answer(item.question, completion, style, settings.policy.reading)
    return LETTERS[item.question.options.index(read)] if item.lettered and read else read
