"""The TRL trainer with our rollouts and forward pass, on a newly initialised tiny policy."""

from __future__ import annotations

import importlib.metadata
import inspect
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np
import pytest
import torch
import trl

from learner.grpo.clock import StepClock
from learner.grpo.groups import packed_log_probs, plain_log_probs, split_answers
from learner.grpo.trainer import PRIVATE, VantageTrainer, trainer_config
from learner.policy.adapters import AdapterStore, read_adapter
from learner.policy.assemble import add_lora
from learner.policy.build import build
from learner.policy.checkpoints import CheckpointStore
from learner.policy.packed import PackedPolicy
from learner.rollouts.base import Prompt, Sampling
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.group import Group
from learner.rollouts.scores import packed_truths, plain_truths
from learner.rollouts.transformers import GenerateEngine, PackedEngine
from learner.settings import GrpoSettings, RolloutSettings, StreamSettings
from learner.stream.episodes import task_from
from protocol.answers.scoring import Reward
from protocol.errors import VantageError
from protocol.tasks.scene import Camera, SceneSpec
from protocol.tasks.task import QuestionSpec, TaskSpec
from protocol.wire.messages import RenderTask
from tests.support.learner import Channel, simulator

pytestmark = pytest.mark.timeout(300)

TEXTS = ("is the red chair left or right of the blue box ?", "which is nearer : the green ball or the lamp ?")
GRPO = GrpoSettings(groups=4, samples=4, lora_rank=4, lora_alpha=8, learning_rate=1e-2, warmup_steps=0)
ROLLOUT = RolloutSettings(max_answer_tokens=3)


class Policy:
    """A policy with a non-zero adapter."""

    def __init__(self, packed: bool = True) -> None:
        base, self.processor = build(0)
        self.model = add_lora(base, GRPO, seed=0)
        generator = torch.Generator().manual_seed(1)
        for name, parameter in self.model.named_parameters():
            if "lora_B" in name:
                parameter.data = 0.05 * torch.randn(parameter.shape, generator=generator)
        self.encoder = PromptEncoder(self.processor, base)
        self.packed = PackedPolicy(self.model, self.processor)
        self.engine = PackedEngine(self.packed, self.encoder)
        self.for_trainer = self.packed if packed else None


def prompts(count: int, seed: int = 0) -> list[Prompt]:
    rng = np.random.default_rng(seed)
    return [Prompt(TEXTS[i % 2], (rng.integers(0, 255, (96, 96, 3), dtype=np.uint8),), (300, 2)) for i in range(count)]


def right_tokens(policy: Policy) -> set[int]:
    """Half of the vocabulary, by the sign of one coordinate of the output embedding."""
    return set(torch.nonzero(policy.packed.model.lm_head.weight[:, 0] > 0)[:, 0].tolist())


def groups_of(policy: Policy, step: int) -> list[Group]:
    """Groups of answers; those that begin with a right token are right."""
    right = right_tokens(policy)
    rollouts = policy.engine.generate(prompts(GRPO.groups, step), GRPO.samples, Sampling(1.0, 3, step))
    groups = []
    for rollout in rollouts:
        rewards = tuple(Reward(float(answer.token_ids[0] in right), True) for answer in rollout.completions)
        groups.append(Group(rollout, rewards))
    return groups


def trainer(policy: Policy, folder: Path, steps: int, **options: Any) -> VantageTrainer:
    made: list[VantageTrainer] = []
    collect = options.pop("collect", lambda: groups_of(policy, made[0].state.global_step))
    grpo = options.pop("grpo", GRPO)
    config = trainer_config(folder, grpo, ROLLOUT, steps, seed=0, use_cpu=True)
    store = CheckpointStore(folder / "checkpoints", keep=9)
    facts = {"loop_s": 1.0}
    made.append(
        VantageTrainer(
            policy.model,
            policy.processor,
            lambda: split_answers(collect(), 1)[0],
            config,
            grpo,
            store,
            StepClock(),
            lambda: facts,
            lambda step: 1.0,
            policy.for_trainer,
            **options,
        )
    )
    return made[0]


