"""The functions of the expression language, by name in `registry.FUNCTIONS`: those of the scene, of the views, of moves
through the scene, of places and free floor, and of numbers and words."""

from __future__ import annotations

from sim_server.questions.language.functions import moves, places, scene, views, words

MODULES = (scene, views, moves, places, words)  # each adds its functions to the registry
