"""A form and views of a scene become a question about objects of that scene."""

from __future__ import annotations

from typing import Optional, Sequence

import msgspec
import numpy as np

from proposer.composer.forms import (
    ColorOf,
    Form,
    HowMany,
    Question,
    Side,
    Which,
    needs_second_view,
    shows_all,
    slots,
    words,
)
from proposer.composer.looks import Look
from proposer.composer.meaning import Unclear, answer
from proposer.composer.programs import program
from proposer.composer.wording import sentence
from protocol.seeds import pick
from protocol.tasks.task import Proposal

# The simulators describe no other objects.
ALL_OBJECTS = "Walls, floors, ceilings, doors, windows and ceiling lights do not count as objects."
_TRIES = 24
_YES_NO = ("yes", "no")


class Bound(msgspec.Struct, frozen=True):
    proposal: Proposal
    answer: str  # that the composer expects; the simulator computes it again
    margin: float


class _Choice(msgspec.Struct, frozen=True):
    ids: tuple[int, ...]
    words: tuple[tuple[str, str], ...]
    answer: str
    margin: float


def bind(form: Form, look: Look, kind: str, rng: np.random.Generator) -> Optional[Bound]:
    """A clear question of this form about the views, None if none was found. Its answers are drawn evenly."""
    question = form.question
    if needs_second_view(form) != (len(look.poses) > 1) or (shows_all(form) and not look.all_clear):
        return None
    choices = _choices(form, look, rng)
    if not choices:
        return None
    wanted = pick(sorted({one.answer for one in choices}), rng)
    chosen = pick([one for one in choices if one.answer == wanted], rng)
    names = [look.name(key) for key in chosen.ids]
    return Bound(
        Proposal(
            text=sentence(question, names, chosen.words, rng, len(look.poses)),
            program=program(question, chosen.ids, chosen.words),
            answer_type="number" if isinstance(question, HowMany) else "choice",
            options=_options(question, look, names, rng),
            poses=look.poses,
            kind=kind,
            rule=ALL_OBJECTS if shows_all(form) else "",
        ),
        chosen.answer,
        chosen.margin,
    )


def _choices(form: Form, look: Look, rng: np.random.Generator) -> list[_Choice]:
    named, said = len(slots(form.question)), len(words(form.question))
    clear = look.named_once()
    seen = [look.objects[key] for key in look.seen[0]]
    categories = sorted({item.category for item in seen})
    colors = sorted({item.color for item in seen if item.color})
    kinds = [*(("category", word) for word in categories), *(("color", word) for word in colors)]
    if len(clear) < named or len(kinds) < said:
        return []
    found: dict[tuple[tuple[int, ...], tuple[tuple[str, str], ...]], _Choice] = {}
    for _ in range(_TRIES if named or said else 1):
        ids = tuple(clear[int(index)] for index in rng.permutation(len(clear))[:named])
        chosen = tuple(kinds[int(index)] for index in rng.permutation(len(kinds))[:said])
        if (ids, chosen) in found:
            continue
        try:
            result = answer(form, look, ids, chosen)
        except Unclear:
            continue
        found[ids, chosen] = _Choice(ids, chosen, result.text, result.margin)
    return list(found.values())


def _options(question: Question, look: Look, names: Sequence[str], rng: np.random.Generator) -> tuple[str, ...]:
    if isinstance(question, HowMany):
        return ()
    if isinstance(question, Which):
        return tuple(names[slot] for slot in question.slots)
    if isinstance(question, Side):
        return ("left", "right")
    if isinstance(question, ColorOf):
        colors = sorted({look.objects[key].color for key in look.seen[0]} - {""})
        return tuple(colors[int(index)] for index in rng.permutation(len(colors)))
    return _YES_NO
