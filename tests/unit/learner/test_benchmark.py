"""VSI-Bench rows and scores by the published and the strict rules, and tricks that neither may reward."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from learner.cli import app
from protocol.answers.vsi_bench import (
    VSI_TASKS,
    evaluate,
    read_answers,
    read_items,
    score_lenient,
    score_published,
    score_strict,
)
from protocol.errors import VantageError
from protocol.run.sealed import sealed_folder

CHOICE = {
    "id": 1,
    "dataset": "arkitscenes",
    "scene_name": "41069025",
    "question_type": "object_rel_direction_easy",
    "question": "Standing by the stove and facing the tv, is the table to my left or my right?",
    "ground_truth": "A",
    "options": ["A. left", "B. right"],
}
NUMBER = {
    **CHOICE,
    "id": 2,
    "question_type": "object_counting",
    "question": "How many chairs are there?",
    "ground_truth": "4",
    "options": None,
}


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def item(row):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (read,) = read_items(write(Path(folder) / "one.jsonl", [row]))
    return read


@pytest.fixture(scope="module")
def choice():
    return item(CHOICE)


@pytest.fixture(scope="module")
def number():
    return item(NUMBER)


# ----------------------------------------------------------------------------- one answer


@pytest.mark.parametrize("answer", ["A", "A.", "a", "A ", "\nA\n", "a.", "A.. "])
def test_a_single_letter_is_right_by_the_published_rule(choice, answer):
    assert score_published(choice, answer) == 1.0
    assert score_strict(choice, answer) == (answer != "A.. ")


@pytest.mark.parametrize("answer", [" A", "A\nBecause it is near.", "A.\n", "A\tB"])
def test_the_published_rule_splits_at_spaces_only(choice, answer):
    """And it removes periods before white space."""
    assert score_published(choice, answer) == 0.0


@pytest.mark.parametrize(
    ("answer", "published"),
    [
        ("", 0),
        (" ", 0),
        (".", 0),
        ("A B", 1),  # the published rule reads only the first word
        ("A or B", 1),
        ("A, B", 0),
        ("A/B", 0),
        ("AB", 0),
        ("A. right", 1),
        ("A A", 1),
        ("A. left left", 1),
        ("A. left A. left", 1),
        ("B A", 0),
        ("left", 0),
        ("left or right", 0),
        ("The answer is A", 0),
        ("not B", 0),
        ("B", 0),
        ("C", 0),
        ("\u0410", 0),  # Cyrillic A
        ("\uff21", 0),  # full-width A
        ("A\u200b", 0),
        ("<A>", 0),
        ("1", 0),
        ("None", 0),
    ],
)
def test_hedges_and_tricks_score_zero_by_the_strict_rule(choice, answer, published):
    assert score_strict(choice, answer) == 0.0
    assert score_published(choice, answer) == published


def test_a_letter_with_its_option_text_is_accepted(choice):
    assert score_strict(choice, "A. left") == score_published(choice, "A. left") == 1.0


@pytest.mark.parametrize(
    ("kind", "truth", "answer"),
    [
        ("object_abs_distance", "1.5", "The distance is 150 cm."),
        ("object_size_estimation", "150", "**1.5 meters**"),
        ("room_size_estimation", "20", "about 20 m²"),
        ("object_counting", "4", "There are four chairs."),
    ],
)
def test_a_lenient_reading_converts_to_the_unit_of_the_task(kind, truth, answer):
    read = item({**NUMBER, "question_type": kind, "ground_truth": truth})
    assert (score_published(read, answer), score_strict(read, answer), score_lenient(read, answer)) == (0.0, 0.0, 1.0)


def test_a_lenient_reading_accepts_sentences_and_no_hedges(choice):
    assert score_lenient(choice, "The answer is A.") == score_lenient(choice, "**A**") == 1.0
    assert (
        score_lenient(choice, "A or B") == score_lenient(choice, "Maybe A") == score_lenient(choice, "A. right") == 0.0
    )


# |answer - 4| / 4 against 0.50, 0.45 … 0.05: strictly below, and as the benchmark rounds.
@pytest.mark.parametrize(
    ("answer", "strict", "published"),
    [
        *(("4", 1.0, 1.0), ("4.0", 1.0, 1.0), ("4.", 1.0, 1.0), ("4.19", 1.0, 1.0), ("4.2", 0.9, 1.0)),
        *(("3.8", 0.9, 1.0), ("5", 0.5, 0.6), ("3", 0.5, 0.6), ("2.01", 0.1, 0.1), ("2", 0.0, 0.1), ("6", 0.0, 0.1)),
        *(("0", 0.0, 0.0), ("-4", 0.0, 0.0), ("400", 0.0, 0.0)),
    ],
)
def test_numbers_score_by_mean_relative_accuracy(number, answer, strict, published):
    assert (score_strict(number, answer), score_published(number, answer)) == (strict, published)


def published_code(answer: str, truth: str) -> float:
    """The benchmark's rule for numbers, as its code computes it."""
    try:
        value = float(answer.split(" ")[0].rstrip(".").strip())
    except ValueError:
        return 0.0
    thresholds = np.linspace(0.5, 0.95, int((0.95 - 0.5) / 0.05 + 2))
    return float(np.mean(np.abs(value - float(truth)) / float(truth) <= 1 - thresholds))


