"""The [curriculum] table."""

from __future__ import annotations

import pydantic

from curriculum.selectors import SELECTORS
from protocol.run.config import Section
from protocol.tasks.specs import DEFAULT_SKILLS, SkillSettings, World


class Shares(Section):
    """How a batch is split; what these leave goes where the policy sees the largest learning signal."""

    coverage: float = pydantic.Field(default=0.08, ge=0, le=1)  # spread evenly, so that every cell stays measured
    retest: float = pydantic.Field(default=0.10, ge=0, le=1)  # learned cells, against forgetting
    blind: float = pydantic.Field(default=0.03, ge=0, le=1)  # asked without the picture, to find shortcuts

    @pydantic.model_validator(mode="after")
    def _sum(self) -> Shares:
        if self.coverage + self.retest + self.blind >= 1:
            raise ValueError("coverage, retest and blind must leave a share for learning")
        return self


class Proposals(Section):
    """Questions from outside, added by `curriculum propose`."""

    share: float = pydantic.Field(default=0.1, ge=0, lt=1)  # of the specs at most, while any are waiting
    passes: int = pydantic.Field(default=1, ge=1, le=1000)  # how often each is asked


class Estimation(Section):
    """How fast the estimates follow the policy. A group is the G answers to one question."""

    window_groups: float = pydantic.Field(default=24.0, ge=2)  # a cell's evidence fades over this many of its groups
    fade_groups: float = pydantic.Field(default=4000.0, ge=10)  # and over this many groups of any cell
    prior_groups: float = pydantic.Field(default=2.0, gt=0)  # weight of what the ability model predicts
    hopeless: float = pydantic.Field(default=0.02, ge=0, lt=0.5)  # success below it after `patience_groups` / 4
    patience_groups: int = pydantic.Field(default=32, ge=4)  # without progress for so long, a cell is damped


class CurriculumSettings(Section):
    """Settings of the curriculum service."""

    selector: str = "frontier"  # of curriculum.selectors, or of another distribution
    skills: tuple[SkillSettings, ...] = pydantic.Field(default=DEFAULT_SKILLS, min_length=1)
    world: World = World()
    shares: Shares = Shares()
    proposals: Proposals = Proposals()
    estimation: Estimation = Estimation()
    static_specs: int = pydantic.Field(default=256, ge=1)  # length of the list that `static` repeats
    metrics_port: int = pydantic.Field(default=0, ge=0, le=65535)  # Prometheus /metrics and /health on loopback; 0: off
    max_lease_s: float = pydantic.Field(default=3600.0, gt=0)  # a learner may ask for less, not for more
    max_reissues: int = pydantic.Field(default=2, ge=0)  # a spec whose leases all expire may be what kills learners

    @pydantic.field_validator("selector")
    @classmethod
    def _installed(cls, name: str) -> str:
        return SELECTORS.check_setting(name)

    @pydantic.model_validator(mode="after")
    def _distinct(self) -> CurriculumSettings:
        names = [skill.name for skill in self.skills]
        if len(set(names)) < len(names):
            raise ValueError("each skill is listed once")
        return self
