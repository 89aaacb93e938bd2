"""Rows as Parquet files with embedded images, as `datasets.load_dataset("parquet", …)` reads them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, Sequence

import msgspec

from protocol.errors import VantageError
from sim_server.dataset.rows import NO_OPTIONS, Row, encode_truth

_TEXTS = ("dataset", "scene_name", "question_type", "question", "ground_truth", "answer_type")


def installed() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


def check_installed(option: str) -> None:
    """Raises VantageError("bad_request") if pyarrow is not installed, which an option of the command needs."""
    if not installed():
        raise VantageError(
            "bad_request", f"{option} needs pyarrow: pip install 'vantage-loop[parquet]', or omit {option}."
        )


def write_parquet(path: Path, rows: Sequence[Row], images: Sequence[Sequence[bytes]]) -> None:
    """Write rows with their encoded images; `truth` becomes a column of JSON text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    image = pa.struct([("bytes", pa.binary()), ("path", text)])
    part = pa.struct([("type", text), ("text", text)])
    message = pa.struct([("role", text), ("content", pa.list_(part))])
    schema = pa.schema(
        [
            ("id", pa.int64()),
            *((name, text) for name in _TEXTS),
            ("options", pa.list_(text)),
            ("images", pa.list_(image)),
            ("messages", pa.list_(message)),
            ("truth", text),
        ],
        metadata={"huggingface": json.dumps({"info": {"features": features()}})},
    )
    table = pa.Table.from_pylist([record_of(row, own) for row, own in zip(rows, images)], schema=schema)
    pq.write_table(table, path, compression="zstd")


def record_of(row: Row, images: Sequence[bytes]) -> dict[str, Any]:
    """A row as a record with its encoded images; without options, `options` is None."""
    return {
        "id": row.id,
        **{name: getattr(row, name) for name in _TEXTS},
        "options": row.options if row.options != NO_OPTIONS else None,
        "images": [{"bytes": content, "path": name} for content, name in zip(images, row.images)],
        "messages": msgspec.to_builtins(row.messages),
        "truth": encode_truth(row.truth),
    }


def features() -> dict[str, Any]:
    """Column types for the datasets library, so that images are not read as bytes."""
    text = {"dtype": "string", "_type": "Value"}

    def listed(feature: dict[str, Any]) -> dict[str, Any]:
        return {"feature": feature, "_type": "List"}

    return {
        "id": {"dtype": "int64", "_type": "Value"},
        **dict.fromkeys(_TEXTS, text),
        "options": listed(text),
        "images": listed({"_type": "Image"}),
        "messages": listed({"role": text, "content": listed({"type": text, "text": text})}),
        "truth": text,
    }
