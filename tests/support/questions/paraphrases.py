"""All paraphrases of a question from a single realisation."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from protocol.errors import VantageError
from protocol.tasks.task import Question, TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.family import ask
from sim_server.questions.realise import realise


def paraphrases_of(scene: Scene, spec: TaskSpec) -> list[Question]:
    """Every paraphrase of the spec's question. Raises Infeasible like `realise`."""
    asked: list[Question] = []

    def ask_all(*what: Any) -> Question:
        family, evidence, candidate, level, rng, paraphrase = what
        state = rng.bit_generator.state
        count = len(family.draft(evidence, candidate, level, rng).templates)
        for index in range(count):
            rng.bit_generator.state = state
            asked.append(ask(family, evidence, candidate, level, rng, index))
        with pytest.raises(VantageError, match=rf"has paraphrases 0\.\.{count - 1}"):
            ask(family, evidence, candidate, level, rng, count)
        return asked[paraphrase]

    with mock.patch("sim_server.questions.realise.ask", ask_all):
        chosen = realise(scene, spec).question
    assert chosen == asked[spec.question.paraphrase]
    return asked


def check_paraphrases(asked: list[Question]) -> None:
    """Check that the paraphrases change only the sentence."""
    assert len({question.text for question in asked}) == len(asked)
    assert len({(question.program, question.answer, question.options, question.rule) for question in asked}) == 1
