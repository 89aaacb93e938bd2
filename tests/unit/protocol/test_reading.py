"""Forms of answers and their expected readings, and properties of both readings."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.answers.letters import LETTERS
from protocol.answers.prompt import STYLES, Reading, Style, read_answer, read_move
from protocol.answers.scoring import normalise, parse_map, score
from protocol.tasks.task import Question

FORMS = [
    json.loads(line) for line in (Path(__file__).parents[2] / "data" / "answer_forms.jsonl").read_bytes().splitlines()
]


def question_of(form: dict[str, Any]) -> Question:
    options, items = tuple(form.get("options", ())), form.get("items", ())
    answers = {
        "choice": options[0] if options else "",
        "number": "3",
        "sequence": ", ".join(items),
        "map": json.dumps({name: [0, place] for place, name in enumerate(items)}),
    }
    kind, shown = form["type"], form.get("shown", True)
    return Question("f", 0, "?", answers[kind], kind, "", options, show_options=shown, unit=form.get("unit", ""))


def read(form: dict[str, Any], reading: Reading) -> str:
    question = question_of(form)
    answer = read_answer(question, form["text"], "letters", reading)
    return answer if score(question, answer).readable or question.answer_type == "number" else "none"


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form['type']}-{form['text'][:40]!r}")
def test_every_form_is_read_as_expected(form: dict[str, Any]) -> None:
    answer = read(form, "lenient") or "none"
    if form["type"] == "map" and answer != "none":
        assert parse_map(answer) == parse_map(form["expected"])
    elif form["type"] == "sequence":
        assert normalise(answer) == normalise(form["expected"])
    else:
        assert answer == form["expected"]


def test_the_table_has_300_different_forms() -> None:
    assert len({json.dumps(form, sort_keys=True) for form in FORMS}) == len(FORMS) >= 300


# ----------------------------------------------------------------------------- properties

QUESTIONS = list(dict.fromkeys(map(question_of, FORMS)))
FRAGMENTS = (
    *("A", "B", "C", "(B)", "b", "Z", "I", "chair", "green lamp", "the", "a", "left", "right", "front", "yes", "no"),
    *("answer", "answer is", "Answer:", "option", "or", "not", "maybe", "because", "is", "?", ".", ",", "\n", "-", ":"),
    *("<think>", "</think>", "<answer>", "</answer>", "\\boxed{", "}", "{", "```", "```json", "**", "_", '"', "[", "]"),
    *(
        "3",
        "2.5",
        ".5",
        "1,500",
        "m",
        "cm",
        "m^2",
        "square",
        "feet",
        "inches",
        "two",
        "twenty",
        "hundred",
        "point",
        "and",
    ),
    *(
        "half",
        "quarter",
        "rug",
        "red curtain",
        "bed",
        "first",
        "then",
        "1.",
        '{"bed": [3, 4], "lamp": [8, 1]}',
        "~",
        "\u00b2",
    ),
)
COMPLETIONS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(" ".join),
    st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join),
    st.sampled_from([form["text"] for form in FORMS]),
)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(QUESTIONS), COMPLETIONS, st.sampled_from(STYLES))
def test_reading_never_raises_and_gives_a_canonical_answer_or_nothing(
    question: Question, completion: str, style: Style
) -> None:
    strict = read_answer(question, completion, style, "strict")
    answer = read_answer(question, completion, style, "lenient")
    if not answer:
        return
    reward = score(question, answer)
    if question.answer_type == "choice":
        assert answer in question.options and reward.readable
    elif answer != strict:
        assert reward.readable


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(QUESTIONS), COMPLETIONS, st.sampled_from(STYLES))
def test_what_a_strict_reading_scores_reads_the_same_in_both(question: Question, completion: str, style: Style) -> None:
    strict = read_answer(question, completion, style, "strict")
    if strict and score(question, strict).readable:
        assert read_answer(question, completion, style, "lenient") == strict


CHOICES = [question for question in QUESTIONS if len(question.options) > 1 and question.show_options]
TWO = (
    *("{0} or {1}", "{0}/{1}", "{0}, {1}", "{0} {1}", "{0}\n{1}", "{0} and {1}", "either {0} or {1}", "({0}) ({1})"),
    *("The answer is {0} or {1}.", "The answer is {0}. The answer is {1}.", "{0}. The answer is {1}.", "{0} > {1}"),
    *("<answer>{0}</answer><answer>{1}</answer>", "\\boxed{{{0}}} \\boxed{{{1}}}", "**{0}** **{1}**", "{0}. {1}"),
    *(
        "It is {0}, not {1}.",
        "{0}, or maybe {1}",
        "Answer: {0}\nAnswer: {1}",
        "[{0}, {1}]",
        '{{"answer": ["{0}", "{1}"]}}',
    ),
    *("{0} because it is near, or {1}", "Wait, {0}. No, {1}.", "between {0} and {1}", "Option {0}, option {1}"),
)


@pytest.mark.parametrize("template", TWO)
@pytest.mark.parametrize("question", CHOICES, ids=lambda question: question.options[0])
def test_an_answer_that_names_two_options_is_not_read(question: Question, template: str) -> None:
    forms = [
        (f"{LETTERS[place]}", option, f"the {option}", f"{LETTERS[place]}. {option}")
        for place, option in enumerate(question.options)
    ]
    for first, second in itertools.permutations(range(len(forms)), 2):
        for one, other in itertools.product(forms[first], forms[second]):
            text = template.format(one, other)
            if _reads_as_one(question, text):
                continue
            assert read_answer(question, text, "letters", "lenient") == "", text


def _reads_as_one(question: Question, text: str) -> bool:
    """Whether the text is itself one option, such as "front left" of "front" and "left"."""
    return read_answer(question, text, "letters", "strict") != ""


UNITS = (
    *("A ", "9", "9,999", "(", "**", "{", '{"', "[", "\\boxed{", "<answer>", "<think>", "the answer is ", "-", "."),
    *("five ", "m ", "1 m ", "square ", "hundred and ", "bed, ", "rug ", "first ", "\n", "`", "_a", "m^", "1 ft 1 in "),
)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: f"{question.answer_type}-{question.unit}")
@pytest.mark.parametrize("unit", UNITS)
def test_long_texts_are_read_in_time_proportional_to_their_length(question: Question, unit: str) -> None:
    started_s = time.perf_counter()
    for length in (7_000, 200_000):
        assert read_answer(question, unit * (length // len(unit)), "letters", "lenient") in ("", *question.options) or (
            question.answer_type == "number"
        )
    assert time.perf_counter() - started_s < 2.0


def test_answers_longer_than_the_bound_are_not_read() -> None:
    (question,) = [one for one in QUESTIONS if one.options[:1] == ("left",)]
    assert read_answer(question, "word " * 300 + "\nThe answer is A.", "letters", "lenient") == "left"
    assert read_answer(question, "word " * 3000 + "\nThe answer is A.", "letters", "lenient") == ""
    assert read_answer(question, f"<think>{'word ' * 30000}</think>The answer is A.", "letters", "lenient") == "left"


def test_huge_numbers_are_not_expanded() -> None:
    (question,) = [one for one in QUESTIONS if one.unit == "m"]
    for text in (
        "9" * 10**6 + " m",
        "1" + "0" * 40 + " km",
        "0." + "0" * 100 + "1 m",
        "1e999999999",
        "9," * 999 + "999 m",
    ):
        answer = read_answer(question, text, "letters", "lenient")
        assert score(question, answer).accuracy == 0.0


def test_moves_are_read_strictly() -> None:
    assert read_move("move forward.") == "forward"
    assert read_move("I move forward") == ""
