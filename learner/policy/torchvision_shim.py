"""Lets the Qwen3-VL processor import torchvision's CUDA build beside a CPU build of torch.

The torchvision wheel on PyPI is built for CUDA. Its C++ library does not load beside a CPU torch, so its operators are
not declared, and `import torchvision` fails with "operator torchvision::nms does not exist" when it registers their
fake kernels. Declaring the two schemas is enough: nothing here calls these operators.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library: list[object] = []  # a torch.library.Library removes its operators when it is garbage-collected


class _DeclareBeforeImport(importlib.abc.MetaPathFinder):
    """Declares the schemas when torchvision is imported, so that other processes need not import torch."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  required by the finder protocol
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            _declare()
        return None


def _declare() -> None:
    import torch

    if torch.version.cuda is not None:
        return
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _library.append(library)


def install() -> None:
    """Install the import hook. Call before the first import of transformers' processors, trl or vllm. Idempotent."""
    if "torchvision" in sys.modules or any(isinstance(finder, _DeclareBeforeImport) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _DeclareBeforeImport())
