"""Rows as WebDataset shards: a tar file with one sample per row, in order.

0000007.json  0000007.0.webp  0000007.1.webp      the row as in rows.jsonl, and its images in order
"""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path
from typing import Sequence

from sim_server.dataset.rows import Row, encode_row


def write_tar(path: Path, rows: Sequence[Row], images: Sequence[Sequence[bytes]]) -> None:
    """Write rows with their encoded images. Equal rows give equal bytes."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for row, own in zip(rows, images):
            sample = f"{row.id:07d}"
            _add(tar, f"{sample}.json", encode_row(row))
            for view, content in enumerate(own):
                _add(tar, f"{sample}.{view}.webp", content)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # without a time and an owner
    member.size = len(content)
    tar.addfile(member, BytesIO(content))