def adapter_of(policy: Policy) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in policy.model.named_parameters() if p.requires_grad}


def max_difference(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def looked_around(policy: Policy, step: int, monkeypatch: pytest.MonkeyPatch) -> list[Group]:
    """Groups whose answers make up to two moves. An untrained policy writes no moves, so every completion with an
    even first token counts as one."""
    from learner.rollouts import answerer as answers

    def walk(task: int, sample: int, place: Any, completion: Any) -> list[Any]:
        first = completion.token_ids[0]
        return [] if first % 2 else [answers._Walk(task, sample, place, "turn_left" if first % 4 else "forward")]

    monkeypatch.setattr(answers, "_walk", walk)
    tasks = []
    for number in range(GRPO.groups):
        spec = TaskSpec(
            "s", 0, number, SceneSpec(seed=number), QuestionSpec("view_direction"), Camera(32, 32), look_around=2
        )
        tasks.append(task_from(Channel(simulator()).request(RenderTask(spec)), spec, "raw"))
    channel = Channel(simulator())
    answerer = answers.Answerer(policy.engine, policy.encoder, "words", channel, StreamSettings())
    answered = answerer.answer(tasks, GRPO.samples, Sampling(1.0, 3, step))
    right = right_tokens(policy)
    return [
        replace(group, rewards=tuple(Reward(float(turn.completion.token_ids[0] in right), True) for turn in group.last))
        for group in answered
        if isinstance(group, Group)
    ]


# ----------------------------------------------------------------------------- contract with TRL


def test_trl_has_a_checked_version() -> None:
    assert importlib.metadata.version("trl").startswith("1.16.")


def test_overridden_private_methods_have_the_same_signature() -> None:
    for name in PRIVATE["methods"]:
        theirs = list(inspect.signature(getattr(trl.GRPOTrainer, name)).parameters)
        ours = [other for other in inspect.signature(getattr(VantageTrainer, name)).parameters if other[-4:] != "args"]
        assert ours == theirs[: len(ours)]


def test_private_fields_are_used_by_trl() -> None:
    source = inspect.getsource(trl.GRPOTrainer)
    for name in PRIVATE["fields"]:
        assert f"self.{name}" in source
    for name in PRIVATE["functions"]:
        assert f"{name}(" in source and hasattr(sys.modules[trl.GRPOTrainer.__module__], name)
    assert 'inputs["advantages"]' in source
    assert 'inputs.get("old_per_token_logps")' in source


# ----------------------------------------------------------------------------- log-probabilities


def test_packed_log_probs_equal_those_of_trl(folder: Path) -> None:
    policy = Policy(packed=False)
    stock = trainer(policy, folder, 1)
    rows = stock._next_step()
    stock.model.train()
    batch = stock._generate_and_score_completions(rows)
    length = batch["completion_ids"].shape[1]
    with torch.no_grad():
        theirs, entropies, _ = stock._get_per_token_logps_and_entropies(
            stock.model,
            torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1),
            torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1),
            length,
            compute_entropy=True,
            pixel_values=batch["pixel_values"],
            image_grid_thw=batch["image_grid_thw"],
            num_images=batch["num_images"],
            mm_token_type_ids=batch["mm_token_type_ids"],
        )
        ours, our_entropies = packed_log_probs(policy.packed, stock._groups, batch["row"], length, 1.0)
    mask = batch["completion_mask"].bool()
    assert mask.sum() > 30
    assert float((ours - theirs)[mask].abs().max()) < 1e-4
    assert entropies is not None
    assert float((our_entropies - entropies)[mask].abs().max()) < 1e-4


def test_rows_may_be_in_any_order() -> None:
    policy = Policy()
    groups = groups_of(policy, 0)
    rows = torch.arange(GRPO.groups * GRPO.samples)
    straight, _ = packed_log_probs(policy.packed, groups, rows, 3, 1.0)
    shuffled = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:9]
    some, _ = packed_log_probs(policy.packed, groups, shuffled, 3, 1.0)
    assert torch.allclose(some, straight[shuffled], atol=1e-5)


