"""TRL's own GRPOTrainer trains on questions of a live curriculum."""

from __future__ import annotations

import inspect
import time
from pathlib import Path
from typing import Any

import pytest

import learner  # noqa: F401 - before transformers
from protocol.tasks.scene import Pose, SceneSpec
from protocol.tasks.task import ACTIONS, Question, QuestionSpec, TaskSpec
from tests.support.wire import wait_for
from vantage.envs import Ticket, open_pool
from vantage.envs.for_trl import _TOOLS, SETTINGS, LookAround, accuracy, stream

SMALL = ("curriculum.world.width_px=48", "curriculum.world.height_px=48", "curriculum.shares.blind=0.0")
LOOKING = (*SMALL, "curriculum.world.look_around=2", 'curriculum.skills=[{name="perspective", levels=[0]}]')


def ticket(blind: bool = False) -> str:
    spec = TaskSpec("s1", 0, 1, SceneSpec(seed=1), QuestionSpec("view_direction"), look_around=2)
    question = Question("view_direction", 0, "Is the chair left or right?", "left", "choice", "p", ("left", "right"))
    return str(Ticket("run", spec, question, Pose((0, 1.5, 0), (1, 0, 0, 0)), 1, blind=blind))


@pytest.mark.parametrize(
    "completion, reward",
    [
        ("A", 1.0),
        ([{"role": "assistant", "content": "B"}], 0.0),
        ([{"role": "assistant", "content": [{"type": "text", "text": "left"}]}], 1.0),
        ([{"role": "assistant", "content": '<tool_call>{"name": "turn_left"}'}], 0.0),  # not parsed
        ([{"role": "assistant", "content": "A", "tool_calls": [{}]}], 0.0),  # a move is no answer
        ([{"role": "assistant", "content": "A"}, {"role": "tool", "content": "left"}], 0.0),
        ([], 0.0),
    ],
)
def test_the_last_message_of_the_policy_is_scored(completion: Any, reward: float) -> None:
    assert accuracy([completion], [ticket()], ["letters"]) == [reward]


def test_a_blind_question_has_no_reward() -> None:
    assert accuracy(["A"], [ticket(blind=True)], ["letters"]) == [None]


def test_every_move_is_a_tool() -> None:
    methods = [name for name, _ in inspect.getmembers(LookAround, inspect.isfunction) if not name.startswith("_")]
    assert sorted(methods) == sorted([*_TOOLS, "reset"])
    assert {name.removeprefix("move_") for name in _TOOLS} == set(ACTIONS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_stock_trainer_steps_and_the_curriculum_counts(tmp_path: Path) -> None:
    from trl import GRPOTrainer

    from learner.policy.load import load

    policy = load()
    with open_pool("smoke", tmp_path / "run", sets=SMALL, samples=4, ahead=8) as pool:
        config = grpo_config(tmp_path, num_generations=4, per_device_train_batch_size=8, max_completion_length=8)
        rows = stream(pool.questions(), "words")
        trainer = GRPOTrainer(policy.model, accuracy, config, rows, processing_class=policy.processor)
        trainer.train()
        assert any("rewards/accuracy/mean" in line for line in trainer.state.log_history)
        wait_for(lambda: sum(cell.asked for cell in pool.status().cells) == 2, within_s=60)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_stock_trainer_shows_the_views_of_moves(tmp_path: Path) -> None:
    """With a scripted policy that turns twice, under the chat template of Qwen3-VL."""
    import torch
    from tokenizers.pre_tokenizers import ByteLevel
    from trl import GRPOTrainer
    from trl.chat_template_utils import qwen3_vl_chat_template

    from learner.policy.load import load

    policy = load()
    policy.processor.chat_template = qwen3_vl_chat_template
    tokenizer = policy.processor.tokenizer
    tokenizer.backend_tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    call = '<tool_call>\n{"name": "turn_left", "arguments": {}}\n</tool_call><|im_end|>'
    images: list[int] = []

    def generate(input_ids: Any = None, **inputs: Any) -> Any:
        images.append(len(inputs["image_grid_thw"]))
        text = call if len(images) < 3 else "A<|im_end|>"
        ids = torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"]).repeat(len(input_ids), 1)
        return torch.cat([input_ids, ids], 1)

    policy.model.generate = generate
    with open_pool("smoke", tmp_path / "run", sets=LOOKING, samples=2, ahead=4) as pool:
        config = grpo_config(tmp_path, num_generations=2, per_device_train_batch_size=2, max_completion_length=1500)
        trainer = GRPOTrainer(
            policy.model,
            accuracy,
            config,
            stream(pool.questions()),
            processing_class=policy.processor,
            environment_factory=LookAround,
        )
        trainer.train()
        (line,) = [line for line in trainer.state.log_history if "reward" in line]
        assert (line["tools/call_frequency"], line["tools/failure_frequency"]) == (2.0, 0.0)
        assert images == [2, 4, 6]  # of two answers, after each move
        time.sleep(0.5)
        wait_for(lambda: sum(cell.asked for cell in pool.status().cells) == 1, within_s=60)


def grpo_config(folder: Path, **options: Any) -> Any:
    from trl import GRPOConfig

    return GRPOConfig(
        str(folder / "trainer"),
        max_steps=1,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        bf16=False,
        **options,
        **SETTINGS,
    )
