"""Supervised fine-tuning on a generated data set: a warm start for the loop, or its control."""
