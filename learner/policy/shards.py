"""A policy whose weights are spread over the ranks: FSDP2 through accelerate.

    shard(model)          every rank stores a part of each tensor; the layers of the language model are gathered one by
                          one in the forward and the backward pass, the rest (vision tower, embeddings) with the first
    complete(tensor)      the complete tensor, on every rank
    placed(tensor, like)  a complete tensor, reduced to this rank's part
    same_count(model, n)  forward passes that every rank must run, if this one needs n

Every rank must run the same forward passes in the same order, because each gathers weights from all ranks. `complete`
gathers one tensor: an adapter is collected without the base model. On unsharded models and tensors all of these return
their input.
"""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from accelerate.utils import FullyShardedDataParallelPlugin, fsdp2_prepare_model
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

log = logging.getLogger(__name__)

_MIB = 2**20


def shard(model: Any, on_gpu: bool) -> None:
    """Shard a complete model, which is on the CPU, in place; on GPUs, at most one layer is there completely.

    Collective: every rank must call it, with the same model.
    """
    layers = {type(layer).__name__ for layer in model.get_base_model().get_decoder().layers}
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        reshard_after_forward=True,
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=sorted(layers),
    )
    before = stored_bytes(model)
    device = torch.device("cuda" if on_gpu else "cpu")
    # What this function reads of an accelerator, which has no plugin on a CPU.
    state: Any = SimpleNamespace(fsdp_plugin=plugin)
    mesh = init_device_mesh(device.type, (dist.get_world_size(),), mesh_dim_names=("ranks",))
    names = SimpleNamespace(fsdp_dim_names=mesh.mesh_dim_names)
    own: Any = SimpleNamespace(
        state=state,
        device=device,
        mixed_precision="no",
        is_main_process=False,
        torch_device_mesh=mesh,
        parallelism_config=names,
    )
    fsdp2_prepare_model(own, model)
    log.info("this rank stores %.0f of %.0f MiB of the weights", stored_bytes(model) / _MIB, before / _MIB)


def is_sharded(model: Any) -> bool:
    return isinstance(model, FSDPModule)


def stored_bytes(model: Any) -> int:
    """Bytes of the parameters that this process stores."""
    own = (p.to_local() if isinstance(p, DTensor) else p for p in model.parameters())
    return sum(p.numel() * p.element_size() for p in own)


def complete(tensor: Tensor) -> Tensor:
    """The complete tensor on the CPU; one that is there already is not copied. Collective if it is sharded."""
    found = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return found.detach().contiguous().cpu()


def placed(tensor: Tensor, like: Tensor) -> Tensor:
    """A complete tensor, sharded as `like` is."""
    if not isinstance(like, DTensor):
        return tensor
    own = tensor.to(like.device_mesh.device_type)
    return distribute_tensor(own, like.device_mesh, like.placements, src_data_rank=None)


def same_count(model: Any, count: int) -> int:
    """The largest `count` of all ranks if the model is sharded, else `count`. Collective if it is sharded."""
    if not is_sharded(model):
        return count
    most = torch.tensor([count])
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return int(most.item())
