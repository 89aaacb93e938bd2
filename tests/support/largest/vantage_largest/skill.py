"""The skill, for every process that reads the catalogue."""

from __future__ import annotations

from protocol.skills import Level, Skill


class LargestLevel(Level, frozen=True, kw_only=True):
    ratio: float  # least ratio of the pixels of the two objects

    def __str__(self) -> str:
        return f"2 options, {self.ratio:g} times as many pixels"


LARGEST = Skill(
    name="largest",
    reasoning="relate",
    answer_type="choice",
    views="single",
    frame="camera",
    levels=(LargestLevel(chance=0.5, ratio=3.0), LargestLevel(chance=0.5, ratio=1.5)),
)
