"""Rewards of answers of every type."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.answers.scoring import mean_relative_accuracy, parse_number, score
from protocol.tasks.task import Question


def choice(answer: str, *options: str) -> Question:
    return Question("view_direction", 0, "is it left or right ?", answer, "choice", "p", options=options)


def number(answer: str, unit: str = "") -> Question:
    return Question("camera_object_distance", 0, "how far ?", answer, "number", "p", unit=unit)


@pytest.mark.parametrize("answer", ["left", " left", "Left", "LEFT.", "left ."])
def test_the_right_option_scores_one(answer: str) -> None:
    reward = score(choice("left", "left", "right"), answer)
    assert (reward.accuracy, reward.readable) == (1.0, True)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " ",
        ".",
        "left right",
        "left or right",
        "left, right",
        "left left",
        "not right",
        "leftright",
        "left\nright",
        "lef",
    ],
)
def test_empty_hedged_and_multiple_answers_score_zero(answer: str) -> None:
    reward = score(choice("left", "left", "right"), answer)
    assert reward.accuracy == 0.0
    assert reward.total(0.1) == 0.0


def test_a_wrong_option_gets_the_format_reward_only() -> None:
    assert score(choice("left", "left", "right"), "right").total(0.1) == pytest.approx(0.1)


def test_a_truncated_answer_scores_zero() -> None:
    assert score(choice("left", "left", "right"), "left", finished=False).total(0.1) == 0.0


def test_answers_of_two_words_must_match_completely() -> None:
    question = choice("top left", "top left", "top right", "center")
    assert score(question, "Top  left.").accuracy == 1.0
    assert score(question, "top").total(0.1) == 0.0


# |value - truth| / truth at each threshold: the comparison is strict.
@pytest.mark.parametrize(
    ("value", "truth", "expected"),
    [
        ("10", "10", 1.0),
        ("10.4", "10", 1.0),
        ("10.5", "10", 0.9),
        ("9.5", "10", 0.9),
        ("9.51", "10", 1.0),
        ("11", "10", 0.8),
        ("5", "4", 0.5),
        ("3", "4", 0.5),
        ("14.9", "10", 0.1),
        ("15", "10", 0.0),
        ("0", "10", 0.0),
        ("-10", "10", 0.0),
        ("0", "0", 1.0),
        ("1", "0", 0.0),
        ("0.95", "1", 0.9),
    ],
)
def test_mean_relative_accuracy_golden_values(value: str, truth: str, expected: float) -> None:
    assert mean_relative_accuracy(Fraction(value), Fraction(truth)) == expected


@pytest.mark.parametrize("step", range(10))
@pytest.mark.parametrize("sign", [-1, 1])
def test_each_of_the_ten_thresholds_is_strict_and_exact(step: int, sign: int) -> None:
    """An error of exactly 1 - theta misses the k-th threshold; a slightly smaller error meets it."""
    limit = Fraction(50 - 5 * step, 100)
    truth = Fraction("3.7")
    assert mean_relative_accuracy(truth * (1 + sign * limit), truth) == step / 10
    assert mean_relative_accuracy(truth * (1 + sign * limit * Fraction(10**9 - 1, 10**9)), truth) == (step + 1) / 10


@given(st.integers(1, 1000), st.integers(0, 2000), st.integers(1, 1000))
def test_mean_relative_accuracy_is_scale_invariant(truth: int, value: int, scale: int) -> None:
    small = mean_relative_accuracy(Fraction(value), Fraction(truth))
    large = mean_relative_accuracy(Fraction(value * scale), Fraction(truth * scale))
    assert small == large
    assert 0.0 <= small <= 1.0


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("2.4", "m", Fraction(12, 5)),
        ("2.4 m", "m", Fraction(12, 5)),
        ("2.4m.", "m", Fraction(12, 5)),
        ("3.", "", Fraction(3)),
        (".5", "", Fraction(1, 2)),
        ("2 or 3", "", None),
        ("2 3", "", None),
        ("1-5", "", None),
        ("about 2", "", None),
        ("2 m", "", None),
        ("1e9", "", None),
        ("nan", "", None),
        ("inf", "", None),
        ("1/2", "", None),
        ("", "m", None),
        ("m", "m", None),
        ("\uff12", "", None),
        ("\u0662", "", None),
        ("²", "", None),
        ("1_0", "", None),
        ("0x2", "", None),
        ("1e999", "", None),
        ("--2", "", None),
        ("2 m m", "m", None),
        ("9" * 5000, "", None),
    ],
)
def test_numbers_parse_completely_or_not_at_all(text: str, unit: str, expected: Fraction | None) -> None:
    assert parse_number(text, unit) == expected


def test_unreadable_numbers_score_zero() -> None:
    assert score(number("2.4", "m"), "2 3").total(0.1) == 0.0
    assert score(number("2.4", "m"), "2.4 m").accuracy == 1.0


def sequence(answer: str) -> Question:
    return Question("appearance_order", 0, "in which order ?", answer, "sequence", "p")


@pytest.mark.parametrize(
    ("answer", "accuracy", "readable"),
    [
        ("chair, bed, lamp", 1.0, True),
        ("chair,bed,lamp.", 1.0, True),
        ("bed, chair, lamp", 2 / 3, True),
        ("lamp, bed, chair", 0.0, True),
        ("chair, bed", 0.0, False),
        ("chair, chair, bed, lamp", 0.0, False),
        ("chair bed lamp", 0.0, False),
        ("chair, bed, sofa", 0.0, False),
    ],
)
def test_sequences_score_by_ordered_pairs(answer: str, accuracy: float, readable: bool) -> None:
    reward = score(sequence("chair, bed, lamp"), answer)
    assert reward.accuracy == pytest.approx(accuracy)
    assert reward.readable is readable


def map_question() -> Question:
    return Question("cognitive_map", 0, "draw", '{"chair": [1, 2], "bed": [8, 5], "lamp": [4, 9]}', "map", "p")


def test_maps_are_invariant_to_quarter_turns() -> None:
    turned = '{"chair": [7, 1], "bed": [4, 8], "lamp": [0, 4]}'
    assert score(map_question(), turned).accuracy == 1.0


def test_a_mirrored_map_scores_below_one() -> None:
    mirrored = '{"chair": [8, 2], "bed": [1, 5], "lamp": [5, 9]}'
    assert score(map_question(), mirrored).accuracy < 1.0


@pytest.mark.parametrize(
    "answer",
    [
        "{}",
        "[]",
        "chair 1 2",
        '{"chair": [1, 2]}',
        '{"chair": [1, 2], "bed": [8, 50], "lamp": [4, 9]}',
        '{"chair": [1.0, 2], "bed": [8, 5], "lamp": [4, 9]}',
        '{"chair": [true, 2], "bed": [8, 5], "lamp": [4, 9]}',
        '{"chair": [1, 2], "chair": [3, 4], "bed": [8, 5], "lamp": [4, 9]}',
        '{"chair": [1, 2], "Chair": [3, 4], "bed": [8, 5], "lamp": [4, 9]}',
        '{"chair": [[1, 2], [3, 4]], "bed": [8, 5], "lamp": [4, 9]}',
        '{"chair": [1, 2], "bed": [8, 5], "lamp": [4, 9]} {"chair": [3, 4]}',
        '{"chair": {"x": 1}, "bed": [8, 5], "lamp": [4, 9]}',
        '{"chair": [-1, 2], "bed": [8, 5], "lamp": [4, 9]}',
        "[" * 100_000,
    ],
)
def test_unreadable_maps_score_zero(answer: str) -> None:
    assert score(map_question(), answer).total(0.1) == 0.0


cells = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(list)
maps = st.dictionaries(st.sampled_from(["chair", "bed", "lamp", "sofa", "table"]), cells, min_size=1)


def turned(places: dict[str, list[int]], quarters: int) -> dict[str, list[int]]:
    for _ in range(quarters):
        places = {name: [9 - row, column] for name, (column, row) in places.items()}
    return places


@given(maps, st.data(), st.integers(0, 3), st.integers(0, 3))
def test_map_scores_do_not_depend_on_rotations(truth, data, turn_truth: int, turn_answer: int) -> None:
    answer = {name: data.draw(cells) for name in truth}

    def scored(right: dict[str, list[int]], given: dict[str, list[int]]) -> float:
        return score(Question("cognitive_map", 0, "draw", json.dumps(right), "map", "p"), json.dumps(given)).accuracy

    expected = scored(truth, answer)
    assert scored(turned(truth, turn_truth), turned(answer, turn_answer)) == expected
    assert scored(truth, turned(truth, turn_answer)) == 1.0


@pytest.mark.parametrize(
    "answer", ["red blue", "red or blue", "red, blue", "not blue", "redblue", "r", "green", "colour"]
)
def test_wrong_open_answers_score_zero(answer: str) -> None:
    question = Question("object_color", 0, "what color ?", "red", "choice", "p", show_options=False)
    assert score(question, answer).total(0.1) == 0.0
    assert score(question, "Red.").total(0.1) == pytest.approx(1.1)
