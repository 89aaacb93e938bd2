"""The names in a text, and the visible objects that each of them fits.

A name is a category word of the scene or the backend, or "thing", optionally after a colour word. It refers to one
object ("the red chair"), or to any number of a kind ("chairs", "a chair", "which chair").
"""

from __future__ import annotations

import re
from typing import Iterable, Optional

import msgspec

from protocol.tasks.nouns import plural
from protocol.tasks.scene import SceneObject
from sim_server.questions.nouns import nouns_of

THINGS = ("thing", "object", "item")
OF_A_KIND = ("a", "an", "any", "another", "which", "what", "each", "every", "of")
_WORD = re.compile(r"[^\W_]+")


class Named(msgspec.Struct, frozen=True):
    """text[start:end]; category or color is "" if the phrase has none."""

    start: int
    end: int
    category: str
    color: str
    one: bool  # it refers to one object, not to any number of a kind

    def fits(self, item: SceneObject) -> bool:
        return (not self.category or self.category in nouns_of(item.category)) and self.color in ("", item.color)


class Vocabulary:
    """The category and colour words that can name objects in a text."""

    def __init__(self, objects: Iterable[SceneObject], categories: Iterable[str] = ()) -> None:
        items = list(objects)
        self.colors = {item.color for item in items if item.color}
        self._nouns: dict[tuple[str, ...], tuple[str, bool]] = {}  # words -> category, plural
        for category in {item.category for item in items} | set(categories) | set(THINGS):
            meant = "" if category in THINGS else category
            for words, many in ((category, False), (plural(category), True)):
                self._nouns.setdefault(tuple(words.split()), (meant, many))
        self._longest = max(map(len, self._nouns))

    def names_in(self, text: str) -> list[Named]:
        """Every name in the text, the longest phrase at each place."""
        found: list[Named] = []
        words = [(match.group().lower(), match.start(), match.end()) for match in _WORD.finditer(text)]
        at = 0
        while at < len(words):
            colored = words[at][0] in self.colors
            noun = self._noun([word for word, _, _ in words[at + colored :]])
            if noun is None:
                at += 1
                continue
            length, category, many = noun
            if category or colored:  # "thing" alone names nothing
                before = words[at - 1][0] if at else ""
                last = at + colored + length - 1
                color = words[at][0] if colored else ""
                found.append(Named(words[at][1], words[last][2], category, color, not many and before not in OF_A_KIND))
            at += colored + length
        return found

    def _noun(self, words: list[str]) -> Optional[tuple[int, str, bool]]:
        for length in range(min(self._longest, len(words)), 0, -1):
            if tuple(words[:length]) in self._nouns:
                return (length, *self._nouns[tuple(words[:length])])
        return None


def holds_phrase(text: str, phrase: str) -> bool:
    """Whether the text contains the words of the phrase in sequence."""
    words, wanted = (_WORD.findall(part.lower()) for part in (text, phrase))
    return bool(wanted) and any(words[i : i + len(wanted)] == wanted for i in range(len(words) - len(wanted) + 1))
