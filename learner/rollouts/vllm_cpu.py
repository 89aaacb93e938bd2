"""Faster LoRA kernels for vLLM's CPU build.

vLLM's kernels copy both adapter matrices for every token, which takes 90 % of a step of the embedded policy. Here all
tokens of a batch use the same adapter, so one matrix product is enough.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor


def prepare() -> None:
    """Replace the kernels. Call before creating the engine."""
    from vllm.lora.punica_wrapper import punica_cpu
    from vllm.model_executor.models import registry

    # vLLM inspects model classes in a subprocess, where torchvision's CUDA build cannot be imported.
    registry._run_in_subprocess = lambda inspect: inspect()
    kernels = {
        "sgmv_shrink": lambda x, a, y, *rest: shrink(x, a, y, rest[-1]),
        "bgmv_shrink": lambda x, a, y, _, scale: shrink(x, a, y, scale),
        "sgmv_expand": lambda x, b, y, *rest: expand(x, b, y, 0, rest[-1]),
        "bgmv_expand": lambda x, b, y, _, add_inputs: expand(x, b, y, 0, add_inputs),
        "sgmv_expand_slice": lambda x, b, y, *rest: expand(x, b, y, rest[-3], rest[-1]),
        "bgmv_expand_slice": lambda x, b, y, _, start, _size, add: expand(x, b, y, start, add),
    }
    for name, kernel in kernels.items():
        assert hasattr(punica_cpu, name), f"this version of vLLM has no LoRA kernel {name}"
        setattr(punica_cpu, name, kernel)


def shrink(x: Tensor, a: Tensor, y: Tensor, scale: float) -> None:
    """y[N, :r] = scale x[N, in] A^T, with `a` [1, 1, r, in] for one adapter slot."""
    matrix = _only(a)
    y[:, : matrix.shape[0]] = scale * (x.to(y.dtype) @ matrix.to(y.dtype).T)


def expand(x: Tensor, b: Tensor, y: Tensor, start: int, add: bool) -> None:
    """y[N, start : start + out] (+)= x[N, r] B^T, with `b` [1, 1, out, r]; columns beyond those of y are dropped."""
    matrix = _only(b)
    target = y[:, start : start + matrix.shape[0]]
    product = x.to(y.dtype) @ matrix.to(y.dtype).T[:, : target.shape[1]]
    if add:
        target += product
    else:
        target.copy_(product)


def _only(stacked: Any) -> Tensor:
    assert stacked.shape[0] == 1, "the engine has more than one adapter slot"
    return stacked.reshape(stacked.shape[-2:])
