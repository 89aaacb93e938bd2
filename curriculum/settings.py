"""The [curriculum] table."""

from __future__ import annotations

import pydantic

from curriculum.selectors import SELECTORS
from protocol.run.config import Section, did_you_mean
from protocol.tasks.specs import MOST_OBJECTS, SkillSettings, World, Worlds, default_skills


class ReservedShares(Section):
    """Fixed shares of a batch; the rest goes where the selector expects the largest learning signal."""

    coverage: float = pydantic.Field(default=0.08, ge=0, le=1)  # spread evenly, so that every cell is measured
    retest: float = pydantic.Field(default=0.10, ge=0, le=1)  # of learned cells, against forgetting
    blind: float = pydantic.Field(default=0.03, ge=0, le=1)  # asked without images, to detect shortcuts

    @pydantic.model_validator(mode="after")
    def _sum(self) -> ReservedShares:
        if self.coverage + self.retest + self.blind >= 1:
            raise ValueError("coverage, retest and blind must leave a share for learning")
        return self


class Proposals(Section):
    """Proposals, added by `curriculum propose` or by a proposer."""

    share: float = pydantic.Field(default=0.1, ge=0, lt=1)  # largest share of the specs while proposals are waiting
    passes: int = pydantic.Field(default=1, ge=1, le=1000)  # how often each is asked
    most: int = pydantic.Field(default=10_000, ge=1)  # that a run holds; composed ones leave it once they were asked
    ahead: int = pydantic.Field(default=64, ge=8, le=4096)  # composed questions that a proposer prepares
    kinds: int = pydantic.Field(default=24, ge=1, le=256)  # kinds of composed questions that are asked at a time


class Estimation(Section):
    """How fast the estimates follow the policy. A group is the answers to one question."""

    window_groups: float = pydantic.Field(default=24.0, ge=2)  # the counts of a cell fade over this many of its groups
    fade_groups: float = pydantic.Field(default=4000.0, ge=10)  # and over this many groups of any cell
    prior_groups: float = pydantic.Field(default=2.0, gt=0)  # weight of the prediction of the ability model
    patience_groups: int = pydantic.Field(default=32, ge=4)  # a cell without progress for longer is damped


class Evolve(Section):
    """When harder worlds are derived from the listed ones, and their bounds. See curriculum/evolve.py."""

    most: int = pydantic.Field(default=0, ge=0, le=64)  # derived worlds that are asked at once; 0: none are derived
    mastered: float = pydantic.Field(default=0.85, gt=0, lt=1)  # success of a skill in every world, to derive another
    trial_questions: int = pydantic.Field(default=64, ge=4)  # that a world gets before it is judged
    least_signal: float = pydantic.Field(default=0.03, ge=0, le=0.25)  # below it a derived world is retired
    edits: tuple[str, ...] = ("rooms", "objects", "clutter", "light", "lens", "camera", "look-alikes")
    most_rooms: int = pydantic.Field(default=4, ge=1, le=12)
    most_objects: int = pydantic.Field(default=60, ge=1, le=MOST_OBJECTS)  # in a scene
    most_clutter: float = pydantic.Field(default=1.0, ge=0, le=1)
    widest_deg: float = pydantic.Field(default=100.0, ge=6, le=160)  # horizontal field of view
    fewest_categories: int = pydantic.Field(default=4, ge=2)

    @pydantic.field_validator("edits")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = cls.model_fields["edits"].default
        if unknown := [name for name in names if name not in known]:
            raise ValueError(
                f"there is no edit {unknown[0]}{did_you_mean(unknown[0], known)}; choose among {', '.join(known)}"
            )
        return names


class CurriculumSettings(Worlds):
    """Settings of the curriculum service."""

    selector: str = "frontier"  # of curriculum.selectors, or of another distribution
    skills: tuple[SkillSettings, ...] = pydantic.Field(default_factory=default_skills, min_length=1)
    evolve: Evolve = Evolve()
    shares: ReservedShares = ReservedShares()
    proposals: Proposals = Proposals()
    estimation: Estimation = Estimation()
    static_specs: int = pydantic.Field(default=256, ge=1)  # length of the list of `static`
    metrics_port: int = pydantic.Field(default=0, ge=0, le=65535)  # Prometheus /metrics and /health on loopback; 0: off
    max_lease_s: float = pydantic.Field(default=3600.0, gt=0)  # upper bound of a learner's request
    max_reissues: int = pydantic.Field(default=2, ge=0)  # a spec whose leases keep expiring may crash learners

    @pydantic.field_validator("selector")
    @classmethod
    def _installed(cls, name: str) -> str:
        return SELECTORS.check_setting(name)

    @pydantic.model_validator(mode="after")
    def _distinct(self) -> CurriculumSettings:
        names = [skill.name for skill in self.skills]
        if len(set(names)) < len(names):
            raise ValueError("a skill is listed twice; list each once")
        if self.evolve.most and not self.worlds:
            raise ValueError("evolve.most needs worlds to start from: list one or more in [[curriculum.worlds]]")
        for world in self.worlds if self.evolve.most else ():
            for name, start, bound in sizes_of(world, self.evolve):
                if start > bound:
                    raise ValueError(
                        f"evolve.{name} = {bound:g} is below the {start:g} of world {world.name}; raise the bound"
                    )
        return self


def sizes_of(world: World, bounds: Evolve) -> list[tuple[str, float, float]]:
    """(name of the bound, value in this world, bound) of what derived worlds increase."""
    rooms = world.rooms if isinstance(world.rooms, int) else world.rooms[1]
    objects = world.max_objects if world.objects_per_room is None else rooms * world.objects_per_room[1]
    clutter = world.clutter[1] if isinstance(world.clutter, tuple) else world.clutter
    sizes = [("widest_deg", world.hfov_deg, bounds.widest_deg)]
    if not world.assets:
        sizes += [
            ("most_rooms", rooms, bounds.most_rooms),
            ("most_objects", objects, bounds.most_objects),
            ("most_clutter", clutter, bounds.most_clutter),
        ]
    return sizes
