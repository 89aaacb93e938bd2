"""Supervised fine-tuning on a generated dataset: a warm start for the loop, or its control."""
