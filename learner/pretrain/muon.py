"""Muon in float32: SGD with momentum whose updates are orthogonalised by a Newton-Schulz iteration.

torch.optim.Muon iterates in bfloat16, which most CPUs emulate thirty times slower than float32. Matrices of the same
shape are orthogonalised in one batch. The update is scaled to the magnitude of AdamW's (0.2 sqrt(longer side), Liu et
al., "Muon is scalable for LLM training", arXiv 2502.16982), so that both optimisers use similar learning rates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_A, _B, _C = 3.4445, -4.7750, 2.0315  # Keller Jordan's quintic: steep at zero, close to 1 elsewhere
_ITERATIONS = 5
_MOMENTUM, _WEIGHT_DECAY = 0.95, 0.01


def orthogonalise(batch: Tensor) -> Tensor:
    """Map matrices [n, rows, columns] to nearly orthogonal ones with the same singular vectors."""
    wide = batch.shape[-2] <= batch.shape[-1]
    x = batch if wide else batch.transpose(-1, -2)
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.transpose(-1, -2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x if wide else x.transpose(-1, -2)


def _orthogonalise_distributed(batch: Tensor) -> Tensor:
    if not dist.is_initialized():
        return orthogonalise(batch)
    mine = slice(dist.get_rank(), None, dist.get_world_size())
    shared = torch.zeros_like(batch)
    if len(batch[mine]):
        shared[mine] = orthogonalise(batch[mine])
    dist.all_reduce(shared)
    return shared


class Muon(torch.optim.Optimizer):
    """For hidden matrices only; use AdamW for embeddings, norms and biases."""

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        super().__init__(list(params), {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for shape, parameters in by_shape.items():
                self._update(parameters, shape, group["lr"])

    def _update(self, parameters: list[Tensor], shape: torch.Size, lr: float) -> None:
        steps = []
        for parameter in parameters:
            assert parameter.grad is not None
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            state["momentum"].lerp_(parameter.grad, 1 - _MOMENTUM)
            steps.append(parameter.grad.lerp(state["momentum"], _MOMENTUM))  # Nesterov
        scale = 0.2 * max(shape) ** 0.5
        for parameter, step in zip(parameters, _orthogonalise_distributed(torch.stack(steps))):
            parameter.mul_(1 - lr * _WEIGHT_DECAY)
            parameter.add_(step, alpha=-lr * scale)
