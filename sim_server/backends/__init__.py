"""Simulator backends: one folder each, found through the entry-point group `vantage.simulators`."""
