"""The words that the embedded policy's tokenizer knows as one token each.

The simulator asks its questions in a small vocabulary; a word that is not listed here is spelled in bytes, which
works but costs tokens. At most 249 words fit into the 512 tokens beside the 256 bytes and the 7 special tokens.
"""

from __future__ import annotations

COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black", "grey", "brown", "pink")

NUMBERS = tuple(str(n) for n in range(13))

# Every word of a category of the `rooms` backend; a category of two words is two tokens ("coffee table").
_CATEGORIES = """
chair table sofa bed lamp plant bookshelf cabinet ball box armchair stool desk bench shelf wardrobe dresser nightstand
coffee dining side office television tv stand fridge stove oven sink toilet bathtub mirror rug pillow vase book clock
door window curtain bin basket trash bottle cup mug bowl plate laptop monitor computer piano counter floor ceiling wall
shower
"""

_SPATIAL = """
left right front behind back ahead forward backward up down above below over under top bottom middle center beside near
nearer nearest far farther farthest close closer closest next away distance apart direction part toward towards
clockwise long longer tall taller wide high low big bigger small smaller large larger size length width height depth
meters metres centimetres color category kind yes no hand order
"""

_FUNCTION = """
? , . : ; the a an is are was were of to from in on at and or not there here it its this that these those which what
where how many much does do did would you i my have has with by than as for one two first second third other same each
all any both thing things object objects room picture image view views photo see seen look looking standing stand facing
face faces turn turned move moved moving go camera between measured answer
"""


def words() -> tuple[str, ...]:
    """Every word once, in a fixed order."""
    return tuple(dict.fromkeys([*COLORS, *NUMBERS, *_CATEGORIES.split(), *_SPATIAL.split(), *_FUNCTION.split()]))
