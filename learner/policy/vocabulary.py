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

_SPATIAL = """
left right front behind back ahead forward backward up down above below over under top bottom middle center beside near
nearer nearest far farther farthest close closer closest next away distance apart direction part toward towards side
clockwise long longer longest tall taller wide high low big bigger small smaller large larger size length width height
depth m cm meters centimeters color kind yes no order quadrant
"""

_FUNCTION = """
? , . : ; the a an is are was were of to from in on at and or not there it its this that these those which what where
how many much do does did would you i my have has with by than as for one two first second third other same each all any
both thing things object objects room picture pictures image view see seen show look stand standing face facing turn
turned turns move moved moves go way camera between compared number now
"""


def words() -> tuple[str, ...]:
    """Return every word once, in a fixed order."""
    texts = (_CATEGORIES, _OTHER_OBJECTS, _SPATIAL, _FUNCTION)
    return tuple(dict.fromkeys([*COLORS, *NUMBERS, *(word for text in texts for word in text.split())]))