def test_blind_and_sighted_groups_in_one_batch() -> None:
    policy = Policy()
    mixed = [*prompts(2), Prompt(TEXTS[0])]
    rollouts = policy.engine.generate(mixed, 2, Sampling(1.0, 3, 0))
    groups = [Group(rollout, (Reward(1, True),) * 2) for rollout in rollouts]
    log_probs, _ = packed_log_probs(policy.packed, groups, torch.arange(6), 3, 1.0)
    for row, answer in enumerate(answer for rollout in rollouts for answer in rollout.completions):
        assert log_probs[row, : len(answer.token_ids)].tolist() == pytest.approx(answer.logprobs, abs=0.05)


def test_log_probs_of_turns_are_conditioned_on_their_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy()
    groups = looked_around(policy, 0, monkeypatch)
    rows = torch.arange(GRPO.groups * GRPO.samples)
    log_probs, entropies = packed_log_probs(policy.packed, groups, rows, 9, 1.0)
    assert {len(group.turns(sample)) for group in groups for sample in range(GRPO.samples)} == {1, 2, 3}
    for row in rows.tolist():
        group, sample = groups[row // GRPO.samples], row % GRPO.samples
        expected = []
        for turn in group.turns(sample):
            prompt, ids = turn.prompt, turn.completion.token_ids
            images = policy.packed.encode(np.stack(prompt.images))
            prefix = policy.packed.prefill([turn.prompt_ids], images)
            expected += policy.packed.log_probs(prefix, torch.tensor([[ids]]))[0, 0].tolist()
        assert log_probs[row, : len(expected)].tolist() == pytest.approx(expected, abs=1e-4)
        assert group.logprobs(sample) == pytest.approx(expected, abs=0.05)  # banned tokens aside
        assert not log_probs[row, len(expected) :].any() and not entropies[row, len(expected) :].any()
        assert len(group.token_ids(sample)) == len(expected)
    policy.model.eval()
    plain, plain_entropies = plain_log_probs(policy.model, policy.processor, policy.encoder, groups, rows[::3], 9, 1.0)
    assert torch.allclose(plain, log_probs[::3], atol=1e-4)
    assert torch.allclose(plain_entropies, entropies[::3], atol=1e-3)


# ----------------------------------------------------------------------------- training


@pytest.mark.parametrize("packed", [True, False])
def test_answers_after_looking_around_are_trained_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    policy = Policy(packed)
    groups = looked_around(policy, 0, monkeypatch)
    assert len({reward.accuracy for group in groups for reward in group.rewards}) == 2
    made = trainer(policy, folder, 3, collect=lambda: groups)
    before = margin(policy, groups, 9)
    made.train()
    assert margin(policy, groups, 9) > before + 0.05


def test_a_step_with_the_packed_forward_equals_a_step_of_trl(folder: Path) -> None:
    start = adapter_of(Policy())
    ends = []
    for packed in (True, False):
        policy = Policy(packed)
        trainer(policy, folder / str(packed), 1).train()
        ends.append(adapter_of(policy))
    assert max_difference(start, ends[0]) > 1e-3
    assert max_difference(ends[0], ends[1]) < 1e-3


def test_right_answers_become_likelier(folder: Path) -> None:
    policy = Policy()
    groups = groups_of(policy, 0)
    made = trainer(policy, folder, 6, collect=lambda: groups)
    before = margin(policy, groups)
    made.train()
    assert margin(policy, groups) > before + 0.2


def margin(policy: Policy, groups: Sequence[Group], length: int = 3) -> float:
    """Mean log-probability of tokens of right answers minus that of wrong answers."""
    with torch.no_grad():
        log_probs, _ = packed_log_probs(policy.packed, groups, torch.arange(GRPO.groups * GRPO.samples), length, 1.0)
    right = torch.tensor([reward.accuracy > 0 for group in groups for reward in group.rewards])
    return float(log_probs[right].mean() - log_probs[~right].mean())


def test_correction_has_no_effect_if_engine_and_trainer_agree(folder: Path) -> None:
    start = adapter_of(Policy())
    ends = []
    for correct in (True, False):
        policy = Policy()
        trainer(policy, folder / str(correct), 1, correct=correct).train()
        ends.append(adapter_of(policy))
    moved = sum(float((ends[0][name] - start[name]).abs().sum()) for name in start)
    difference = sum(float((ends[0][name] - ends[1][name]).abs().sum()) for name in start)
    assert difference < 0.02 * moved


def test_resuming_gives_the_same_result_as_an_uninterrupted_run(folder: Path) -> None:
    straight = Policy()
    trainer(straight, folder / "straight", 4).train()

    trainer(Policy(), folder, 2).train()
    checkpoint = CheckpointStore(folder / "checkpoints").latest()
    assert checkpoint is not None
    resumed = Policy()
    read_adapter(resumed.model, checkpoint)
    trainer(resumed, folder, 4).train(resume_from_checkpoint=str(checkpoint))
    assert max_difference(adapter_of(straight), adapter_of(resumed)) < 1e-5
    assert not list(folder.rglob("*.pt")) + list(folder.rglob("*.bin")) + list(folder.rglob("*.pth"))


def saved(folder: Path, steps: int) -> CheckpointStore:
    trainer(Policy(), folder, steps).train()
    return CheckpointStore(folder / "checkpoints")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "weights": lambda path: (path / "adapter_model.safetensors").write_bytes(b"x"),
    "manifest missing": lambda path: (path / "manifest.json").unlink(),
    "manifest garbage": lambda path: (path / "manifest.json").write_bytes(b"[" * 100_000),
    "manifest without files": lambda path: (path / "manifest.json").write_text(
        '{"step": 2, "loop_s": 1.0, "files": {}}'
    ),
    "optimizer missing": lambda path: (path / "optimizer.json").unlink(),
    "a file": lambda path: (shutil.rmtree(path), path.write_text("")),
    "link": lambda path: path.symlink_to(path.rename(path.parent.parent / "moved")),
}


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(folder: Path) -> None:
    store = saved(folder, 2)
    newest = folder / "checkpoints" / "step-000002"
    intact = folder / "intact"
    shutil.copytree(newest, intact)
    for name, damage in DAMAGE.items():
        damage(newest)
        assert store.latest() == folder / "checkpoints" / "step-000001", name
        assert os.path.lexists(newest), name  # a reader changes nothing
        assert store.recover() == folder / "checkpoints" / "step-000001"
        assert not os.path.lexists(newest)
        shutil.rmtree(folder / "moved", ignore_errors=True)
        shutil.copytree(intact, newest)
        assert store.recover() == newest
    assert sum(path.name.startswith("damaged-step-000002") for path in newest.parent.iterdir()) == len(DAMAGE)


