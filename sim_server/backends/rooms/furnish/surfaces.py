"""Which small objects are placed on which furniture, with weights.

A weight is the fraction of receptacles of a kind that carried the object in ProcTHOR's receptacle statistics
(github.com/allenai/procthor, commit 53d5bd4c, procthor/databases/receptacles.json, Allen Institute for AI, Apache
License 2.0), mapped to our categories: SideTable is a nightstand, DeskLamp a table lamp, Mug and Cup a cup, HousePlant
a cactus. Categories that the statistics lack (stove, microwave, hall and wall furniture) use those of a similar one.
"""

from __future__ import annotations


def _bags(weight: float) -> dict[str, float]:
    return dict.fromkeys(("backpack", "bag", "suitcase"), weight / 3)


_SHELF = {"stack of books": 0.35, "vase": 0.15, "cactus": 0.1, "statue": 0.12, "alarm clock": 0.05, "candle": 0.08}
_DRESSER = {
    "stack of books": 0.25, "table lamp": 0.15, "vase": 0.15, "cactus": 0.13, "alarm clock": 0.12, "statue": 0.11,
    "remote control": 0.11, "laptop": 0.11, "candle": 0.08, "cup": 0.12, "bowl": 0.05, "bottle": 0.06,
}  # fmt: skip
STANDS_ON: dict[str, dict[str, float]] = {
    "coffee table": {
        "stack of books": 0.24, "remote control": 0.22, "bowl": 0.19, "laptop": 0.19, "cactus": 0.17, "statue": 0.17,
        "vase": 0.17, "cup": 0.21, "plate": 0.11, "bottle": 0.09, "apple": 0.08, "candle": 0.05,
    },
    "counter": {
        "soap": 0.25, "coffee machine": 0.27, "toaster": 0.27, "bowl": 0.19, "microwave": 0.17, "apple": 0.16,
        "cup": 0.29, "plate": 0.15, "pan": 0.13, "pot": 0.13, "kettle": 0.2, "bottle": 0.15, "cactus": 0.09,
    },
    "desk": {
        "stack of books": 0.47, "laptop": 0.43, "table lamp": 0.29, "cup": 0.33, "bowl": 0.1, "apple": 0.1,
        "bottle": 0.1, "alarm clock": 0.08, "statue": 0.08, "monitor": 0.2, "cactus": 0.08,
    },
    "table": {
        "plate": 0.39, "bowl": 0.36, "apple": 0.24, "cup": 0.38, "stack of books": 0.15, "bottle": 0.21, "vase": 0.2,
        "laptop": 0.12, "cactus": 0.1, "pot": 0.1, "candle": 0.1,
    },
    "nightstand": {
        "alarm clock": 0.23, "table lamp": 0.21, "cactus": 0.15, "cup": 0.19, "bottle": 0.08, "vase": 0.09,
        "stack of books": 0.14, "statue": 0.05,
    },
    "television stand": {"remote control": 0.3, "cactus": 0.13, "candle": 0.1, "vase": 0.1, "statue": 0.1},
    "bed": {"pillow": 0.4, "teddy bear": 0.2, "stack of books": 0.18, "laptop": 0.22},
    "sofa": {"pillow": 0.9, "remote control": 0.17, "stack of books": 0.08, "teddy bear": 0.06, "laptop": 0.1},
    "armchair": {"pillow": 0.8, "stack of books": 0.09},
    "toilet": {"toilet paper": 0.73, "candle": 0.1, "soap": 0.05},
    "stove": {"pot": 0.6, "pan": 0.5, "kettle": 0.3},
    "washing machine": {"soap": 0.4, "bottle": 0.3},
    "dishwasher": {"kettle": 0.2, "cup": 0.3, "plate": 0.3, "bowl": 0.2, "toaster": 0.2, "bottle": 0.1},
    "ottoman": {"remote control": 0.25, "stack of books": 0.25},
    "microwave": {"bowl": 0.3},
    "piano": {"candle": 0.3, "statue": 0.3, "vase": 0.3, "stack of books": 0.3},
    "shoe rack": {"vase": 0.2, "bowl": 0.3, "cactus": 0.2, "pair of shoes": 1.0},
    "cupboard": {"cup": 0.5, "bowl": 0.5, "plate": 0.3},
    "dresser": _DRESSER, "cabinet": _DRESSER, "bookshelf": _SHELF, "shelf": _SHELF,
    "bench": {**_bags(0.4), "stack of books": 0.3, "pillow": 0.3},
    "chair": {},
}  # fmt: skip


# What lies about on the floor of lived-in rooms.
_PLAY = {"toy car": 0.5, "teddy bear": 0.3, "stack of books": 0.3}
ON_FLOOR_OF: dict[str, dict[str, float]] = {
    "living room": {**_PLAY, **_bags(0.3), "pair of shoes": 0.3, "pillow": 0.2},
    "bedroom": {**_PLAY, "pair of shoes": 0.6, **_bags(0.4), "pillow": 0.15},
    "hallway": {"pair of shoes": 1.0, **_bags(0.6)},
    "office": {**_bags(0.5), "stack of books": 0.7},
    "dining room": {**_bags(0.4), "toy car": 0.4},
    "kitchen": {**_bags(0.5), "bottle": 0.3, "toy car": 0.2},
    "bathroom": {"pair of shoes": 0.3, "toilet paper": 0.4, "toy car": 0.3},
}
