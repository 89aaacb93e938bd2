"""Reasoning before an answer, in tags."""

from __future__ import annotations

import pytest

from protocol.answers.prompt import read_answer, write_answer, write_prompt
from protocol.answers.reasoning import Tags, parse
from protocol.tasks.task import Question

TAGS = Tags()
OPENED = Tags(native=True, opened=True)
WORDS = Tags(("look", "then"), ("name", "last"))
DIRECTION = Question(
    "view_direction", 0, "Is the bed left or right?", "right", "choice", "", ("left", "right"), frame="camera"
)


@pytest.mark.parametrize(
    ("tags", "completion", "answer", "form"),
    [
        (TAGS, "<think>near</think><answer>B</answer>", "B", 1.0),
        (TAGS, " <think>\nnear\n</think>\n\n<answer> B </answer>\n", " B ", 1.0),
        (TAGS, "<THINK>near</THINK><Answer>B</ANSWER>", "B", 1.0),
        (TAGS, "<think></think><answer>B</answer>", "B", 0.8),  # no reasoning
        (TAGS, "<think>near</think>So <answer>B</answer>", "B", 0.8),
        (TAGS, "<think>near</think><answer>B</answer> or A", "B", 0.8),
        (TAGS, "near</think><answer>B</answer>", "B", 0.6),
        (TAGS, "<answer>B</answer>", "B", 0.4),
        (TAGS, "<think>near</think><answer>B", "B", 0.6),
        (TAGS, "<think>near</think>B", None, 0.4),
        (TAGS, "<think>near</think><answer>A</answer><answer>B</answer>", None, 0.4),
        (TAGS, "<think><answer>A</answer></think><answer>B</answer>", "B", 0.4),  # the answer follows the reasoning
        (TAGS, "<think>near<answer>B</answer>", "B", 0.6),  # reasoning that does not end
        (TAGS, "B", None, 0.0),
        (OPENED, "near</think>\n<answer>B</answer>", "B", 1.0),
        (OPENED, "</think><answer>B</answer>", "B", 0.75),
        (OPENED, "near <answer>B</answer>", "B", 0.5),
        (WORDS, " look red bed then name left last", " left ", 1.0),
        (WORDS, " left", None, 0.0),
    ],
)  # fmt: skip
def test_parts_of_a_completion(tags: Tags, completion: str, answer: str, form: float) -> None:
    found = parse(completion, tags)
    assert (found.answer, found.form) == (answer, pytest.approx(form))
    assert found.start < 0 or completion[found.start :].lower().startswith(tags.answer[0])


def test_only_the_answer_tag_is_read() -> None:
    for reading in ("strict", "lenient"):
        for text, right in (
            ("<think>A is wrong</think><answer>B</answer>", "right"),
            ("<think>It is B.</think>B", ""),
            ("<think>B</think><answer></answer>", ""),
            ("B <answer>A</answer>", "left"),
        ):
            assert read_answer(DIRECTION, text, "reason", reading, TAGS) == right


@pytest.mark.parametrize("tags", [TAGS, OPENED, WORDS])
def test_an_answer_with_an_empty_place_for_reasoning_is_read(tags: Tags) -> None:
    completion = write_answer(DIRECTION, "reason", tags)
    assert read_answer(DIRECTION, completion, "reason", "strict", tags) == "right"
    assert parse(completion, tags).form < 1


def test_the_prompt_names_the_tags_that_the_template_does_not() -> None:
    asked = write_prompt(DIRECTION, "reason", tags=TAGS)
    assert asked.startswith(write_prompt(DIRECTION, "letters")) and "<think>" in asked and "<answer>" in asked
    native = write_prompt(DIRECTION, "reason", tags=OPENED)
    assert "<think>" not in native and "<answer>" in native
