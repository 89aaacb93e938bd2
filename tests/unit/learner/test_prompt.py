"""Prompts of questions, reading of answers, and tricks that must score zero."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from protocol.answers.letters import message_parts
from protocol.answers.prompt import STYLES, Style, read_answer, words_with_mentions, write_answer, write_prompt
from protocol.answers.scoring import score
from protocol.errors import VantageError
from protocol.tasks.task import Mention, Question

DIRECTION = Question(
    skill="view_direction",
    level=0,
    text="Look at the image. Where is the red chair relative to the blue sofa?",
    answer="right",
    answer_type="choice",
    program="",
    options=("left", "right"),
    mentions=(Mention(1, 32, 41), Mention(2, 58, 67)),
    rule="Left and right are as seen in the image.",
)
NEAREST = Question(
    skill="relative_distance",
    level=0,
    text="Which of these objects is closest to the bed?",
    answer="green lamp",
    answer_type="choice",
    program="",
    options=("red chair", "green lamp", "blue box"),
    option_objects=(1, 5, 9),
    mentions=(Mention(7, 41, 44),),
)
COLOR = Question(
    skill="object_color",
    level=0,
    text="What color is the chair?",
    answer="red",
    answer_type="choice",
    program="",
    options=("red", "green", "blue"),
    show_options=False,
)
COUNT = Question("object_count", 0, "How many chairs are there?", "3", "number", "")
DISTANCE = Question("camera_object_distance", 0, "How far is the bed?", "2.5", "number", "", unit="meters")
ORDER = Question(
    "appearance_order",
    0,
    "In which order do you first see the red ball and the bed?",
    "bed, red ball",
    "sequence",
    "",
)
MAP = Question(
    "cognitive_map",
    0,
    "Where are the bed and the lamp on a map of the room from above?",
    '{"bed": [3, 4], "lamp": [8, 1]}',
    "map",
    "",
)
LOCATION = Question(
    "small_location",
    0,
    "Where is the cup?",
    "on the table, to the left of the vase, 0.3 m from it",
    "choice",
    "",
    options=(
        "on the table, to the left of the vase, 0.3 m from it",
        "on the table, to the right of the vase, 0.3 m from it",
    ),
)
ALL = (DIRECTION, NEAREST, COLOR, COUNT, DISTANCE, ORDER, MAP, LOCATION)


def test_words_style_lists_options_at_the_end() -> None:
    assert (
        write_prompt(DIRECTION, "words")
        == "look at the image . where is the red chair relative to the blue sofa : left or right ?"
    )
    assert (
        write_prompt(NEAREST, "words")
        == "which of these objects is closest to the bed : red chair , green lamp or blue box ?"
    )
    assert write_prompt(COLOR, "words") == "what color is the chair ?"


def test_words_style_has_neither_rule_nor_tags_and_spaced_punctuation_in_options() -> None:
    prompt = write_prompt(LOCATION, "words")
    assert prompt.startswith("where is the cup : on the table , to the left of the vase , 0.3 m from it or on the")
    assert write_answer(LOCATION, "words") == "on the table , to the left of the vase , 0.3 m from it"
    assert "seen in" not in write_prompt(DIRECTION, "words")


def test_several_images_are_tagged_in_the_order_of_their_numbers() -> None:
    assert message_parts("Which?", 1) == [{"type": "image"}, {"type": "text", "text": "Which?"}]
    assert message_parts("Which?", 0) == [{"type": "text", "text": "Which?"}]
    parts = message_parts("Which?", 3)
    assert "".join(part.get("text", "<image>") for part in parts) == (
        "Image 1: <image>\nImage 2: <image>\nImage 3: <image>\nWhich?"
    )


def test_mentions_cover_question_and_options() -> None:
    text, mentions = words_with_mentions(NEAREST)
    named = {m.object_id: text[m.start : m.end] for m in mentions}
    assert named == {7: "bed", 1: "red chair", 5: "green lamp", 9: "blue box"}


@pytest.mark.parametrize(
    ("question", "prompt"),
    [
        (
            DIRECTION,
            "Look at the image. Where is the red chair relative to the blue sofa? Left and right are as seen in the "
            "image.\nOptions:\nA. left\nB. right\n"
            "Answer with the letter of the right option only.",
        ),
        (COLOR, "What color is the chair? Choose from: red, green, blue.\nAnswer with a word or a short phrase only."),
        (COUNT, "How many chairs are there?\nAnswer with one number only."),
        (DISTANCE, "How far is the bed?\nAnswer with one number only, in meters."),
        (
            ORDER,
            "In which order do you first see the red ball and the bed?\n"
            "Answer with their names only, in order, separated by commas, like this: first name, second name",
        ),
        (
            MAP,
            "Where are the bed and the lamp on a map of the room from above?\n"
            "Count columns from the left and rows from the top, from 0 to 9.\n"
            'Answer with JSON only, like this: {"first name": [column, row], "second name": [column, row]}',
        ),
    ],
    ids=lambda value: value.skill if isinstance(value, Question) else "",
)
def test_every_answer_type_has_instructions_and_a_right_answer(question: Question, prompt: str) -> None:
    assert write_prompt(question, "letters") == prompt
    for style in STYLES:
        answer = read_answer(question, write_answer(question, style), style, "strict")
        assert score(question, answer).accuracy == 1.0


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("question", ALL, ids=lambda q: q.skill)
def test_the_right_completion_is_read(question: Question, style: Style) -> None:
    completion = write_answer(question, style)
    for form in (completion, f" {completion}", f"{completion}.", completion.upper()):
        if question.answer_type == "map" and form.endswith("."):
            continue  # JSON followed by a full stop is not JSON
        assert score(question, read_answer(question, form, style, "strict")).accuracy == 1.0


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "completion", ["", " ", ".", "left right", "left or right", "left , right", "A B", "A or B", "A, B", "AB", "?", "Z"]
)
def test_empty_multiple_and_hedged_choices_are_unreadable(completion: str, style: Style) -> None:
    assert read_answer(DIRECTION, completion, style, "strict") == ""


@pytest.mark.parametrize("completion", ["", "3 or 4", "3 4", "about 3", "3-4", "1e3", "nan", "3 things", "three"])
def test_hedged_and_odd_numbers_are_unreadable(completion: str) -> None:
    assert read_answer(COUNT, completion, "words", "strict") == ""


def test_a_letter_must_agree_with_its_option_text() -> None:
    assert read_answer(DIRECTION, "(B)", "letters", "strict") == "right"
    assert read_answer(DIRECTION, "B. right", "letters", "strict") == "right"
    assert read_answer(DIRECTION, "B. left", "letters", "strict") == ""
    assert read_answer(DIRECTION, "right", "letters", "strict") == ""


@pytest.mark.parametrize(("unit", "ends"), [("m", ", in meters."), ("cm", ", in centimeters."), ("", "only.")])
def test_prompts_spell_out_units(unit: str, ends: str) -> None:
    question = Question("camera_object_distance", 0, "How far is the bed?", "2.5", "number", "", unit=unit)
    assert write_prompt(question, "letters").endswith(ends)


def test_a_number_may_carry_its_unit() -> None:
    assert read_answer(DISTANCE, "2.5 meters", "words", "strict") == "2.5"
    assert read_answer(DISTANCE, "2.5 feet", "words", "strict") == ""


def test_an_unknown_style_is_rejected() -> None:
    with pytest.raises(VantageError, match="choose one of words, letters"):
        write_prompt(DIRECTION, "riddles")  # type: ignore[arg-type]


# Answers by skill that try to exploit the rules. Each must score zero, without the reward for the format.
TRICKS: dict[str, list[str]] = json.loads((Path(__file__).parents[2] / "data" / "tricks.json").read_bytes())
VERY_LONG = ("{" * 5000, "[" + "9" * 5000 + "]", "9" * 5000, "A " * 5000, "bed, " * 5000)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("question", [DIRECTION, COUNT, DISTANCE, ORDER, MAP], ids=lambda question: question.skill)
def test_tricks_score_zero(question: Question, style: Style) -> None:
    for trick in (*TRICKS[question.skill], *VERY_LONG):
        total = score(question, read_answer(question, trick, style, "strict")).total(0.05)
        assert total == 0.0, trick
    right = write_answer(question, style)
    assert score(question, read_answer(question, right, style, "strict")).total(0.05) == pytest.approx(1.05)
    assert score(question, read_answer(question, right, style, "strict"), finished=False).total(0.05) == 0.0


def test_negative_zero_equals_zero_only() -> None:
    none = Question("object_count", 0, "How many chairs are there?", "0", "number", "")
    for text in ("0", "-0", "0.0", "-0.0"):
        assert score(none, read_answer(none, text, "words", "strict")).accuracy == 1.0
        assert score(COUNT, read_answer(COUNT, text, "words", "strict")).accuracy == 0.0