def test_published_numbers_equal_the_code_of_the_benchmark_to_the_digit():
    rng = np.random.default_rng(0)
    for _ in range(3000):
        truth = str(rng.integers(1, 40)) if rng.random() < 0.5 else f"{rng.uniform(0.1, 30):.1f}"
        near = float(truth) * (1 + int(rng.integers(-11, 12)) * 0.05)  # at or next to a threshold
        answer = rng.choice([f"{near:.2f}", f"{near:.1f}", f"{near:.0f}", repr(near), "1e0", "", "2 m"])
        assert score_published(item({**NUMBER, "ground_truth": truth}), str(answer)) == published_code(answer, truth)


def test_a_constant_answer_to_counts_scores_as_in_the_benchmark():
    truths = [2] * 30 + [3] * 20 + [4] * 16 + [5] * 6 + [6, 7, 8, 10]
    scores = [score_published(item({**NUMBER, "ground_truth": str(truth)}), "3") for truth in truths]
    assert np.mean(scores) == pytest.approx(np.mean([published_code("3", str(truth)) for truth in truths]))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["1e-99999999", "1e99999999", "-1e-99999999", "0." + "0" * 10**6 + "1", "9" * 10**6])
def test_numbers_are_bounded_before_they_are_expanded(number, text):
    assert score_published(number, text) == score_strict(number, text) == 0.0
    with pytest.raises(VantageError, match="is not a question"):
        item({**NUMBER, "ground_truth": text})


@pytest.mark.parametrize(("truth", "answer"), [("1e3", "1000"), ("2.5E-1", "0.25"), ("163.0", "163"), ("+4", "4")])
def test_true_numbers_may_have_exponents(truth, answer):
    read = item({**NUMBER, "ground_truth": truth})
    assert score_published(read, answer) == score_strict(read, answer) == 1.0


@pytest.mark.parametrize(
    ("answer", "published"),
    [
        ("", 0.0),
        ("four", 0.0),
        ("nan", 0.0),
        ("inf", 0.0),
        ("-inf", 0.0),
        ("1e999", 0.0),
        ("4 5", 1.0),  # only the first word is read
        ("4 or 5", 1.0),
        ("4, 5", 0.0),
        ("4-5", 0.0),
        ("~4", 0.0),
        ("about 4", 0.0),
        ("4/1", 0.0),
        ("4 chairs", 1.0),
        ("3 4", 0.6),
        ("4e0", 1.0),
        ("0x4", 0.0),
        ("4" * 5000, 0.0),
        ("\u00bd", 0.0),
    ],
)
def test_hedged_and_odd_numbers_score_zero_by_the_strict_rule(number, answer, published):
    assert score_strict(number, answer) == 0.0
    assert score_published(number, answer) == published


def test_digits_of_other_scripts_score_zero_by_the_strict_rule(number):
    assert score_strict(number, "\uff14") == score_strict(number, "\u0664") == 0.0


# ----------------------------------------------------------------------------- all answers


def vsi_rows():
    """Two questions of each of the ten question types; directions have three levels."""
    types = [task for task in VSI_TASKS if task != "object_rel_direction"]
    types += [f"object_rel_direction_{level}" for level in ("easy", "medium", "hard")]
    numbers = {"object_counting", "object_abs_distance", "object_size_estimation", "room_size_estimation"}
    return [
        {**(NUMBER if kind in numbers else CHOICE), "id": 2 * place + second, "question_type": kind}
        for place, kind in enumerate(types)
        for second in range(2)
    ]


def test_overall_is_the_mean_over_tasks_and_direction_over_levels(tmp_path):
    items = read_items(write(tmp_path / "rows.jsonl", vsi_rows()))
    by_type = {}
    for one in items:
        by_type.setdefault(one.question_type, []).append(one.id)
    answers = {one.id: "0" for one in items}
    answers |= dict.fromkeys(by_type["object_rel_direction_easy"], "A")  # 1 of 3 levels: 1/3
    answers[by_type["route_planning"][0]] = "A"  # 1/2
    answers[by_type["object_counting"][0]] = "5.1"  # 1/4: half of 0.5
    result = evaluate(items, answers)
    assert result.is_vsi_bench and result.missing == 0
    scores = {line.name: line.published for line in result.tasks}
    assert scores["object_rel_direction"] == pytest.approx(1 / 3)
    assert scores["route_planning"] == 0.5 and scores["object_counting"] == 0.25
    assert result.overall.published == pytest.approx((1 / 3 + 0.5 + 0.25) / 8)
    assert result.micro.published == pytest.approx((2 + 1 + 0.5) / 20)
    assert sum(line.questions for line in result.tasks) == result.micro.questions == 20


