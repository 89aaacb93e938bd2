"""Maps category names of Habitat's datasets to those of `rooms`, so that a skill means the same in every backend."""

from __future__ import annotations

import re

# Dataset category (lower case, spaces) -> category of `rooms`. Other categories are unchanged.
_SAME = {
    "couch": "sofa", "loveseat": "sofa", "sofa chair": "armchair", "arm chair": "armchair",
    "lounge chair": "armchair", "dining chair": "chair", "office chair": "chair", "desk chair": "chair",
    "tv": "television", "tv screen": "television", "tv monitor": "television", "flatscreen": "television",
    "refrigerator": "fridge", "potted plant": "plant", "indoor plant": "plant", "house plant": "plant",
    "houseplant": "plant", "night stand": "nightstand", "bedside table": "nightstand", "chest of drawers": "dresser",
    "bath tub": "bathtub", "tub": "bathtub", "bathroom sink": "washbasin",
    "book shelf": "bookshelf", "bookcase": "bookshelf", "kitchen cabinet": "cabinet",
    "closet": "wardrobe", "dining table": "table", "side table": "table", "end table": "table",
    "coffeetable": "coffee table", "floor lamp": "lamp", "standing lamp": "lamp", "lamp table": "table lamp",
    "desk lamp": "table lamp", "books": "set of books", "curtains": "curtain", "oven": "stove", "cooker": "stove",
    "washer": "washing machine", "wall clock": "clock", "painting": "picture",
    "wall picture": "picture",
}  # fmt: skip

# Parts of the building, and labels that are not objects; their pixels count as the stage.
STRUCTURE = frozenset(
    (
        "wall", "floor", "ceiling", "door frame", "doorframe", "doorway", "window frame", "window glass", "stairs",
        "beam", "column", "railing", "banister", "baseboard", "molding", "unknown", "void", "misc", "object", "objects",
        "other", "remove", "unlabeled", "undefined", "delete", "wall decoration", "floor mat edge",
    )
)  # fmt: skip


def category(name: str) -> str:
    """The category of a dataset's name: "Potted_Plant" -> "plant"; "" for an empty or meaningless name."""
    word = re.sub(r"\s+", " ", re.sub(r"[_/\-]+", " ", name)).strip().lower()
    return _SAME.get(word, word)


def is_structure(word: str) -> bool:
    """Whether this result of `category` is a part of the building or meaningless."""
    return not word or word in STRUCTURE


def room_category(name: str) -> str:
    """The room category of a dataset's name: "living_room" and "lounge" -> "living room", "Kitchen" -> "kitchen"."""
    word = re.sub(r"\s+", " ", re.sub(r"[_/\-]+", " ", name)).strip().lower()
    known = {
        "livingroom": "living room", "lounge": "living room", "familyroom lounge": "living room",
        "family room": "living room", "diningroom": "dining room", "study": "office", "home office": "office",
        "toilet": "bathroom", "washroom": "bathroom", "hall": "hallway", "corridor": "hallway", "entryway": "hallway",
        "foyer": "hallway",
    }  # fmt: skip
    return known.get(word, word) or "room"
