"""`rooms`, the embedded simulator: procedural furnished rooms and a CPU renderer, from PyPI packages alone.

backend    opens scenes, names the digest            scene       puts the stages below together
plan       rooms, doors, windows                     place       what stands where
catalogue  categories and their shapes               furniture/  the shapes
shell      meshes of walls, floors, ceiling lamps    openings    frames of windows, doors
style      paints, floors, lamps of a home           mesh        primitives
materials  colours and palettes                      textures    procedural patterns
geometry   flat triangle arrays                      lighting    lamps, windows, ambient light
light      what shading needs of it, depth maps      bake        the kernels of lamps, windows, sun
surroundings  light from walls, shade of furniture   lightmap    where light is kept
mirrors    what they show                            outside     what windows show
drawing    views of lit triangles                    raster      visibility buffer
shade      colour per pixel                          topdown     maps
navigation free floor, shortest paths

loaded     a scene from files                        assemble    its triangles and the truth about its objects
gltf       reads glTF                                gltf_data   the file it lies in
relight    light of an export, baked again           plain_shade colours of what comes from elsewhere
walkable   navigation on any mesh                    voxels      the kernels of that
export     writes homes as Habitat scene datasets
"""

from __future__ import annotations

from sim_server.backends.rooms.backend import RoomsBackend

__all__ = ["RoomsBackend"]
