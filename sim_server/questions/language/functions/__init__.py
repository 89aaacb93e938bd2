"""The functions of the question language, collected in `registry.FUNCTIONS` as these modules are imported."""

from __future__ import annotations

from sim_server.questions.language.functions import moves, places, scene, views, words

MODULES = (scene, views, moves, places, words)
