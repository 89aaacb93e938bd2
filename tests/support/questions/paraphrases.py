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
    """The five paraphrases of the spec's question. Raises Infeasible like `realise`."""
    asked: list[Question] = []

    def ask_all(*what: Any) -> Question:
        *what, rng, paraphrase = what
        state = rng.bit_generator.state
        for index in range(5):
            rng.bit_generator.state = state
            asked.append(ask(*what, rng, index))
        with pytest.raises(VantageError, match=r"has paraphrases 0\.\.4"):
            ask(*what, rng, 5)
        return asked[paraphrase]

    with mock.patch("sim_server.questions.realise.ask", ask_all):
        chosen = realise(scene, spec).question
    assert chosen == asked[spec.question.paraphrase]
    return asked


def check_paraphrases(asked: list[Question]) -> None:
    """Check that the paraphrases change only the words and follow the common style."""
    assert len({question.text for question in asked}) == 5
    assert len({(question.program, question.answer, question.options) for question in asked}) == 1
    for text in (question.text for question in asked):
        assert text == text.lower() and text.endswith(" ?") and "{" not in text and "  " not in text
