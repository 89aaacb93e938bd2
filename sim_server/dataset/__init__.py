"""Datasets on disk: planned, written shard by shard, read with checks, and verified against their own truth."""
