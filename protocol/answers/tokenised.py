"""The tokenised form of a text: lower case, with a space around each punctuation mark ("how far is the bed ?").

The embedded policy reads and writes this form, in which a word has the same token wherever it is in a sentence.
"""

from __future__ import annotations

import re
from typing import Sequence

from protocol.tasks.task import Mention

# A mark is separated if a space, another mark or the end of the text follows, so that "0.3" is one word.
_MARKS = "?!.,:;"
_PIECE = re.compile(rf"[{_MARKS}](?=[\s{_MARKS}]|$)|(?:(?![{_MARKS}](?:[\s{_MARKS}]|$))\S)+")


def tokenised(text: str) -> str:
    """The text in its tokenised form; tokenising it again changes nothing."""
    return tokenised_with(text, ())[0]


def tokenised_with(text: str, mentions: Sequence[Mention]) -> tuple[str, tuple[Mention, ...]]:
    """The tokenised form of a text, and its mentions at their new places; mentions of no character are left out."""
    parts: list[str] = []
    starts, ends = [0] * len(text), [0] * len(text)  # of each character, in the new text
    length = last = 0
    for piece in _PIECE.finditer(text):
        starts[last : piece.start()] = ends[last : piece.start()] = [length] * (piece.start() - last)
        if parts:
            parts.append(" ")
            length += 1
        for at in range(piece.start(), piece.end()):
            low = text[at].lower()
            parts.append(low)
            starts[at], length = length, length + len(low)
            ends[at] = length
        last = piece.end()
    starts[last:] = ends[last:] = [length] * (len(text) - last)
    moved = (Mention(item.object_id, starts[item.start], ends[item.end - 1]) for item in mentions)
    return "".join(parts), tuple(item for item in moved if item.start < item.end)
