"""The functions of the expression language, by name: those of the scene, of the views, of moves
through the scene, of places and free floor, and of numbers and words."""

from __future__ import annotations

from sim_server.questions.functions import moves, places, scene, views, words
from sim_server.questions.functions.registry import (
    BINDERS,
    BOOL,
    FUNCTIONS,
    MAP,
    MAX_OBJECTS,
    NUMBER,
    OBJECT,
    OBJECTS,
    POSE,
    SEQUENCE,
    TEXT,
    VECTOR,
    VIEW,
    Fault,
    Function,
    decimal,
)

MODULES = (scene, views, moves, places, words)  # each adds its functions to FUNCTIONS

__all__ = [
    "BINDERS",
    "BOOL",
    "FUNCTIONS",
    "MAP",
    "MAX_OBJECTS",
    "NUMBER",
    "OBJECT",
    "OBJECTS",
    "POSE",
    "SEQUENCE",
    "TEXT",
    "VECTOR",
    "VIEW",
    "Fault",
    "Function",
    "decimal",
]
