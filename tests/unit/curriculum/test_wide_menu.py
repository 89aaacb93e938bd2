"""A wide menu: the status fits into a message, and a lease and a report read only the records of their cells."""

from __future__ import annotations

import msgspec
import pytest

from curriculum.ability import estimates
from curriculum.ability.estimates import Estimator
from curriculum.ability.rasch import Cell
from curriculum.record.state import CellState, State
from curriculum.selectors.base import cell_shares, make_selector
from curriculum.settings import CurriculumSettings
from curriculum.status import MOST_ROWS, status_of
from protocol.skills import CATALOGUE
from protocol.tasks.specs import SkillSettings, World
from protocol.wire.messages import LeaseSpecs, SendReports, SpecBatch
from tests.support.curriculum import report_on

WIDE = CurriculumSettings(
    skills=tuple(SkillSettings(name=name, levels=skill.feasible_levels) for name, skill in CATALOGUE.items()),
    world=World(degradations=tuple(f"noise:{severity}" for severity in range(5)), clutter=0.5, rooms=2),
)
HEADER_BYTES = 4 * 2**20  # limit of the header of a message


def test_the_status_of_a_wide_menu_has_the_cells_with_the_largest_shares():
    found, selector = Estimator(State(), WIDE).estimates(), make_selector(WIDE)
    assert len(found) > MOST_ROWS
    status = status_of(State(), WIDE, found, selector)
    shares = cell_shares(selector.shares(found))
    assert len(status.cells) == MOST_ROWS == len(found) - status.cells_left_out
    assert min(row.share for row in status.cells) >= sorted(shares, reverse=True)[MOST_ROWS - 1]
    places = [found.rows[Cell(row.skill, row.level, row.degradation)] for row in status.cells]
    assert places == sorted(places), "in the order of the settings"
    assert len(msgspec.msgpack.encode(status)) < HEADER_BYTES / 4


def test_a_lease_reads_only_the_records_of_cells_that_changed(start, monkeypatch):
    core = start(skills=WIDE.skills, world=WIDE.world)
    read: list[CellState] = []
    plain = estimates._figures

    def counted(record: CellState) -> tuple[float, ...]:
        read.append(record)
        return plain(record)

    monkeypatch.setattr(estimates, "_figures", counted)
    for number in range(3):
        read.clear()
        batch = core.handle(LeaseSpecs("l", 8, 0), b"lease %d" % number)
        assert isinstance(batch, SpecBatch)
        assert len(read) <= 16, "the cells of the last lease and of its reports"
        core.handle(SendReports(tuple(report_on(one) for one in batch.specs)), b"reports %d" % number)
    assert core.status.counted == 24


@pytest.mark.parametrize("selector", ["frontier", "learning_progress"])
def test_shares_of_a_wide_menu_add_up(selector):
    made = make_selector(WIDE.model_copy(update={"selector": selector}))
    shares = made.shares(Estimator(State(), WIDE).estimates())
    assert sum(part.sum() for part in shares.values()) == pytest.approx(1.0, abs=1e-9)
