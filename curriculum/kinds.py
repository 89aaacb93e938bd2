"""Composed questions: the share of each kind, what a proposer is asked for, and the status of kinds."""

from __future__ import annotations

import math
from collections import Counter
from typing import Optional, Sequence

import numpy as np

from curriculum.ability.estimates import damping_of
from curriculum.ability.rasch import Cell
from curriculum.record.state import State
from curriculum.selectors.frontier import bounded
from curriculum.settings import CurriculumSettings, Estimation
from curriculum.worlds import asked_worlds
from protocol.tasks.specs import camera_for, training_scene
from protocol.wire.proposals import CellStatus, KindStatus, ProposalRequest

MOST_KINDS = 200  # in a status; a message has a size limit
_LARGEST_SHARE = 0.25
_SHARPNESS = 2.0  # exponent of the weights, as in the selector `frontier`
_FIRST_SCENE = 2**40  # scenes of proposal requests are numbered from here: no other spec of a run uses them
_MOST_SCENES = 8  # of one request
_QUESTIONS_PER_SCENE = 4
_MOST_WANTED = 32  # questions of one request
_MOST_NEW_KINDS = 4  # of one request


def kind_shares(state: State, estimation: Estimation) -> dict[str, float]:
    """The share of each kind that is asked, of all composed questions: proportional to its squared learning signal."""
    names = [name for name, record in state.kinds.items() if not record.retired]
    if not names:
        return {}
    weights = np.empty(len(names))
    for row, name in enumerate(names):
        cell = Cell(name, 0)
        seen = state.seen(cell)
        weights[row] = state.posterior(cell, estimation).signal * damping_of(seen, estimation)
    weights = weights**_SHARPNESS
    shares = bounded(weights, max(_LARGEST_SHARE, 2.0 / len(names)))
    total = float(shares.sum())
    return dict(zip(names, (shares / total).tolist() if total else [1.0 / len(names)] * len(names)))


def proposal_request(
    state: State, settings: CurriculumSettings, run_seed: int, cells: Sequence[CellStatus]
) -> ProposalRequest:
    """What is wanted next: further questions of the kinds that teach, and new kinds in place of retired ones."""
    wishes = settings.proposals
    shares = kind_shares(state, settings.estimation)
    waiting = waiting_by_kind(state)
    room = max(0, min(_MOST_WANTED, wishes.ahead - sum(waiting.values())))
    missing = {name: max(0, math.ceil(share * wishes.ahead) - waiting[name]) for name, share in shares.items()}
    total = sum(missing.values())
    wanted = {name: math.ceil(count * min(1.0, room / total)) if total else 0 for name, count in missing.items()}
    new_kinds = min(_MOST_NEW_KINDS, max(0, wishes.kinds - len(shares))) if room else 0
    if not new_kinds and room < _MOST_WANTED // 4:
        wanted = dict.fromkeys(wanted, 0)  # a few questions at a time are not worth opening a scene
    number, count = state.requests, sum(wanted.values()) + _QUESTIONS_PER_SCENE * new_kinds
    scenes = min(_MOST_SCENES, math.ceil(count / _QUESTIONS_PER_SCENE))
    first = _FIRST_SCENE + number * _MOST_SCENES
    worlds = list(asked_worlds(state, settings).values())
    world = worlds[number % len(worlds)]
    return ProposalRequest(
        number=number,
        run_seed=run_seed,
        scenes=tuple(training_scene(world, run_seed, first + index) for index in range(scenes)),
        camera=camera_for(world, run_seed, first),
        kinds=tuple(
            kind_status(state, settings.estimation, name, shares[name], waiting[name], wanted[name]) for name in shares
        ),
        new_kinds=new_kinds,
        known=tuple(name for name, record in state.kinds.items() if record.retired),
        cells=tuple(cells),
        refusals=tuple(state.refusals),
    )


def waiting_by_kind(state: State) -> Counter[str]:
    """The number of specs still to be issued, by kind."""
    waiting: Counter[str] = Counter()
    for asked in state.proposals.values():
        if asked.left and (kind := asked.kind):
            waiting[kind] += asked.left
    return waiting


def kinds_of(state: State, estimation: Estimation) -> tuple[KindStatus, ...]:
    """The status of the newest MOST_KINDS kinds, those that are asked first."""
    shares = kind_shares(state, estimation)
    waiting = waiting_by_kind(state)
    retired = [name for name, record in state.kinds.items() if record.retired]
    listed = [*sorted(shares, key=lambda name: -shares[name]), *reversed(retired)][:MOST_KINDS]
    return tuple(kind_status(state, estimation, name, shares.get(name, 0.0), waiting[name]) for name in listed)


def kind_status(
    state: State, estimation: Estimation, name: str, share: float, waiting: int, wanted: int = 0
) -> KindStatus:
    record, cell = state.kinds[name], Cell(name, 0)
    seen = state.seen(cell)
    post = state.posterior(cell, estimation)
    blind: Optional[float] = state.blind_success(cell)
    return KindStatus(
        kind=record.kind,
        accepted=record.accepted,
        rejected=record.rejected,
        asked=seen.seen,
        waiting=waiting,
        wanted=wanted,
        success_rate=post.mean,
        predicted=state.rasch.predict(cell),
        signal=post.signal,
        share=share,
        first_success=record.first_success,
        last_success=seen.fast.value,
        blind_success=blind,
        retired=record.retired,
        example=record.example,
        program=record.program,
    )
