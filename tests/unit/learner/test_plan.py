"""The memory plan against measured memory of small models, and against the published sizes of Qwen3-VL."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from benchmarks.memory_plan import CASES, RANK, compare, small
from benchmarks.qwen3_vl import PARAMETERS, qwen3_vl, write_config
from learner.plan import memory, plan
from learner.plan.memory import GIB
from learner.plan.plan import advice, card_bytes, check_memory, make_plan, plan_of, refuse, views_of
from learner.plan.shape import shape_of, shape_of_config
from learner.policy import build
from learner.policy.assemble import add_lora
from learner.settings import GrpoSettings, LearnerSettings, PolicySettings, RolloutSettings
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.tasks.specs import World
from tests.support.models import CLASSES
from vantage.cli import app

TOLERANCE = 0.15  # of activations


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_of_qwen3_vl_are_those_of_its_published_weights(name: str) -> None:
    shape = shape_of_config(name, build.Qwen3VLConfig(**qwen3_vl(name)))
    assert shape.parameters == PARAMETERS[name]
    assert shape.tower.tokens(384, 512) == 12 * 16


@pytest.mark.parametrize("name", CLASSES)
def test_bytes_of_weights_adapter_and_optimizer_are_exact_in_every_class(name: str, tmp_path: Path) -> None:
    model, _ = CLASSES[name]()
    model.save_pretrained(tmp_path)
    shape = shape_of(str(tmp_path))
    assert memory.weights(shape, 4) == sum(p.nbytes for p in model.parameters())
    rank = 4
    adapted = add_lora(model, GrpoSettings(lora_rank=rank, lora_alpha=rank), 0)
    trained = [p for p in adapted.parameters() if p.requires_grad]
    assert memory.adapter(shape, rank) == sum(p.nbytes for p in trained)
    optimizer = torch.optim.AdamW(trained)
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    state = [value for values in optimizer.state.values() for value in values.values()]
    assert memory.optimizer(shape, rank) == sum(value.nbytes for value in state)
    assert shape.tower.tokens(96, 96) == (36 if name.startswith("qwen") else 4)


@pytest.mark.parametrize("case", [CASES[0], CASES[5], CASES[8]], ids=["packed", "plain", "recomputed"])
def test_activations_are_planned_within_15_per_cent(case: Any) -> None:
    found = compare(case)
    assert found["stored_planned"] == pytest.approx(found["stored"], rel=TOLERANCE)
    assert found["most_planned"] == pytest.approx(found["most"], rel=TOLERANCE)
    assert small(torch.float32).shape.adapter(RANK) > 0


# ----------------------------------------------------------------------------- a run


def the_plan(**tables: Any) -> plan.Plan:
    shape = shape_of_config("8B", build.Qwen3VLConfig(**qwen3_vl("8B")))
    settings = LearnerSettings(policy=PolicySettings(style="letters"), **tables)
    return make_plan(shape, settings, views_of([World(width_px=512, height_px=384)], ["path_length"]))


def test_a_plan_that_does_not_fit_names_the_setting_to_change() -> None:
    grpo = GrpoSettings(groups=16, samples=8, micro_batch_groups=1, packed_forward=False, bf16=True)
    rollout = RolloutSettings(engine="vllm-serve", max_prompt_tokens=2560, max_answer_tokens=96)
    own = the_plan(grpo=grpo, rollout=rollout)
    total = card_bytes(80)
    assert own.need(total) > total
    with pytest.raises(VantageError, match="set learner.grpo.gradient_checkpointing = true, which needs") as caught:
        refuse(own, total, total)
    assert caught.value.code == "bad_config" and "\n" not in caught.value.message
    found = advice(own, total, total)
    assert found is not None and found[1].settings.grpo.gradient_checkpointing
    refuse(found[1], total, total)


def test_several_settings_are_named_if_one_does_not_suffice() -> None:
    grpo = GrpoSettings(groups=16, samples=8, micro_batch_groups=4, packed_forward=False)
    found = advice(the_plan(grpo=grpo, rollout=RolloutSettings(engine="vllm-serve")), *[card_bytes(48)] * 2)
    assert found is not None and len(found[0]) > 1 and found[1].need(card_bytes(48)) <= card_bytes(48)


def test_a_model_that_no_setting_fits_is_refused_in_one_sentence() -> None:
    with pytest.raises(VantageError, match="take a smaller learner.policy.model") as caught:
        refuse(the_plan(), card_bytes(24), card_bytes(24) // 4)
    assert "\n" not in caught.value.message


def test_vllm_that_cannot_hold_the_model_in_its_share_does_not_fit() -> None:
    rollout = RolloutSettings(engine="vllm-serve", vllm_dtype="bfloat16")
    serve = the_plan(rollout=rollout, grpo=GrpoSettings(bf16=True))
    inside = the_plan(rollout=rollout.model_copy(update={"engine": "vllm"}), grpo=GrpoSettings(bf16=True))
    total = card_bytes(48)
    assert inside.need(total) - serve.need(total) == inside.engine_least > 0.3 * total
    assert inside.need(4 * total) - serve.need(4 * total) == round(0.3 * 4 * total)


def test_a_start_on_a_gpu_is_refused_before_the_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tree: dict[str, Any] = {
        "curriculum": {"world": {}, "skills": [{"name": "depth_order", "levels": [0]}]},
        "learner": {"policy": {"model": str(write_config(tmp_path, "2B")), "style": "letters"}},
    }
    check_memory(tree)  # there is no GPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2 * GIB, 24 * GIB))
    caplog.set_level("INFO")
    with pytest.raises(VantageError, match=r"and 2.0 GiB are free: ") as caught:
        check_memory(tree)
    assert caught.value.code == "bad_config" and "memory plan for" in caplog.text
    tree["learner"]["device"] = "cpu"
    check_memory(tree)
    assert plan_of(tree).shape.parameters == PARAMETERS["2B"]


def test_doctor_prints_the_plan_from_a_config_json_alone(tmp_path: Path) -> None:
    model = write_config(tmp_path / "model", "4B")
    options = ["qwen3-vl-4b", "--set", f'learner.policy.model="{model}"']
    result = CliRunner().invoke(app, ["doctor", *options])
    assert result.exit_code == 0, result.output
    for line in ("4.44 billion parameters, bfloat16", "80 GB GPU: fits", "24 GB GPU: does not fit", "vLLM: 35%"):
        assert line in result.output, result.output


def test_a_config_json_without_a_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no_such_type"}')
    with pytest.raises(VantageError) as caught:
        shape_of(str(tmp_path))
    assert caught.value.code == "bad_config" and "\n" not in caught.value.message


def test_a_gpu_without_memory_ends_a_run_with_a_sentence_that_names_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from learner import train

    def failing(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(train, "Loop", failing)
    channel: Any = None
    with pytest.raises(
        VantageError, match=r"set learner\.grpo\.bf16 = true or learner\.grpo\.gradient_check"
    ) as caught:
        train.train(RunDir.create(tmp_path / "run", {}), channel, channel, threading.Event())
    assert "\n" not in caught.value.message and not caught.value.retryable


def test_a_sharded_model_needs_less_on_each_gpu() -> None:
    serve = RolloutSettings(engine="vllm-serve", max_prompt_tokens=2560)
    alone = the_plan(rollout=serve, grpo=GrpoSettings(packed_forward=False))
    shared = the_plan(rollout=serve, processes=4, shard=True)
    # 1.2 billion parameters of embedding and head and 0.6 of the vision tower are gathered in a pass.
    assert 0.45 * alone.weights < shared.weights < 0.55 * alone.weights
    assert shared.optimizer == -(-alone.optimizer // 4) and shared.work.forward == "plain"
    assert any("over 4 GPUs" in line for line in shared.lines())
