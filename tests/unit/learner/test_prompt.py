"""Questions become prompts, right answers are read back, and tricks earn nothing."""

from __future__ import annotations

import pytest

from learner.policy.prompt import read_answer, write_answer, write_messages, write_prompt
from protocol.errors import VantageError
from protocol.tasks import Mention, Question

DIRECTION = Question(
    family="view_direction",
    level=0,
    text="where is the red chair from the blue sofa ?",
    answer="right",
    answer_type="choice",
    program="",
    options=("left", "right"),
    mentions=(Mention(1, 13, 22), Mention(2, 32, 41)),
)
NEAREST = Question(
    family="relative_distance",
    level=0,
    text="which is closest to the bed ?",
    answer="green lamp",
    answer_type="choice",
    program="",
    options=("red chair", "green lamp", "blue box"),
    option_objects=(1, 5, 9),
    mentions=(Mention(7, 24, 27),),
)
COLOR = Question(
    family="object_color",
    level=0,
    text="what color is the chair ?",
    answer="red",
    answer_type="choice",
    program="",
    options=("red", "green", "blue"),
    show_options=False,
)
COUNT = Question("object_count", 0, "how many chairs are there ?", "3", "number", "")
DISTANCE = Question("camera_object_distance", 0, "how far is the bed ?", "2.5", "number", "", unit="meters")
ALL = (DIRECTION, NEAREST, COLOR, COUNT, DISTANCE)


def test_words_list_options_at_the_end() -> None:
    assert write_prompt(DIRECTION, "words").text == "where is the red chair from the blue sofa : left or right ?"
    assert write_prompt(NEAREST, "words").text == "which is closest to the bed : red chair , green lamp or blue box ?"
    assert write_prompt(COLOR, "words").text == COLOR.text


def test_mentions_name_objects_in_question_and_options() -> None:
    prompt = write_prompt(NEAREST, "words")
    named = {m.object_id: prompt.text[m.start : m.end] for m in prompt.mentions}
    assert named == {7: "bed", 1: "red chair", 5: "green lamp", 9: "blue box"}


def test_letters_list_options_as_lines() -> None:
    text = write_prompt(DIRECTION, "letters").text
    assert text.startswith("Where is the red chair from the blue sofa?\n")
    assert "A. left\nB. right" in text
    assert "meters" in write_prompt(DISTANCE, "letters").text


def test_a_blind_prompt_has_no_image() -> None:
    assert [part["type"] for part in write_messages(DIRECTION, 0, "words")[0]["content"]] == ["text"]
    assert [part["type"] for part in write_messages(DIRECTION, 2, "words")[0]["content"]] == ["image", "image", "text"]


@pytest.mark.parametrize("style", ["words", "letters"])
@pytest.mark.parametrize("question", ALL, ids=lambda q: q.family)
def test_the_right_completion_is_read_back(question: Question, style: str) -> None:
    completion = write_answer(question, style)
    for form in (completion, f" {completion}", f"{completion}.", completion.upper()):
        assert read_answer(question, form, style) == question.answer


@pytest.mark.parametrize("style", ["words", "letters"])
@pytest.mark.parametrize(
    "completion", ["", " ", ".", "left right", "left or right", "left , right", "A B", "A or B", "A, B", "AB", "?", "Z"]
)
def test_empty_multiple_and_hedged_choices_are_unreadable(completion: str, style: str) -> None:
    assert read_answer(DIRECTION, completion, style) == ""


@pytest.mark.parametrize("completion", ["", "3 or 4", "3 4", "about 3", "3-4", "1e3", "nan", "3 things", "three"])
def test_tricks_with_numbers_are_unreadable(completion: str) -> None:
    assert read_answer(COUNT, completion, "words") == ""


def test_a_letter_must_agree_with_the_option_beside_it() -> None:
    assert read_answer(DIRECTION, "(B)", "letters") == "right"
    assert read_answer(DIRECTION, "B. right", "letters") == "right"
    assert read_answer(DIRECTION, "B. left", "letters") == ""
    assert read_answer(DIRECTION, "right", "letters") == ""


def test_a_number_may_carry_its_unit() -> None:
    assert read_answer(DISTANCE, "2.5 meters", "words") == "2.5"
    assert read_answer(DISTANCE, "2.5 feet", "words") == ""


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(VantageError, match="choose one of words, letters"):
        write_prompt(DIRECTION, "riddles")  # type: ignore[arg-type]
