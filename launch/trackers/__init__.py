"""Experiment trackers by name, for the setting `run.trackers`.

To add one, write a module in this package and list its factory here, or register a factory in the entry-point group
`vantage.trackers` of another distribution. A factory takes a RunDir and returns a Tracker (launch/trackers/points.py).
A tracker is imported only in its own process (launch/trackers/follow.py).
"""

from __future__ import annotations

from protocol.entry_points import Implementations

TRACKERS = Implementations(
    "vantage.trackers",
    "tracker",
    {
        "tensorboard": "launch.trackers.tensorboard:TensorBoard",
        "trackio": "launch.trackers.trackio:Trackio",
        "wandb": "launch.trackers.weights_and_biases:WeightsAndBiases",
    },
)
