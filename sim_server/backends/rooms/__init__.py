"""`rooms`, the embedded simulator: procedural furnished rooms and a CPU renderer, from PyPI packages alone.

backend     opens scenes and defines the renderer digest
scene       an open, generated scene: runs the stages below in order
building/   floor plan, walls, doors, windows, paints, the view outside
furniture/  the shapes of all categories, by kind
furnish/    which furniture is placed where, and small objects on it
light/      bakes lamps, windows, sun and ambient light
draw/       visibility buffer, shading, mirrors, maps, materials, textures
walk/       where an agent can stand, and shortest paths
files/      scenes from glTF and Habitat datasets; exports of generated homes
mesh        triangle primitives
geometry    a scene's triangles as flat arrays
"""

from __future__ import annotations

from sim_server.backends.rooms.backend import RoomsBackend

__all__ = ["RoomsBackend"]
