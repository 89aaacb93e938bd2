"""The types of the skill catalogue: a skill and its levels of difficulty.

A skill states every fact about itself once. The family of questions in sim_server reads the numbers of a level from
here, and the words that describe a level are generated from the same numbers.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

VIEW_BUDGETS = {"single": 1, "pair": 2, "few": 4, "trajectory": 8, "several cameras": 4}  # most views per question
MOST_VIEWS = max(VIEW_BUDGETS.values())


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One level of difficulty. A subclass adds the numbers that define it and describes them in `__str__`."""

    chance: float  # score of the image-blind baseline of `sim-server audit` at this level


LevelT = TypeVar("LevelT", bound=Level, covariant=True)


class Skill(msgspec.Struct, Generic[LevelT], frozen=True, kw_only=True):
    """An entry of the catalogue: what is asked, how it is answered, and how difficult it gets.

    `evidence` names the part of a view that the rules read. "objects": the visible part of each object, which accounts
    for degradations that hide or displace objects. "maps": the entire depth or id image. "pinhole": projections by a
    pinhole camera, or the hidden fraction of an object, which ignore degradations.
    """

    name: str
    reasoning: str  # "perceive" | "relate" | "map" | "predict" | "plan"
    answer_type: str  # "choice" | "number" | "sequence" | "map"
    views: str  # a key of VIEW_BUDGETS
    frame: str  # "camera" | "object" | "agent"
    levels: tuple[LevelT, ...]
    evidence: str = "objects"  # "objects" | "maps" | "pinhole"
    looks_around: bool = False  # it can be asked with one view and a budget of Observe actions
    staged: bool = False  # its rules need views placed for them, so it cannot be asked about an arbitrary view
    options_vary: bool = False  # the options are phrases that differ from question to question
    world_needs: tuple[str, ...] = ()  # of "clutter" and "rooms", to be set in [curriculum.world]
    backend_needs: tuple[str, ...] = ()  # of "fronts", "room outlines" and "edits", which a simulator may lack
    scene_wish: str = ""  # one of protocol.tasks.scene.WISHES: what generated homes contain for it

    @property
    def feasible_levels(self) -> tuple[int, ...]:
        return tuple(range(len(self.levels)))

    @property
    def view_budget(self) -> int:
        """The largest number of views of one question."""
        return VIEW_BUDGETS[self.views]

    @property
    def judged_as_seen(self) -> bool:
        """Whether questions can be asked about views in which a degradation hides or displaces objects."""
        return self.evidence == "objects"

    @property
    def takes_any_view(self) -> bool:
        """Whether questions can be asked about one view, wherever its camera is."""
        return self.views == "single" and not self.staged

    def chance_at(self, level: int) -> float:
        """Score of the image-blind baseline at this level."""
        return self.levels[level].chance
