"""Usual sizes: a question asks for a size only if the kind of object does not give it away."""

from __future__ import annotations

from protocol.tasks.scene import SceneObject
from sim_server.questions.geometry import longest_m

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


def size_class(item: SceneObject) -> str:
    """ "short" or "long" if the object's longest side is unusual for its kind, else ""."""
    usual_cm = _USUAL_CM.get(item.category)
    longest_cm = 100 * longest_m(item.box)
    if usual_cm is None or usual_cm / UNUSUAL < longest_cm < usual_cm * UNUSUAL:
        return ""
    return "short" if longest_cm < usual_cm else "long"
