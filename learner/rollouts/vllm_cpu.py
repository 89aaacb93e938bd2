"""What vLLM's CPU build needs before it serves one adapter at a fair rate.

Its LoRA kernels gather a copy of both adapter matrices for every token, which is 90 % of the time of a step of the
embedded policy. Here every token of a batch has the same adapter, so one matrix product does.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor


def prepare() -> None:
    """Call before the engine is made."""
    from vllm.lora.punica_wrapper import punica_cpu
    from vllm.model_executor.models import registry

    # It looks at a model's class in a Python of its own, where torchvision's CUDA build does not import.
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
        assert hasattr(punica_cpu, name), f"this vLLM has no LoRA kernel {name}"
        setattr(punica_cpu, name, kernel)


def shrink(x: Tensor, a: Tensor, y: Tensor, scale: float) -> None:
    """y[N, :r] = scale x[N, in] A^T, with `a` [1, 1, r, in]: the engine has one adapter slot."""
    matrix = _only(a)
    y[:, : matrix.shape[0]] = scale * (x.to(y.dtype) @ matrix.to(y.dtype).T)


def expand(x: Tensor, b: Tensor, y: Tensor, start: int, add: bool) -> None:
    """y[N, start : start + out] (+)= x[N, r] B^T, with `b` [1, 1, out, r]; what y lacks in columns is cut off."""
    matrix = _only(b)
    to = y[:, start : start + matrix.shape[0]]
    product = x.to(y.dtype) @ matrix.to(y.dtype).T[:, : to.shape[1]]
    if add:
        to += product
    else:
        to.copy_(product)


def _only(stacked: Any) -> Tensor:
    assert stacked.shape[0] == 1, "the engine was made with more than one adapter slot"
    return stacked.reshape(stacked.shape[-2:])
