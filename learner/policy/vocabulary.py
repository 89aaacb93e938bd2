"""Words that the tokenizer of the embedded policy encodes as one token.

Questions use a small vocabulary. A word that is not listed here is encoded as bytes, which works but takes more tokens.
The 512 tokens are 256 bytes, 7 special tokens and up to 249 words.
"""

from __future__ import annotations

COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black", "grey", "brown", "pink")

NUMBERS = tuple(str(n) for n in range(13))

# Words in names of categories of the `rooms` backend, and their plurals; "coffee table" is two tokens.
_CATEGORIES = """
chair table sofa bed lamp plant bookshelf cabinet ball box armchair stool desk bench wardrobe dresser nightstand coffee
basket vase shelf rug door window wall floor ceiling
chairs tables sofas beds lamps plants bookshelves cabinets balls boxes armchairs stools desks benches wardrobes dressers
nightstands baskets vases
"""

_OTHER_OBJECTS = """
television fridge stove oven sink toilet bathtub mirror pillow book clock curtain bin bottle cup bowl plate laptop
monitor piano counter
"""

# Words of the sentences and answers of the skills about one view, and of prompts to look around.
_SPATIAL = """
left right front behind back ahead forward up down above below top bottom middle center near nearer nearest far farther
closest away distance part direction side along long longest length m cm meters centimeters color yes no
relative compared between hidden partly facing
"""

_FUNCTION = """
? , . : the a an is are of to from in on at and or not there it its these which what where how many more does do would
you by if with without than as same other this all each object objects image images view see seen shows show look count
find name call first last have stand standing face turn move moved moves camera number room
"""


def words() -> tuple[str, ...]:
    """Return every word once, in a fixed order."""
    texts = (_CATEGORIES, _OTHER_OBJECTS, _SPATIAL, _FUNCTION)
    return tuple(dict.fromkeys([*COLORS, *NUMBERS, *(word for text in texts for word in text.split())]))
