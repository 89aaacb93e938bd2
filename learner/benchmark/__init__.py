"""Benchmarks of others: their questions, videos and images, answered by the policy of a run."""
