"""The functions of the expression language, by name: those of the scene, of the views, and of numbers and words."""

from __future__ import annotations

from sim_server.questions.functions import scene, views, words
from sim_server.questions.functions.registry import (
    BINDERS,
    BOOL,
    FUNCTIONS,
    MAX_OBJECTS,
    NUMBER,
    OBJECT,
    OBJECTS,
    TEXT,
    VECTOR,
    VIEW,
    Fault,
    Function,
    decimal,
)

MODULES = (scene, views, words)  # each adds its functions to FUNCTIONS

__all__ = [
    "BINDERS",
    "BOOL",
    "FUNCTIONS",
    "MAX_OBJECTS",
    "NUMBER",
    "OBJECT",
    "OBJECTS",
    "TEXT",
    "VECTOR",
    "VIEW",
    "Fault",
    "Function",
    "decimal",
]
