"""Scenes of `rooms` for tests."""

from __future__ import annotations

import copy

import numpy as np

from sim_server.backends.rooms.scene import RoomsScene


def silent(scene: RoomsScene) -> RoomsScene:
    """The scene with one exposure for all views and without noise."""
    other = copy.copy(scene)
    other._drawing = copy.copy(scene._drawing)
    look = scene._drawing.look
    quiet = look.film._replace(overall=look.film.overall._replace(noise=np.float32(0)))
    other._drawing._look = look._replace(film=quiet)
    return other
