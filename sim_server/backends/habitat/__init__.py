"""`habitat`: a backend for the scenes of habitat-sim datasets (HM3D, MP3D, ReplicaCAD, HSSD, exports of `rooms`).

backend     opens scenes and defines the renderer digest
simulator   the habitat_sim.Simulator: scenes, sensors and their pitfalls
scene       an open scene: description, rendering, paths
truth       objects and rooms as habitat-sim describes them
survey      surface points, for unoccluded pixel counts
words       dataset categories mapped to those of `rooms`

Only `simulator` and `truth` use habitat_sim, which is imported when the backend is created. Runs on Python 3.9.
"""

from __future__ import annotations

from sim_server.backends.habitat.backend import HabitatBackend

__all__ = ["HabitatBackend"]