def test_a_run_without_an_intact_checkpoint_is_not_started_over(folder: Path) -> None:
    store = saved(folder, 1)
    (folder / "checkpoints" / "step-000001" / "manifest.json").unlink()
    for _ in range(2):
        with pytest.raises(VantageError, match="no checkpoint in .* is intact; restore one, or start") as caught:
            store.recover()
        assert caught.value.code == "corrupt"


@pytest.mark.parametrize("change", [{"lora_rank": 8}, {"lora_alpha": 16}], ids=["rank", "alpha"])
def test_an_adapter_of_other_settings_is_refused(tmp_path: Path, change: dict[str, int]) -> None:
    version = AdapterStore(tmp_path).publish(Policy().model, 1)
    ((key, value),) = change.items()
    other = add_lora(build(0)[0], GRPO.model_copy(update=change), seed=0)
    with pytest.raises(VantageError, match=f"learner.grpo.{key} = .*, but the configuration has {value}") as caught:
        read_adapter(other, AdapterStore(tmp_path).path(version))
    assert caught.value.code == "bad_config"


# ----------------------------------------------------------------------------- engines and adapters


def test_log_probs_of_engine_and_trainer_agree() -> None:
    policy = Policy()
    rollouts = policy.engine.generate(prompts(4), 8, Sampling(1.0, 3, 0))
    groups = [Group(rollout, (Reward(1, True),) * 8) for rollout in rollouts]
    with torch.no_grad():
        log_probs, _ = packed_log_probs(policy.packed, groups, torch.arange(32), 3, 1.0)
    differences = [
        abs(float(log_probs[row, t]) - value)
        for row, answer in enumerate(answer for rollout in rollouts for answer in rollout.completions)
        for t, value in enumerate(answer.logprobs)
    ]
    assert np.mean(differences) < 0.02  # due to the probability of the banned vision tokens


