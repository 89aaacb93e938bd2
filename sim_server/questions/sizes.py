"""Usual sizes: a question asks for a size only if the kind of object does not give it away."""

from __future__ import annotations

from protocol.tasks.scene import SceneDescription, SceneObject
from sim_server.questions.geometry import longest_m
from sim_server.questions.nouns import painted

UNUSUAL = 1.2  # least ratio of an object's longest side to the usual one of its kind, or the other way round

# Longest side in cm, halfway between short and long ones, of the kinds whose sizes differ widely. Other kinds, such as
# beds and stoves, have much the same size everywhere.
_USUAL_CM = {
    "armchair": 95,
    "ball": 42,
    "basket": 44,
    "bench": 120,
    "blind": 150,
    "bookshelf": 140,
    "bottle": 26,
    "box": 54,
    "cabinet": 140,
    "cactus": 26,
    "candle": 14,
    "carpet": 190,
    "chair": 88,
    "clock": 32,
    "coffee table": 95,
    "counter": 130,
    "cupboard": 80,
    "curtain": 200,
    "desk": 125,
    "dresser": 110,
    "fan": 90,
    "fridge": 150,
    "lamp": 150,
    "laundry basket": 58,
    "mirror": 85,
    "monitor": 60,
    "nightstand": 55,
    "ottoman": 70,
    "picture": 75,
    "pillow": 48,
    "plant": 110,
    "rug": 190,
    "shelf": 80,
    "sofa": 205,
    "statue": 30,
    "stool": 58,
    "table": 125,
    "table lamp": 42,
    "television": 125,
    "towel": 60,
    "trash can": 50,
    "vase": 32,
    "wardrobe": 200,
}

# In homes, only these kinds are asked: as many objects are _SHORTEST_CM to the first length long as from the second
# length to _LONGEST_CM.
_SHORTEST_CM, _LONGEST_CM = 30, 165
_EVEN_CM = {
    "extractor hood": (56, 81),
    "mirror": (62, 84),
    "monitor": (49, 81),
    "ottoman": (50, 81),
    "picture": (56, 81),
    "shelf": (62, 83),
    "towel": (57, 81),
    "washbasin": (46, 81),
}


def size_class(item: SceneObject, description: SceneDescription) -> str:
    """ "short" or "long" if a question may ask for the object's longest side, else ""."""
    longest_cm = 100 * longest_m(item.box)
    if not painted(description):
        if item.category not in _EVEN_CM or not _SHORTEST_CM <= longest_cm <= _LONGEST_CM:
            return ""
        short_cm, long_cm = _EVEN_CM[item.category]
        return "short" if longest_cm <= short_cm else "long" if longest_cm >= long_cm else ""
    usual_cm = _USUAL_CM.get(item.category)
    if usual_cm is None or usual_cm / UNUSUAL < longest_cm < usual_cm * UNUSUAL:
        return ""
    return "short" if longest_cm < usual_cm else "long"
