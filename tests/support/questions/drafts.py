"""Drafts of every form of a skill at every level."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any
from unittest import mock

import numpy as np

from protocol.errors import Infeasible
from protocol.skills import CATALOGUE
from protocol.tasks.task import Question
from sim_server.questions.evidence import Evidence
from sim_server.questions.families import FAMILIES
from sim_server.questions.family import Candidate, Draft, Family, ask
from sim_server.questions.realise import realise
from tests.support.questions.cases import scene_for, spec_of
from tests.support.questions.pools import accepted

# Their evidence depends on how the family places its views.
STAGED = ("appearance_order", "action_consequence", "view_choice")


def staged(skill: str, level: int) -> list[tuple[Evidence, Candidate]]:
    """What the first of a few specs to be realised asks about."""
    asked: list[tuple[Evidence, Candidate]] = []

    def spy(family: Family, evidence: Evidence, candidate: Candidate, *more: Any) -> Question:
        asked.append((evidence, candidate))
        return ask(family, evidence, candidate, *more)

    with mock.patch("sim_server.questions.realise.ask", spy):
        for seq in range(8):
            if not asked:
                with contextlib.suppress(Infeasible):
                    realise(scene_for(skill, seq), spec_of(skill, level, seq))
    return asked


@cache
def drafts(skill: str) -> list[tuple[Evidence, Candidate, int, Draft]]:
    """A draft of each form of the skill at each level."""
    found: dict[tuple[str, int], tuple[Evidence, Candidate, int, Draft]] = {}
    for level in CATALOGUE[skill].feasible_levels:
        for evidence, candidate in staged(skill, level) if skill in STAGED else accepted(skill, level):
            if (candidate.form, level) not in found:
                draft = FAMILIES[skill].draft(evidence, candidate, level, np.random.default_rng(0))
                found[candidate.form, level] = (evidence, candidate, level, draft)
    assert found, skill
    return list(found.values())
