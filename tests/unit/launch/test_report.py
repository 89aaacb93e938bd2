from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from launch.report import charts
from launch.report.page import _gallery_item, render, write_report
from launch.report.records import Records
from protocol.run.directory import RunDir
from tests.unit.launch.synthetic import RELATIONAL, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return make_run(tmp_path_factory.mktemp("runs") / "made")


@pytest.fixture(scope="module")
def page(run: RunDir) -> str:
    return write_report(run).read_text()


class Balance(HTMLParser):
    """Fails on an element that is closed in the wrong order."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_well_formed_and_names_every_part(page: str) -> None:
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    for part in (
        "Before and after",
        "Held-out accuracy",
        "What the curriculum asked for",
        "Groups without gradient",
        "Skill × level",
        "Where a step",
        "Episodes",
        "Configuration",
        "prefers-color-scheme: dark",
    ):
        assert part in page
    for skill in RELATIONAL:
        assert skill in page


def test_page_needs_nothing_from_outside(page: str) -> None:
    for source in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert source.startswith("data:image/")
    assert "http" not in page
    assert "url(" not in page


def test_what_a_run_wrote_is_escaped(page: str) -> None:
    assert "<red>" not in page
    assert "&lt;red&gt;" in page


def test_gallery_marks_the_right_answer(page: str) -> None:
    episode = page[page.index('class="episode"') :]
    episode = episode[: episode.index("</div>\n</div>\n</div>")]
    truth = re.search(r"truth: <b>(\w+)</b>", episode)
    right = re.search(r'class="answer right">.*?</span><span>(\w+) ', episode)
    assert truth is not None and right is not None
    assert truth[1] == right[1]


def test_letters_stand_for_options() -> None:
    line = {"images": [], "truth": "right", "options": ["left", "right"], "answers": ["B", "A", "B", "B"]}
    assert [(answer["text"], answer["right"]) for answer in _gallery_item(line)["answers"]] == [
        ("B", True),
        ("A", False),
    ]


def test_a_question_reads_as_written_by_a_person_and_says_how_its_pictures_are_degraded() -> None:
    line = {"images": [], "question": "look at the desk . what color is it ?"}
    line["spec"] = {"degradations": [{"name": "fog", "severity": 3}]}
    item = _gallery_item(line)
    assert item["question"] == "Look at the desk. What color is it?"
    assert item["degraded"] == "fog:3"


def test_an_empty_run_has_a_report_too(tmp_path: Path) -> None:
    page = render(Records(RunDir.create(tmp_path / "empty", {})).update())
    assert "not finished" in page
    assert "Before and after" not in page


def test_charts_are_valid_xml_with_every_point_inside() -> None:
    series = [charts.Series("a <b>", [0, 10, 20], [0.2, 0.5, float("nan")], 0), charts.Series("one", [5], [0.9], 1)]
    svg = charts.line_chart(series, "step", (0.0, 1.0), percent=True)
    root = ElementTree.fromstring(svg)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    for circle in root.iter("circle"):
        assert 0 <= float(circle.attrib["cx"]) <= width
        assert 0 <= float(circle.attrib["cy"]) <= height
    assert len(list(root.iter("circle"))) == 3
    for svg in (
        charts.area_chart(["a&b", "c"], [1.0, 2.0], [[0.25, 0.5], [0.75, 0.5]], "questions"),
        charts.bars([("roll & out", 1.0), ("train", 0.0)], "s"),
        charts.heatmap(["x"], ["level 0", "level 1"], [[(0.5, "50 → 60", "x < y"), None]]),
    ):
        ElementTree.fromstring(svg)


def test_charts_of_nothing_are_nothing() -> None:
    assert charts.line_chart([], "step") == ""
    assert charts.area_chart(["a"], [], [[]], "step") == ""
    assert charts.bars([], "s") == ""
