"""The source `composer`: further questions of the kinds that teach, and new kinds at the frontier."""

from __future__ import annotations

import itertools
from typing import Iterator, Optional, Sequence

import msgspec
import numpy as np

from proposer.composer.bind import bind
from proposer.composer.draw import derive_form, draw_form
from proposer.composer.forms import Form, decode_form, depth
from proposer.composer.kinds import SOURCE, kind_of
from proposer.composer.looks import Look
from proposer.source import Draft
from protocol.tasks.kinds import Kind, parse_kind
from protocol.wire.proposals import KindStatus, ProposalRequest

_PER_NEW_KIND = 4  # questions by which a new kind is introduced
_TRIES_PER_KIND = 12
_DERIVED = 0.6  # fraction of new kinds that derive from others
_ANY_DEPTH = 0.2  # fraction of the others that ignore what the policy masters
_LEAST_ASKED = 8


class Composer:
    def __init__(self, most_depth: int, views: int) -> None:
        self._most_depth, self._views = most_depth, views

    @property
    def figures(self) -> dict[str, float]:
        return {}

    def write(self, request: ProposalRequest, looks: Sequence[Look], rng: np.random.Generator) -> list[Draft]:
        own = [(status, form) for status in request.kinds if (form := _form_of(status.kind)) is not None]
        drafts: list[Draft] = []
        for status, form in own:
            drafts += itertools.islice(_bound(status.kind, form, looks, rng), status.wanted)
        known = {*request.known, *(status.kind.name for status in request.kinds)}
        for _ in range(request.new_kinds):
            found = self._new_kind(own, known, looks, rng)
            if found:
                known.add(found[0].kind.name)
                drafts += found
        return drafts

    def _new_kind(
        self, own: Sequence[tuple[KindStatus, Form]], known: set[str], looks: Sequence[Look], rng: np.random.Generator
    ) -> list[Draft]:
        """The first questions of a kind that is not known; empty if none was found that suits the looks."""
        for _ in range(_TRIES_PER_KIND):
            form, parent = self._new_form(own, rng)
            kind = kind_of(form, parent) if depth(form) <= self._most_depth else None
            if kind is None or kind.name in known:
                continue
            drafts = list(itertools.islice(_bound(kind, form, looks, rng), _PER_NEW_KIND))
            if len(drafts) > 1:
                return drafts
        return []

    def _new_form(self, own: Sequence[tuple[KindStatus, Form]], rng: np.random.Generator) -> tuple[Form, str]:
        shares = np.array([status.share for status, _ in own])
        if shares.sum() > 0 and rng.random() < _DERIVED:
            status, form = own[int(rng.choice(len(own), p=shares / shares.sum()))]
            return derive_form(rng, form, [other for _, other in own], self._views), status.kind.name
        mastered = [
            status.kind.depth
            for status, _ in own
            if status.asked >= _LEAST_ASKED and status.success_rate >= (1 + parse_kind(status.kind.name).chance) / 2
        ]
        deepest = self._most_depth if rng.random() < _ANY_DEPTH else min(self._most_depth, 1 + max(mastered, default=1))
        return draw_form(rng, int(rng.integers(1, deepest + 1)), self._views), ""


def _form_of(kind: Kind) -> Optional[Form]:
    """The form of a composed kind; None for a kind of another source."""
    if parse_kind(kind.name).source != SOURCE:
        return None
    try:
        return decode_form(kind.form)
    except msgspec.DecodeError:
        return None


def _bound(kind: Kind, form: Form, looks: Sequence[Look], rng: np.random.Generator) -> Iterator[Draft]:
    """One question of the kind for each look that allows one, in random order, without repeats."""
    for index in rng.permutation(len(looks)).tolist():
        found = bind(form, looks[index], kind.name, rng)
        if found is not None:
            yield Draft(kind, found.proposal, looks[index])
