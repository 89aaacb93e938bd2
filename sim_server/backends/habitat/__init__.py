"""`habitat`: scenes of habitat-sim data sets (HM3D, MP3D, ReplicaCAD, HSSD, exports of `rooms`) as a backend.

backend     opens scenes, names the digest           simulator   the one Simulator, its sensors and pitfalls
scene       description, frames, walks               truth       what habitat-sim says of objects and rooms
survey      surface points, for unoccluded shares    words       categories by the names that `rooms` uses

Only `simulator` and `truth` touch habitat_sim, which is imported when the backend is made. Runs on Python 3.9.
"""

from __future__ import annotations

from sim_server.backends.habitat.backend import HabitatBackend

__all__ = ["HabitatBackend"]
