"""Bounds of a dataset. Verifying one made by others takes bounded time and memory."""

from __future__ import annotations

MAX_SPECS = 2_000_000
MAX_SHARD_ROWS = 100_000
MAX_SHARD_BYTES = 2**34
MAX_ROW_BYTES = 2**24  # of a line of rows.jsonl
MAX_IMAGE_BYTES = 2**26
MAX_VIEWS = 64  # of one row
MAX_ROW_PIXELS = 2**25  # of all views of one row
