"""Gradients of a model that several ranks train."""

from __future__ import annotations

from typing import Any, Iterable, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.distributed.tensor import DTensor


def average_gradients(accelerator: Accelerator, parameters: Sequence[torch.nn.Parameter]) -> None:
    """Replace the gradients of every rank by their mean over the ranks; a missing gradient counts as zero."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat: Any = accelerator.reduce(torch.cat([gradient.reshape(-1) for gradient in gradients]), reduction="mean")
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients])):
        gradient.copy_(mean.view_as(gradient))


def clip_gradients(parameters: Iterable[Tensor], max_norm: float, norm_type: float = 2) -> Tensor:
    """Scale the gradients of a sharded model to a total norm of at most `max_norm`; return the norm before."""
    trained = [parameter for parameter in parameters if parameter.grad is not None]
    norm: Any = torch.nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None], norm_type)
    norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
    torch.nn.utils.clip_grads_with_norm_(trained, max_norm, norm)
    return norm
