"""Exported policies load in transformers, PEFT and vLLM, and give the same answers as the policy of the run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from learner.grpo.groups import packed_log_probs
from learner.policy.assemble import Parts, assemble
from learner.policy.checkpoints import CheckpointStore
from learner.policy.export import export
from learner.policy.load import load
from learner.rollouts.base import Completion, Rollout, Sampling
from learner.rollouts.group import Group
from learner.settings import LearnerSettings
from protocol.answers.scoring import Reward
from protocol.errors import VantageError
from protocol.run.config import section
from protocol.run.directory import RunDir
from tests.support.prompts import some_prompts

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]
needs_vllm = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
GREEDY = Sampling(0.0, 4, 0)


class Exported(NamedTuple):
    run: RunDir
    parts: Parts  # the policy of the run
    base: Path
    adapter: Path
    merged: Path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    from learner.policy.build import build, save

    folder = tmp_path_factory.mktemp("export")
    save(*build(0), folder / "tiny")
    run = RunDir.create(folder / "run", {"learner": {"policy": {"model": str(folder / "tiny")}}})
    parts = assemble(section(run.config, "learner", LearnerSettings), run.seed)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in parts.model.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    optimizer = torch.optim.AdamW([p for p in parts.model.parameters() if p.requires_grad])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    CheckpointStore(run.checkpoints).save(
        {"step": 3, "loop_s": 1.0}, parts.model, optimizer, schedule, lambda path: Path(path).write_text("{}")
    )
    export(run, folder / "out")
    return Exported(run, parts, folder / "tiny", folder / "out" / "adapter", folder / "out" / "merged")


def greedy_ids(parts: Parts) -> list[tuple[int, ...]]:
    rollouts = parts.live_engine().generate(some_prompts(4), 1, GREEDY)
    return [rollout.completions[0].token_ids for rollout in rollouts]


def logits(model: Any, processor: Any) -> torch.Tensor:
    from learner.rollouts.encoder import PromptEncoder
    from learner.rollouts.inputs import plain_inputs

    with torch.no_grad():
        return model(**plain_inputs(model, processor, PromptEncoder(processor, model), some_prompts(2))).logits[:, -1]


def test_merged_model_and_adapter_agree_in_transformers(exported: Exported) -> None:
    from peft import PeftModel

    merged = load(str(exported.merged))
    base = load(str(exported.base))
    expected = logits(exported.parts.model, exported.parts.processor)
    assert not torch.allclose(logits(base.model, base.processor), expected, atol=1e-2)
    assert torch.allclose(logits(merged.model, merged.processor), expected, atol=1e-4)
    adapted = PeftModel.from_pretrained(base.model, str(exported.adapter)).eval()
    assert torch.allclose(logits(adapted, base.processor), expected, atol=1e-4)


def test_both_have_a_model_card_with_the_settings_of_the_run(exported: Exported) -> None:
    for folder in (exported.adapter, exported.merged):
        card = (folder / "README.md").read_text()
        assert "# run\n" in card and "lora_rank = 16" in card and "3 steps" in card


def test_an_export_never_overwrites(exported: Exported) -> None:
    with pytest.raises(VantageError) as caught:
        export(exported.run, exported.merged.parent)
    assert caught.value.code == "conflict"


def test_a_run_without_checkpoint_is_rejected(exported: Exported, tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", {"learner": {"policy": {"model": str(exported.base)}}})
    with pytest.raises(VantageError) as caught:
        export(run, tmp_path / "out")
    assert caught.value.code == "bad_request"
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def vllm_answers(exported: Exported) -> list[dict[str, Any]]:
    """Answers of the base model with the adapter, and of the merged model."""
    command = [sys.executable, "-m", "tests.support.vllm_answers", f"{exported.base}={exported.adapter}"]
    result = subprocess.run(
        [*command, str(exported.merged)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout.strip().splitlines()[-1])


@needs_vllm
@pytest.mark.vllm
def test_greedy_tokens_of_vllm_and_transformers_agree(exported: Exported, vllm_answers: list[dict[str, Any]]) -> None:
    expected = greedy_ids(exported.parts)
    for answers in vllm_answers:
        assert [tuple(answer["ids"]) for answer in answers["greedy"]] == expected


@needs_vllm
@pytest.mark.vllm
def test_vllm_samples_from_the_trained_distribution(exported: Exported, vllm_answers: list[dict[str, Any]]) -> None:
    """Detects image tokens expanded twice (a difference of 0.5) and an adapter that is not loaded."""
    groups = []
    for index, prompt in enumerate(some_prompts(4)):
        rows = vllm_answers[0]["sampled"][4 * index : 4 * index + 4]
        answers = tuple(Completion(tuple(row["ids"]), tuple(row["logprobs"]), "", True) for row in rows)
        rollout = Rollout(prompt, tuple(rows[0]["prompt_ids"]), answers)
        groups.append(Group(rollout, (Reward(1, True),) * 4))
    assert exported.parts.packed is not None
    with torch.no_grad():
        ours, _ = packed_log_probs(exported.parts.packed, groups, torch.arange(16), 4, 1.0)
    differences = [
        abs(float(ours[row, t]) - value)
        for row, answer in enumerate(answer for group in groups for answer in group.rollout.completions)
        for t, value in enumerate(answer.logprobs)
    ]
    assert np.mean(differences) < 0.02
