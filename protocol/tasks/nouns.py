"""English nouns of categories."""

from __future__ import annotations


def plural(noun: str) -> str:
    """English plural of a category's words: "boxes", "bookshelves", "coffee tables", "sets of books"."""
    if noun == "person":
        return "people"
    head, of, rest = noun.partition(" of ")
    if of:
        return f"{plural(head)} of {rest}"
    if noun.endswith("shelf"):
        return noun[:-1] + "ves"
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"