def test_greedy_answers_equal_those_of_generate() -> None:
    policy = Policy()
    plain = GenerateEngine(policy.model.eval(), policy.processor, policy.encoder)
    greedy = Sampling(0.0, 4, 0)
    for ours, theirs in zip(policy.engine.generate(prompts(5), 1, greedy), plain.generate(prompts(5), 1, greedy)):
        assert ours.prompt_ids == theirs.prompt_ids
        assert ours.completions[0].token_ids == theirs.completions[0].token_ids
        assert ours.completions[0].logprobs == pytest.approx(theirs.completions[0].logprobs, abs=1e-3)


def test_packed_and_plain_truth_scores_agree() -> None:
    policy = Policy()
    asked = [*prompts(3), Prompt(TEXTS[1], (), (300, 301, 2))]
    packed = packed_truths(policy.packed, policy.encoder, asked)
    plain = plain_truths(policy.model.eval(), policy.processor, policy.encoder, asked)
    assert packed == pytest.approx(plain, abs=1e-4)
    rolled = [rollout.truth_logprob for rollout in policy.engine.generate(asked, 2, Sampling(1.0, 2, 0))]
    assert packed == pytest.approx(rolled, abs=1e-5)


def test_greedy_first() -> None:
    policy = Policy()
    plain = GenerateEngine(policy.model.eval(), policy.processor, policy.encoder)
    greedy = policy.engine.generate(prompts(3), 1, Sampling(0.0, 3, 0))
    for engine in (policy.engine, plain):
        mixed = engine.generate(prompts(3), 5, Sampling(1.0, 3, 0, greedy_first=True))
        for alone, together in zip(greedy, mixed):
            assert together.completions[0].token_ids == alone.completions[0].token_ids
            assert len({answer.token_ids for answer in together.completions}) > 2


def test_sampling_is_repeatable_and_follows_the_probabilities() -> None:
    policy = Policy()
    first, second = (policy.engine.generate(prompts(2), 64, Sampling(1.0, 1, 3)) for _ in range(2))
    assert [r.completions for r in first] == [r.completions for r in second]
    banned = set(policy.encoder.banned)
    assert not any(banned & set(answer.token_ids) for rollout in first for answer in rollout.completions)
    expected = -np.mean([answer.logprobs[0] for answer in first[0].completions])
    assert 3.0 < expected < 6.3  # the entropy of an untrained policy, neither peaked nor clipped


def test_published_adapters_load_and_names_are_unique(tmp_path: Path) -> None:
    policy = Policy()
    store = AdapterStore(tmp_path, keep=2)
    versions = [store.publish(policy.model, step) for step in range(3)]
    assert versions == [1, 2, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policy-v000002", "policy-v000003"]
    assert AdapterStore(tmp_path).publish(policy.model, 1) == 4
    other = Policy()
    for parameter in other.model.parameters():
        if parameter.requires_grad:
            parameter.data.zero_()
    read_adapter(other.model, store.verify(3))
    assert max_difference(adapter_of(policy), adapter_of(other)) == 0.0
