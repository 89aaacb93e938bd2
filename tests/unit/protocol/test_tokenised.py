"""The tokenised form, and answers that survive being written and read in either style."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.answers.prompt import STYLES, Style, read_answer, words_with_mentions, write_answer, write_prompt
from protocol.answers.scoring import score
from protocol.answers.tokenised import tokenised, tokenised_with
from protocol.tasks.task import Mention, Question

TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=60)
_WORDS = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)
# Phrases as in options: words, decimals and punctuation in normal spelling.
PHRASES = st.lists(
    st.tuples(
        st.one_of(_WORDS, st.sampled_from(["0.3", "12.75", "Image 1", "it's"])), st.sampled_from(["", ",", ";", ":"])
    ),
    min_size=1,
    max_size=5,
).map(lambda pairs: " ".join(word + mark for word, mark in pairs).rstrip(",;:"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How far is the bed?", "how far is the bed ?"),
        ("Stand at the bed. Where is it?", "stand at the bed . where is it ?"),
        ("on the table, 0.3 m from it", "on the table , 0.3 m from it"),
        ("Find these: a, b and c.", "find these : a , b and c ."),
        ("already spaced , and lower ?", "already spaced , and lower ?"),
        ("What?!", "what ? !"),
        ("", ""),
    ],
)
def test_marks_are_words_and_decimals_stay_together(text: str, expected: str) -> None:
    assert tokenised(text) == expected


@given(TEXTS)
def test_tokenising_twice_changes_nothing(text: str) -> None:
    once = tokenised(text)
    assert tokenised(once) == once and "  " not in once and once == once.strip()
    assert once.replace(" ", "") == "".join("".join(text.split()).lower()) or not text.isascii()


@given(TEXTS, st.data())
def test_mentions_move_with_their_words(text: str, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.tuples(st.integers(0, len(text)), st.integers(0, len(text))), max_size=4))
    mentions = tuple(Mention(index, *sorted(place)) for index, place in enumerate(places) if place[0] != place[1])
    new, moved = tokenised_with(text, mentions)
    found = {item.object_id: new[item.start : item.end] for item in moved}
    for item in mentions:
        words = text[item.start : item.end]
        compact = "".join(character.lower() for character in words if not character.isspace())
        assert found.get(item.object_id, "").replace(" ", "") == compact.replace(" ", "")


def test_mentions_of_a_question_and_its_options_name_objects() -> None:
    text = "Next to the red box, is the blue cup nearer?"
    question = Question(
        *("x", 0, text, "nearer", "choice", ""),
        options=("nearer", "far, far away"),
        option_objects=(3, 4),
        mentions=(
            Mention(1, text.index("red box"), text.index(",")),
            Mention(2, text.index("blue"), text.index(" nearer")),
        ),
    )
    words, mentions = words_with_mentions(question)
    assert words == "next to the red box , is the blue cup nearer : nearer or far , far away ?"
    named = {item.object_id: words[item.start : item.end] for item in mentions}
    assert named == {1: "red box", 2: "blue cup", 3: "nearer", 4: "far , far away"}


@settings(max_examples=300, deadline=None)
@given(st.lists(PHRASES, min_size=2, max_size=5, unique_by=tokenised), st.booleans(), st.data())
@pytest.mark.parametrize("style", STYLES)
def test_choices_survive_both_styles(style: Style, options: list[str], listed: bool, data: st.DataObject) -> None:
    answer = data.draw(st.sampled_from(options))
    question = Question(
        "x", 0, "Which one is it?", answer, "choice", "", options=tuple(options), show_options=listed, rule="Any rule."
    )
    written = write_answer(question, style)
    assert read_answer(question, written, style, "strict") == answer
    assert score(question, read_answer(question, written, style, "lenient")).accuracy == 1.0
    assert tokenised(answer) in write_prompt(question, "words") or not listed


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(_WORDS, min_size=1, max_size=3).map(" ".join), min_size=2, max_size=5, unique_by=str.lower))
@pytest.mark.parametrize("style", STYLES)
def test_sequences_survive_both_styles(style: Style, names: list[str]) -> None:
    question = Question("x", 0, "In which order?", ", ".join(names), "sequence", "")
    assert read_answer(question, write_answer(question, style), style, "strict") == question.answer
    assert read_answer(question, write_answer(question, "words").upper(), "words", "strict") == question.answer


@given(st.decimals(0, 1000, places=1), st.sampled_from(["", "m", "cm", "square meters"]))
@pytest.mark.parametrize("style", STYLES)
def test_numbers_survive_both_styles(style: Style, number: object, unit: str) -> None:
    question = Question("x", 0, "How many?", str(number), "number", "", unit=unit)
    assert read_answer(question, write_answer(question, style), style, "strict") == str(number)
