"""Supervised fine-tuning: the rows of a dataset as the policy reads them, the step of TRL, the adapter as a start."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from trl.trainer.sft_trainer import SFTTrainer
from typer.testing import CliRunner

from learner.cli import app
from learner.policy import build
from learner.policy.assemble import assemble
from learner.policy.checkpoints import CheckpointStore
from learner.rollouts.encoder import PromptEncoder
from learner.settings import GrpoSettings, LearnerSettings, PolicySettings, SftSettings
from learner.sft.data import read_examples
from learner.sft.train import _Trainer, finetune
from protocol.answers.prompt import write_prompt
from protocol.errors import VantageError
from protocol.run.sealed import sealed_folder
from protocol.tasks.task import Question

pytestmark = pytest.mark.timeout(300)

WORDS = PolicySettings()


def question(index: int) -> Question:
    answer = ("left", "right")[index % 2]
    return Question("view_direction", 0, f"Is the {('red', 'blue')[index % 2]} chair left or right of the box?", answer,
                    "choice", program="", options=("left", "right"))  # fmt: skip


def dataset(folder: Path, rows: int = 8, assistant: str = "A", truths: Any = None) -> Path:
    """A dataset in the form of `sim-server generate`, in which the image tells the answer."""
    with sealed_folder(folder / "shards" / "shard-000000", {"rows": rows}) as staging:
        (staging / "images").mkdir()
        lines = []
        for index in range(rows):
            image = np.full((96, 96, 3), (40, 200)[index % 2], np.uint8)
            Image.fromarray(image).save(staging / f"images/{index}.webp", lossless=True)
            truth = {"question": msgspec.to_builtins(question(index)), "poses": []}
            said = {"role": "assistant", "content": [{"type": "text", "text": assistant}]}
            lines.append(
                {"id": index, "images": [f"images/{index}.webp"], "messages": [said], "truth": json.dumps(truth)}
            )
        (staging / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "dataset.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    build.save(*build.build(0), folder)
    return folder


def settings(model: Path, **changes: Any) -> LearnerSettings:
    sft = SftSettings(questions=8, micro_batch=4, epochs=12, learning_rate=5e-3, warmup_steps=0)
    return LearnerSettings(
        policy=PolicySettings(model=str(model), **changes), sft=sft, grpo=GrpoSettings(lora_rank=4, lora_alpha=8)
    )


@pytest.fixture(scope="module")
def encoder() -> PromptEncoder:
    model, processor = build.build(0)
    return PromptEncoder(processor, model, "words")


def test_prompts_and_answers_are_those_of_the_loop(tmp_path: Path, encoder: PromptEncoder) -> None:
    examples = read_examples(dataset(tmp_path / "data"), encoder, WORDS)
    assert [example.id for example in examples] == list(range(8))
    assert examples[0].text == encoder.plain(write_prompt(question(0), "words"))
    assert examples[1].completion == encoder.answer("right")
    assert (examples[1].prompt().images[0] == 200).all()


def test_reasoning_is_taken_from_the_row(tmp_path: Path) -> None:
    model, processor = build.build(0)
    encoder = PromptEncoder(processor, model, "reason")
    said = "<think>\nthe box is dark\n</think>\n<answer>A</answer>"
    reason = PolicySettings(style="reason")
    examples = read_examples(dataset(tmp_path / "data", assistant=said), encoder, reason)
    words = encoder.text(examples[0].completion)
    assert "the box is dark" in words and "A" in words.partition("<answer>")[2]
    assert "B" in encoder.text(examples[1].completion).partition("<answer>")[2]  # the true one, not that of the row
    with pytest.raises(VantageError, match="has no reasoning, but learner.policy.style is reason") as caught:
        read_examples(dataset(tmp_path / "empty"), encoder, reason)
    assert caught.value.code == "bad_request"


def test_only_completions_have_a_loss(tmp_path: Path, model: Path) -> None:
    own = settings(model)
    parts = assemble(own, 0)
    examples = read_examples(dataset(tmp_path / "data"), parts.encoder, own.policy)
    trainer = _Trainer(parts, examples, own, 0, tmp_path, lambda _: None)
    batch = trainer._collate([{"index": 0}, {"index": 1}])
    taught = [row[row != -100].tolist() for row in batch["labels"]]
    assert taught == [list(examples[0].completion), list(examples[1].completion)]
    assert (batch["input_ids"][batch["labels"] != -100] == batch["labels"][batch["labels"] != -100]).all()


def test_a_run_starts_from_the_adapter_and_answers_what_was_taught(tmp_path: Path, model: Path) -> None:
    own = settings(model)
    data = dataset(tmp_path / "data")
    shown: list[str] = []
    facts = finetune(data, own, tmp_path / "out", 0, shown.append)
    assert facts["questions"] == 8 and facts["steps"] == 12 and "8 questions" in shown[0]
    start = assemble(settings(model, adapter=str(tmp_path / "out")), seed=5)
    examples = read_examples(data, start.encoder, own.policy)
    before = assemble(own, 0)
    likely = [_likelihood(parts, examples) for parts in (before, start)]
    assert likely[1] > 10 * likely[0]
    with pytest.raises(VantageError, match="lora_rank = 4, but the configuration has 16"):
        assemble(start_settings(model, tmp_path / "out"), 0)


def test_a_killed_command_resumes_to_the_same_adapter(tmp_path: Path, model: Path) -> None:
    own = settings(model)
    own = own.model_copy(update={"sft": own.sft.model_copy(update={"questions": 4, "epochs": 3, "save_every": 2})})
    data = dataset(tmp_path / "data")
    complete = finetune(data, own, tmp_path / "complete", 0, lambda _: None)

    save, saved = CheckpointStore.save, []

    def dying(self: Any, facts: Any, *args: Any) -> None:
        save(self, facts, *args)
        saved.append(facts["step"])
        if facts["step"] == 4:  # in the second of two batches of the epoch
            raise RuntimeError("killed")

    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(CheckpointStore, "save", dying)
        finetune(data, own, tmp_path / "out", 0, lambda _: None)
    assert saved == [2, 4] and not (tmp_path / "out").exists()
    with pytest.raises(VantageError, match="unfinished work of an sft with another dataset") as caught:
        finetune(data, own, tmp_path / "out", 1, lambda _: None)
    assert caught.value.code == "conflict"

    shown: list[str] = []
    facts = finetune(data, own, tmp_path / "out", 0, shown.append)
    assert "resuming after step 4" in shown
    assert (facts["steps"], facts["loss"]) == (complete["steps"], complete["loss"]) and facts["steps"] == 6
    files = [load_file(tmp_path / name / "adapter_model.safetensors") for name in ("complete", "out")]
    assert all(torch.equal(files[0][name], tensor) for name, tensor in files[1].items())
    assert not (tmp_path / "out.unfinished").exists()


def start_settings(model: Path, adapter: Path) -> LearnerSettings:
    return LearnerSettings(policy=PolicySettings(model=str(model), adapter=str(adapter)))


def _likelihood(parts: Any, examples: Any) -> float:
    prompts = [replace(example.prompt(), truth=example.completion) for example in examples]
    return float(np.exp(np.mean(parts.truths(prompts))))


def test_a_loss_that_is_no_number_stops_and_writes_nothing(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SFTTrainer, "training_step", lambda *_, **__: torch.tensor(float("nan")))
    with pytest.raises(VantageError, match=r"the loss of step 1 is not a number \(questions \d") as caught:
        finetune(dataset(tmp_path / "data"), settings(model), tmp_path / "out", 0, lambda _: None)
    assert caught.value.code == "unsupported" and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda folder: folder.mkdir(), "is not a finished dataset: write one with"),
        (lambda folder: (folder.mkdir(), (folder / "run.json").write_text("{}")), "is a run: write its questions as"),
    ],
)
def test_a_folder_that_is_no_data_set_is_refused_in_one_sentence(
    tmp_path: Path, encoder: PromptEncoder, made: Any, sentence: str
) -> None:
    made(tmp_path / "data")
    with pytest.raises(VantageError, match=sentence) as caught:
        read_examples(tmp_path / "data", encoder, WORDS)
    assert caught.value.code == "bad_request" and "\n" not in caught.value.message


def test_damaged_data_is_refused(tmp_path: Path, encoder: PromptEncoder) -> None:
    folder = dataset(tmp_path / "data")
    (folder / "shards" / "shard-000000" / "images" / "3.webp").write_bytes(b"other")
    with pytest.raises(VantageError) as caught:
        read_examples(folder, encoder, WORDS)
    assert caught.value.code == "corrupt"


def test_a_missing_adapter_is_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(VantageError, match="there is no adapter folder .*: check learner.policy.adapter") as caught:
        assemble(start_settings(model, tmp_path / "none"), 0)
    assert caught.value.code == "bad_config"


def test_an_adapter_of_another_model_is_refused(model: Path, tmp_path: Path) -> None:
    with sealed_folder(tmp_path / "other", {"base": "Qwen/Qwen3-VL-4B-Instruct"}):
        pass
    sentence = "is an adapter of Qwen/Qwen3-VL-4B-Instruct, but learner.policy.model is"
    with pytest.raises(VantageError, match=sentence) as caught:
        assemble(start_settings(model, tmp_path / "other"), 0)
    assert caught.value.code == "bad_config" and "\n" not in caught.value.message


def test_the_command_refuses_an_existing_output(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["sft", str(tmp_path), "--out", str(tmp_path)])
    assert isinstance(result.exception, VantageError) and result.exception.code == "conflict"
