"""The likelihood of the true answer as a part of the loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from learner.rollouts.group import Group
from tests.unit.learner.test_trainer import GRPO, Policy, groups_of, max_difference, trainer

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "trl"])
@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo", "bnpo"])
def test_the_gradient_of_true_answers_is_that_of_their_likelihood(folder: Path, loss: str, packed: bool) -> None:
    """truth_weight x mean(-log p) of the tokens of the true answers, all of which have two tokens here."""
    policy = Policy(packed)
    grpo = GRPO.model_copy(update={"objective": "truth", "truth_weight": 0.7, "loss": loss, "max_grad_norm": 1e9})
    seen: list[dict[str, torch.Tensor]] = []

    class Gradients(TrainerCallback):
        def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
            seen.append({n: p.grad.clone() for n, p in policy.model.named_parameters() if p.grad is not None})

    groups = groups_of(policy, 0)
    expected = reference_gradient(policy, groups, 0.7)
    made = trainer(
        policy, folder, 1, grpo=grpo, collect=lambda: [one.teaching() for one in groups], callbacks=[Gradients()]
    )
    made.train()
    assert seen[0].keys() == expected.keys()
    scale = max(float(value.abs().max()) for value in expected.values())
    assert scale > 1e-3
    assert max_difference(seen[0], expected) < 2e-3 * scale


def reference_gradient(policy: Policy, groups: list[Group], weight: float) -> dict[str, torch.Tensor]:
    policy.model.zero_grad()
    images = policy.packed.encode_once([group.prompt.images[0] for group in groups])
    prefix = policy.packed.prefill([group.rollout.prompt_ids for group in groups], images)
    truths = torch.tensor([group.prompt.truth for group in groups])[:, None]
    (-weight * policy.packed.log_probs(prefix, truths).mean()).backward()
    found = {n: p.grad.clone() for n, p in policy.model.named_parameters() if p.grad is not None}
    policy.model.zero_grad()
    return found


def test_true_answers_leave_the_advantages_and_the_logged_reward_alone(folder: Path) -> None:
    seen: list[dict[str, float]] = []

    class Logs(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            seen.append(dict(logs))

    policy = Policy()
    groups = groups_of(policy, 0)
    outputs: list[Any] = []
    for name in ("grpo", "grpo+truth"):
        (folder / name / "checkpoints").mkdir(parents=True)
    for grpo, asked in (
        (GRPO, groups),
        (GRPO.model_copy(update={"objective": "grpo+truth"}), [group.teaching() for group in groups]),
    ):
        made = trainer(
            policy, folder / grpo.objective, 1, grpo=grpo, collect=lambda asked=asked: asked, callbacks=[Logs()]
        )
        score = made._generate_and_score_completions

        def recorded(inputs: Any, score: Any = score) -> Any:
            outputs.append(score(inputs))
            return outputs[-1]

        made._generate_and_score_completions = recorded
        made.train()
    plain, taught = (output["advantages"].view(GRPO.groups, -1) for output in outputs)
    assert torch.allclose(plain, taught[:, :-1])
    assert bool((taught[:, -1] > 0).all())
    rewards = [entry["rewards/_accuracy/mean"] for entry in seen if "reward" in entry]
    assert rewards[0] == pytest.approx(rewards[1])
