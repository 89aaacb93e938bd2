"""Which families may be judged in fog, under dirt and through a lens: those that never read a whole map of a view."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec
import numpy as np
import pytest
import test_families
import test_families_maps
from pools import pool

from protocol.errors import Infeasible
from protocol.tasks.specs import JUDGED_AS_SEEN
from protocol.tasks.task import HIDING, Degradation
from sim_server.questions.audit.oracles import agrees
from sim_server.questions.audit.oracles_maps import ORACLES as OF_MAPS
from sim_server.questions.evidence import Evidence
from sim_server.questions.families import FAMILIES
from sim_server.questions.family import Findings, ask, draw_evenly
from sim_server.questions.realise import realise

LEVELS = (0, 2, 4)
# They read no map, but place things in a picture as a pinhole camera does, or ask how much of a thing is hidden.
PINHOLE = {"view_choice", "cross_view", "visibility_compare"}


class Unread:
    """A map that may not be looked at."""

    def _read(self, *_: object) -> NoReturn:
        raise AssertionError("a whole map of the view is read")

    __getattr__ = __getitem__ = __gt__ = __eq__ = _read


def unmapped(world: Evidence) -> Evidence:
    unread: Any = Unread()

    def blind(views: tuple) -> tuple:
        return tuple(msgspec.structs.replace(view, ids=unread, depth_m=unread) for view in views)

    return msgspec.structs.replace(world, views=blind(world.views), hidden=blind(world.hidden))


@pytest.mark.parametrize("family", sorted(JUDGED_AS_SEEN))
def test_what_is_judged_as_seen_needs_no_map(family: str) -> None:
    asked = 0
    for world, _ in pool(family)[::5]:
        for level in LEVELS:
            with_maps, without = Findings(), Findings()
            FAMILIES[family].propose(world, level, with_maps)
            FAMILIES[family].propose(unmapped(world), level, without)
            assert with_maps.accepted == without.accepted
            if without.accepted:
                rng = np.random.default_rng(0)
                asked += bool(
                    ask(FAMILIES[family], unmapped(world), draw_evenly(without.accepted, rng), level, rng).answer
                )
    assert asked


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - JUDGED_AS_SEEN - PINHOLE))
def test_what_is_not_reads_one(family: str) -> None:
    def reads(world: Evidence, level: int) -> bool:
        try:
            FAMILIES[family].propose(unmapped(world), level, Findings())
        except AssertionError as error:
            return "a whole map" in str(error)
        return False

    assert any(reads(world, level) for world, _ in pool(family) for level in LEVELS)


@pytest.mark.parametrize("family", sorted(JUDGED_AS_SEEN))
@pytest.mark.parametrize("hides", sorted(HIDING))
def test_answers_in_bad_pictures_are_those_of_another_route(family: str, hides: str) -> None:
    where: Any = test_families_maps if family in OF_MAPS else test_families
    for seq in range(8):
        scene = where.scene_of(seq % 12) if family in OF_MAPS else where.scene_for(family, seq)
        spec = msgspec.structs.replace(where.spec_of(family, 1, seq), degradations=(Degradation(hides, 2),))
        try:
            found = realise(scene, spec, test_families.SENSORS)
        except Infeasible as error:
            assert "leave" not in error.message
            continue
        assert agrees(found.question, scene.description, found.frames), found.question.text
        return
    pytest.fail("no spec was feasible")