def test_levels_of_direction_have_equal_weights(tmp_path):
    rows = [{**CHOICE, "id": key, "question_type": "object_rel_direction_hard"} for key in range(9)]
    rows.append({**CHOICE, "id": 9, "question_type": "object_rel_direction_easy"})
    items = read_items(write(tmp_path / "rows.jsonl", rows))
    result = evaluate(items, {"9": "A"})
    assert result.overall.strict == 0.5 and result.micro.published == 0.1
    assert result.overall.published == pytest.approx(1 / 3)  # the code always divides by three levels
    assert result.missing == 9 and not result.is_vsi_bench


def test_unanswered_questions_score_zero(tmp_path):
    items = read_items(write(tmp_path / "rows.jsonl", vsi_rows()))
    result = evaluate(items, {})
    assert result.missing == 20 and result.overall.published == result.micro.strict == 0.0


# ----------------------------------------------------------------------------- files


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_a_line_feed_ends_a_line(tmp_path, separator):
    row = {**CHOICE, "question": f"first{separator}second?"}
    content = json.dumps(row, ensure_ascii=separator < " ") + "\r\n"
    (tmp_path / "rows.jsonl").write_bytes(content.encode())
    (read,) = read_items(tmp_path / "rows.jsonl")
    assert read.question.text == row["question"]
    answer = json.dumps({"id": 1, "prediction": f"A{separator}"}, ensure_ascii=separator < " ")
    (tmp_path / "answers.jsonl").write_bytes(answer.encode())
    assert read_answers(tmp_path / "answers.jsonl", [read]) == {"1": f"A{separator}"}


def test_parquet_and_json_lines_give_the_same_items(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = vsi_rows()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    assert read_items(tmp_path / "rows.parquet") == read_items(write(tmp_path / "rows.jsonl", rows))


def test_a_generated_dataset_is_verified_and_read(tmp_path):
    rows = [
        {**CHOICE, "question_type": "view_direction", "answer_type": "choice"},
        {**CHOICE, "id": 2, "options": None, "ground_truth": "lamp", "answer_type": "choice"},
        {**CHOICE, "id": 3, "options": None, "ground_truth": "lamp, bed", "answer_type": "sequence"},
        {**NUMBER, "id": 4, "answer_type": "number"},
    ]
    with sealed_folder(tmp_path / "shards" / "shard-000000", {}) as staging:
        write(staging / "rows.jsonl", rows)
    with pytest.raises(VantageError, match="not a finished dataset"):
        read_items(tmp_path)
    (tmp_path / "dataset.json").write_text("{}")
    items = read_items(tmp_path)
    right = {"1": "A", "2": "Lamp.", "3": "lamp, bed", "4": "4"}
    assert evaluate(items, right).micro.published == 1.0
    assert evaluate(items, {"2": "lamp or bed", "3": "lamp"}).micro.strict == 0.0
    with open(tmp_path / "shards" / "shard-000000" / "rows.jsonl", "a") as file:
        file.write("\n")
    with pytest.raises(VantageError, match="does not match its manifest"):
        read_items(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": 1}, "needs id, question_type"),
        ({**CHOICE, "options": ["left", "right"]}, "not lettered from A on"),
        ({**CHOICE, "options": ["B. left", "A. right"]}, "not lettered from A on"),
        ({**CHOICE, "ground_truth": "C"}, "is not a question"),
        ({**CHOICE, "ground_truth": "AB"}, "is not a question"),
        ({**NUMBER, "ground_truth": "many"}, "is not a number"),
    ],
)
def test_invalid_rows_are_rejected(tmp_path, row, message):
    with pytest.raises(VantageError, match=message):
        read_items(write(tmp_path / "rows.jsonl", [row]))


def test_each_question_takes_one_text_answer(tmp_path, choice):
    def read(*rows):
        return read_answers(write(tmp_path / "answers.jsonl", rows), [choice])

    assert read({"id": 1, "prediction": "A"}) == {"1": "A"}
    for rows, message in [
        (({"id": 1, "prediction": "A"}, {"id": "1", "prediction": "B"}), "twice"),
        (({"id": 7, "prediction": "A"},), "not asked"),
        (({"id": 1, "prediction": ["A", "B"]},), "text"),
        (({"id": 1},), "prediction"),
    ]:
        with pytest.raises(VantageError, match=message):
            read(*rows)


def test_score_command_prints_and_writes_the_scores(tmp_path):
    questions = write(tmp_path / "rows.jsonl", vsi_rows())
    answers = write(tmp_path / "answers.jsonl", [{"id": key, "prediction": "A"} for key in range(19)])
    arguments = ["score", str(questions), "--answers", str(answers), "--out", str(tmp_path / "scores.json")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0 and "VSI-Bench" in result.output and "1 unanswered questions" in result.output
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["overall"]["published"] == pytest.approx((1 + 1 + 1 + 5 / 6) / 8)
