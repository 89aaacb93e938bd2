"""Skills judged as seen never read a map of a view, so fog, dirt and lens distortion cannot mislead their rules."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec
import numpy as np
import pytest

from protocol.errors import Infeasible
from protocol.skills import CATALOGUE
from protocol.tasks.task import HIDING, Degradation
from sim_server.questions.audit.oracles import agrees
from sim_server.questions.evidence import Evidence
from sim_server.questions.families import FAMILIES
from sim_server.questions.family import Findings, ask, draw_evenly
from sim_server.questions.realise import realise
from tests.support.questions.cases import SENSORS, scene_for, spec_of
from tests.support.questions.pools import pool

LEVELS = (0, 2, 4)
JUDGED_AS_SEEN = [name for name, skill in CATALOGUE.items() if skill.judged_as_seen]
READING_MAPS = [name for name, skill in CATALOGUE.items() if skill.evidence == "maps"]


class Unread:
    """A map, or means over its pixels, that raises when it is read."""

    def _read(self, *_: object) -> NoReturn:
        raise AssertionError("a map of the view is read")

    __getattr__ = __getitem__ = __contains__ = __gt__ = __eq__ = _read


def unmapped(evidence: Evidence) -> Evidence:
    unread: Any = Unread()

    def blind(views: tuple) -> tuple:
        fields: dict[str, Any] = {"ids": unread, "depth_m": unread, "surfaces_m": unread, "voxels": None}
        return tuple(msgspec.structs.replace(view, **fields) for view in views)

    return msgspec.structs.replace(evidence, views=blind(evidence.views), hidden=blind(evidence.hidden))


@pytest.mark.parametrize("skill", JUDGED_AS_SEEN)
def test_a_skill_judged_as_seen_reads_no_map(skill: str) -> None:
    asked = 0
    for evidence, _ in pool(skill)[::3]:
        for level in LEVELS:
            with_maps, without = Findings(), Findings()
            FAMILIES[skill].judge(evidence, level, with_maps)
            FAMILIES[skill].judge(unmapped(evidence), level, without)
            assert with_maps.accepted == without.accepted
            if without.accepted:
                rng = np.random.default_rng(0)
                asked += bool(
                    ask(FAMILIES[skill], unmapped(evidence), draw_evenly(without.accepted, rng), level, rng).answer
                )
    assert asked


@pytest.mark.parametrize("skill", READING_MAPS)
def test_a_skill_about_maps_reads_one(skill: str) -> None:
    def reads(evidence: Evidence, level: int) -> bool:
        try:
            FAMILIES[skill].judge(unmapped(evidence), level, Findings())
        except AssertionError as error:
            return "a map of the view" in str(error)
        return False

    assert any(reads(evidence, level) for evidence, _ in pool(skill) for level in LEVELS)


@pytest.mark.parametrize("skill", JUDGED_AS_SEEN)
@pytest.mark.parametrize("hides", sorted(HIDING))
def test_answers_about_degraded_images_agree_with_the_oracle(skill: str, hides: str) -> None:
    for seq in range(8):
        scene = scene_for(skill, seq)
        spec = msgspec.structs.replace(spec_of(skill, 1, seq), degradations=(Degradation(hides, 2),))
        try:
            found = realise(scene, spec, SENSORS)
        except Infeasible as error:
            assert "leave" not in error.message
            continue
        assert agrees(found.question, scene.description, found.frames), found.question.text
        return
    pytest.fail("no spec was feasible")
