"""The family, for the simulator."""

from __future__ import annotations

from itertools import combinations
from typing import Optional

import numpy as np

from protocol.tasks.scene import SceneDescription
from sim_server.questions.evidence import Evidence
from sim_server.questions.families.rules import draw_objects, prominent, uniquely_named
from sim_server.questions.family import Candidate, Draft, Findings, Target, draft_which, shuffled
from sim_server.questions.views.viewpoints import SingleView
from vantage_largest.skill import LARGEST


class Largest(SingleView):
    skill = LARGEST

    def target(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, _previous: Optional[Target] = None
    ) -> Target:
        return Target(key="", focus=draw_objects(uniquely_named(description), 2, rng, self.skill.name))

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        seen, ratio = evidence.views[0].seen, self.skill.levels[level].ratio
        for large, small in combinations(prominent(evidence, evidence.views[0], findings), 2):
            if seen[large].pixels < ratio * seen[small].pixels:
                findings.reject(f"an object has less than {ratio:g} times the pixels of another")
            else:
                findings.accept("", (large, small), seen[large].pixels / seen[small].pixels)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        options = shuffled(candidate.objects, rng)
        return draft_which(
            evidence,
            options,
            "argmax({}, o: pixels(o, view(0)))",
            ("Which of these objects covers more of the image?",),
            rule="Compare the visible parts of the objects.",
        )
