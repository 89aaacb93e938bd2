"""Lets the Qwen3-VL processor import torchvision's CUDA build beside a CPU build of torch.

PyPI's only torchvision wheel is built for CUDA. Its C++ library does not load beside a CPU torch, so the operators
that it would declare are missing, and `import torchvision` dies on "operator torchvision::nms does not exist" while
it registers their fake kernels. Declaring the two schemas is enough: nothing here ever calls these operators.
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
_library: list[object] = []  # a torch.library.Library undeclares its operators when it is collected


class _DeclareBeforeImport(importlib.abc.MetaPathFinder):
    """Waits for the import of torchvision, so that a process which never needs it does not import torch for it."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  the protocol of finders
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
    """Call before the first import of transformers' processors, trl or vllm; calling it again changes nothing."""
    if "torchvision" in sys.modules or any(isinstance(finder, _DeclareBeforeImport) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _DeclareBeforeImport())
