"""Category names of Habitat's data sets as the words that `rooms` uses: one skill means one thing everywhere."""

from __future__ import annotations

import re

# Data set's word (lower case, spaces) -> ours. Words that are not listed stay as they are.
_SAME = {
    "couch": "sofa", "loveseat": "sofa", "sofa chair": "armchair", "arm chair": "armchair",
    "lounge chair": "armchair", "dining chair": "chair", "office chair": "chair", "desk chair": "chair",
    "tv": "television", "tv screen": "television", "tv monitor": "television", "flatscreen": "television",
    "refrigerator": "fridge", "potted plant": "plant", "indoor plant": "plant", "house plant": "plant",
    "houseplant": "plant", "night stand": "nightstand", "bedside table": "nightstand", "chest of drawers": "dresser",
    "bath tub": "bathtub", "tub": "bathtub", "sink": "washbasin", "bathroom sink": "washbasin",
    "book shelf": "bookshelf", "bookcase": "bookshelf", "cupboard": "cabinet", "kitchen cabinet": "cabinet",
    "closet": "wardrobe", "dining table": "table", "side table": "table", "end table": "table",
    "coffeetable": "coffee table", "floor lamp": "lamp", "standing lamp": "lamp", "lamp table": "table lamp",
    "desk lamp": "table lamp", "books": "set of books", "curtains": "curtain", "oven": "stove", "cooker": "stove",
    "washer": "washing machine", "ottoman": "stool", "wall clock": "clock", "painting": "picture",
    "wall picture": "picture",
}  # fmt: skip

# What belongs to the building, or is no thing that a person would name: its pixels count as the stage.
STRUCTURE = frozenset(
    (
        "wall", "floor", "ceiling", "door frame", "doorframe", "doorway", "window frame", "window glass", "stairs",
        "beam", "column", "railing", "banister", "baseboard", "molding", "unknown", "void", "misc", "object", "objects",
        "other", "remove", "unlabeled", "undefined", "delete", "wall decoration", "floor mat edge",
    )
)  # fmt: skip


def category(name: str) -> str:
    """ "Potted_Plant" -> "plant". An empty or meaningless name gives ""."""
    word = re.sub(r"\s+", " ", re.sub(r"[_/\-]+", " ", name)).strip().lower()
    return _SAME.get(word, word)


def is_structure(word: str) -> bool:
    """Whether this word of `category` names a part of the building, or nothing."""
    return not word or word in STRUCTURE


def room_category(name: str) -> str:
    """ "living_room", "lounge", "Kitchen" -> "living room", "living room", "kitchen"."""
    word = re.sub(r"\s+", " ", re.sub(r"[_/\-]+", " ", name)).strip().lower()
    known = {
        "livingroom": "living room", "lounge": "living room", "familyroom lounge": "living room",
        "family room": "living room", "diningroom": "dining room", "study": "office", "home office": "office",
        "toilet": "bathroom", "washroom": "bathroom", "hall": "hallway", "corridor": "hallway", "entryway": "hallway",
        "foyer": "hallway",
    }  # fmt: skip
    return known.get(word, word) or "room"
