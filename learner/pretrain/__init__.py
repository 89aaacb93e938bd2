"""Makes `vantage-tiny`: supervised pre-training on the simulator's dense truth."""
