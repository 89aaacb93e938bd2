"""From drawn shares to issues, and from issues to TaskSpecs."""

from __future__ import annotations

from types import MappingProxyType
from typing import Mapping, Sequence

import msgspec

from curriculum.ability.rasch import Cell
from curriculum.record.events import Issue
from curriculum.record.state import Asked
from curriculum.selectors.base import Choice
from protocol.seeds import rng_for
from protocol.tasks.specs import World, deal_among, task_spec, training_scene
from protocol.tasks.task import PROPOSED, QuestionSpec
from protocol.wire.messages import Leased

COMPOSED = "composed"  # purpose of composed questions
BLIND_EVERY = 12  # one of this many composed questions is asked without images
_NO_SCENE = -1  # a proposal names its own scene


def fresh_issues(
    worlds: Mapping[str, World], drawn: Sequence[Choice], next_number: int, next_scene: int
) -> list[Issue]:
    """Number the drawn specs and give them new scenes of their worlds, `specs_per_scene` to each."""
    # Degraded variants count as the same question.
    placed = deal_among(
        worlds, drawn, lambda one: one[0].world, lambda one: one[0].undegraded, lambda one: one[0].skill
    )
    return [
        Issue(
            number=number,
            seq=number,
            scene=next_scene + scene,
            skill=cell.skill,
            level=cell.level,
            purpose=purpose,
            blind=purpose == "blind",
            degradation="" if purpose == "blind" else cell.degradation,
            world=cell.world,
        )
        for number, (scene, (cell, purpose)) in enumerate(placed, start=next_number)
    ]


def repeated_issues(
    worlds: Mapping[str, World], run_seed: int, cells: Sequence[Cell], length: int, count: int, next_number: int
) -> list[Issue]:
    """The next `count` specs of a list of `length` that covers all cells equally and is repeated.

    The scenes are shuffled in each epoch: neighbours in the list share the same few cells, and mixed batches teach
    more.
    """
    chosen = [cells[index % len(cells)] for index in range(length)]
    listed = deal_among(worlds, chosen, lambda cell: cell.world, lambda cell: cell, lambda cell: cell.skill)
    issues = []
    for epoch in range(next_number // length, (next_number + count - 1) // length + 1):
        place = rng_for(run_seed, "epoch", epoch).permutation(listed[-1][0] + 1)
        order = sorted(range(length), key=lambda seq, place=place: place[listed[seq][0]])
        for number, seq in enumerate(order, start=epoch * length):
            if next_number <= number < next_number + count:
                scene, cell = listed[seq]
                issues.append(
                    Issue(
                        *(number, seq, scene, cell.skill, cell.level, "static"),
                        degradation=cell.degradation,
                        world=cell.world,
                    )
                )
    return issues


def proposed_issues(
    proposals: Mapping[str, Asked], shares: Mapping[str, float], count: int, next_number: int, luck: float
) -> list[Issue]:
    """Up to `count` specs for proposals, each once.

    Those of a person come first, the ones asked least often before the others. The rest is divided between the kinds of
    composed questions by their shares; `luck` in 0..1 rounds them. Every BLIND_EVERY-th of those is asked blind.
    """
    waiting = sorted((key for key, asked in proposals.items() if asked.left), key=lambda key: -proposals[key].left)
    own = [key for key in waiting if not proposals[key].kind][:count]
    by_kind: dict[str, list[str]] = {}
    for key in waiting:
        if proposals[key].kind in shares:
            by_kind.setdefault(proposals[key].kind, []).append(key)
    composed = _dealt({name: shares[name] for name in by_kind}, by_kind, count - len(own), luck)
    issues = []
    for number, key in enumerate([*own, *composed], start=next_number):
        kind = proposals[key].kind
        blind = bool(kind) and number % BLIND_EVERY == 0
        purpose = "blind" if blind else COMPOSED if kind else PROPOSED
        issues.append(Issue(number, number, _NO_SCENE, kind or PROPOSED, 0, purpose, blind, proposal=key))
    return issues


def _dealt(shares: Mapping[str, float], waiting: Mapping[str, list[str]], count: int, luck: float) -> list[str]:
    """`count` of the waiting keys, by the shares of their kinds; a kind with too few leaves its share to the others."""
    chosen: list[str] = []
    left = {name: list(keys) for name, keys in waiting.items()}
    while count > len(chosen) and left:
        total = sum(shares[name] for name in left) or 1.0
        edge, missing = luck, count - len(chosen)
        taken = len(chosen)
        for name in list(left):
            before, edge = edge, edge + missing * shares[name] / total
            number = min(int(edge) - int(before), len(left[name]))
            chosen += left[name][:number]
            left[name] = left[name][number:]
            if not left[name]:
                del left[name]
        if taken == len(chosen):  # shares that round to nothing
            name = max(left, key=lambda name: shares[name])
            chosen.append(left[name].pop(0))
            if not left[name]:
                del left[name]
    return chosen[:count]


def leased(
    worlds: Mapping[str, World],
    run_seed: int,
    issues: Sequence[Issue],
    proposals: Mapping[str, Asked] = MappingProxyType({}),
) -> tuple[Leased, ...]:
    """The leases of these issues; the same issue always gives the same lease.

    A composed question that has left the run was reported, and needs no lease.
    """
    issues = [issue for issue in issues if not issue.proposal or issue.proposal in proposals]
    numbers = {issue.scene: worlds[issue.world] for issue in issues if not issue.proposal}
    scenes = {index: training_scene(world, run_seed, index) for index, world in numbers.items()}
    specs = [
        msgspec.structs.replace(
            proposals[issue.proposal].spec, spec_id=issue.spec_id, question=QuestionSpec(issue.skill)
        )
        if issue.proposal
        else task_spec(
            worlds[issue.world],
            run_seed,
            scenes[issue.scene],
            spec_id=issue.spec_id,
            seq=issue.seq,
            skill=issue.skill,
            level=issue.level,
            degradation=issue.degradation,
        )
        for issue in issues
    ]
    return tuple(
        Leased(spec, lease_id=issue.lease_id, blind=issue.blind, purpose=issue.purpose)
        for spec, issue in zip(specs, issues)
    )
