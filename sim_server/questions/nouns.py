"""Nouns: what a person may call an object, which objects a person can count, and what a noun tells about colours.

Questions name objects by their category. A name is ambiguous if a person may call another object in view by it: an
armchair is a chair too, a coffee table is a table, and a bed has pillows.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Iterable

from protocol.tasks.scene import SceneDescription, SceneObject

# Further nouns for an object, besides its category and the last words of that ("coffee table" -> "table"): more general
# words, words for objects that look alike, and words for parts that a person would name as objects.
_BOOKS = ("book", "books", "set of books", "stack of books")
_ALSO_CALLED: dict[str, tuple[str, ...]] = {
    # Seats.
    "armchair": ("chair",),
    "recliner": ("armchair", "chair"),
    "rocking chair": ("armchair",),
    "stool": ("ottoman", "chair"),
    "ottoman": ("stool",),
    "couch": ("sofa",),
    "loveseat": ("sofa", "armchair"),
    "sofa": ("pillow",),
    # Tables and cases.
    "desk": ("table",),
    "nightstand": ("table", "bedside table", "cabinet", "dresser"),
    "table": ("desk",),
    "counter": ("cabinet", "cupboard", "sink"),
    "sink": ("counter", "cabinet", "washbasin"),
    "washbasin": ("sink", "cabinet"),
    "dishwasher": ("counter", "cabinet", "washing machine"),
    "washing machine": ("dishwasher",),
    "stove": ("counter", "oven"),
    "cabinet": ("cupboard", "wardrobe", "dresser"),
    "cupboard": ("cabinet", "shelf"),
    "wardrobe": ("cabinet", "cupboard"),
    "dresser": ("cabinet", "nightstand"),
    "bookshelf": ("shelf", "bookcase", "cabinet", *_BOOKS),
    "bookcase": ("bookshelf", "shelf", *_BOOKS),
    "shelf": ("bookshelf", *_BOOKS),
    "shoe rack": ("shelf", "cabinet", "dresser"),
    "tv stand": ("cabinet", "table"),
    "television stand": ("cabinet", "table"),
    "sideboard": ("cabinet", "dresser"),
    # Beds and textiles.
    "crib": ("bed",),
    "rug": ("carpet", "mat"),
    "carpet": ("rug",),
    "mat": ("rug",),
    "cushion": ("pillow",),
    "shower": ("curtain",),
    "blanket": ("towel",),
    # Containers.
    "basket": ("laundry basket", "box", "trash can"),
    "laundry basket": ("trash can",),
    "trash can": ("basket",),
    "bin": ("trash can", "basket"),
    "box": ("basket",),
    "crate": ("box", "basket"),
    # Lights, clocks, screens, pictures.
    "chandelier": ("lamp",),
    "monitor": ("television",),
    "television": ("monitor",),
    "tv": ("television",),
    "painting": ("picture",),
    "photo": ("picture",),
    "poster": ("picture",),
    # Luggage.
    "backpack": ("bag",),
    "suitcase": ("bag",),
    # People.
    "man": ("person",),
    "woman": ("person",),
    "child": ("person",),
    # Plants and small objects.
    "cactus": ("plant",),
    "flower": ("plant",),
    "vase": ("plant",),
    "bowl": ("apple",),
    "mug": ("cup",),
    "pot": ("pan",),
    "pan": ("pot",),
    "soap": ("bottle",),
    "soap dispenser": ("soap", "bottle"),
    "book": _BOOKS,
    "stack of books": _BOOKS,
    "set of books": _BOOKS,
}
# Categories whose number people do not agree on: panels, stacks and pairs, fitted units, and boards.
_UNCOUNTED = frozenset(
    (
        *_BOOKS, "blind", "clothes", "counter", "cupboard", "curtain", "pair of shoes", "shelf", "shoe", "soap",
        "toilet paper", "towel",
    )
)  # fmt: skip

# Colours that most objects of a kind have if they have a colour word at all.
_USUAL_COLORS = {
    "bathtub": "white",
    "cactus": "green",
    "counter": "white",
    "dishwasher": "white",
    "flower": "green",
    "fridge": "white",
    "laptop": "black",
    "monitor": "black",
    "piano": "black",
    "picture": "white",
    "plant": "green",
    "radiator": "white",
    "remote control": "black",
    "shower": "white",
    "sink": "white",
    "stove": "white",
    "teddy bear": "brown",
    "television": "black",
    "toilet": "white",
    "toilet paper": "white",
    "washbasin": "white",
    "washing machine": "white",
}


def painted(description: SceneDescription) -> bool:
    """Whether every object has a colour word, as in scenes of plain paints, where nouns tell nothing about colours.

    In a home, many objects have several colours or a shade between colour words.
    """
    return all(item.color for item in description.objects)


def has_usual_color(item: SceneObject) -> bool:
    """Whether the noun of the object gives its colour away, and the other way round."""
    return _USUAL_COLORS.get(item.category) == item.color


@lru_cache(maxsize=4096)
def nouns_of(category: str) -> frozenset[str]:
    """Every noun that a person may use for an object of this category or for a part of it, the category included."""
    words = category.split()
    heads = () if "of" in words else tuple(" ".join(words[start:]) for start in range(1, len(words)))
    return frozenset((category, *heads, *(noun for name in (category, *heads) for noun in _ALSO_CALLED.get(name, ()))))


def countable(category: str) -> bool:
    """Whether people agree on the number of such objects."""
    return category not in _UNCOUNTED


class Naming:
    """How many of some objects each name fits.

    A name is a noun with or without a colour word. A name without one fits objects of every colour; one with a colour
    also fits objects that have no colour word.
    """

    def __init__(self, items: Iterable[SceneObject]) -> None:
        self._colors: dict[str, Counter[str]] = {}
        for item in items:
            for noun in nouns_of(item.category):
                self._colors.setdefault(noun, Counter())[item.color] += 1

    def fitting(self, noun: str, color: str = "") -> int:
        """The number of objects that this name fits."""
        colors = self._colors.get(noun)
        if colors is None:
            return 0
        return colors[color] + colors[""] if color else sum(colors.values())

    def unique(self, item: SceneObject) -> bool:
        """Whether the name of one of the objects fits no other one."""
        return self.fitting(item.category, item.color) == 1
