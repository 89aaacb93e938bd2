"""Data sets on disk: planned, written shard by shard, read with checks, and derived anew from their own truth."""
