from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from launch.report import charts
from launch.report.data import data_figures
from launch.report.page import _gallery_item, render, write_report
from launch.report.records import EpisodeRecord, Records, read_episodes
from protocol.run.directory import RunDir
from tests.support.synthetic_run import RELATIONAL, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return make_run(tmp_path_factory.mktemp("runs") / "made")


@pytest.fixture(scope="module")
def page(run: RunDir) -> str:
    return write_report(run).read_text()


class Balance(HTMLParser):
    """Fails if an element is closed in the wrong order."""

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


def test_the_page_is_well_formed_and_has_every_section(page: str) -> None:
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    for part in (
        "Before and after",
        "Held-out accuracy",
        "Questions issued by the curriculum",
        "Groups without gradient",
        "Data",
        "Replayed questions",
        "Skill × level",
        "Time per step",
        "Episodes",
        "Configuration",
        "prefers-color-scheme: dark",
    ):
        assert part in page
    for skill in RELATIONAL:
        assert skill in page


def test_the_data_is_counted_over_all_steps(run: RunDir) -> None:
    steps = Records(run).update().steps
    figures = {label.split(" (")[0]: figure for figure, label in data_figures(steps)}
    assert figures == {
        "questions generated": f"{64 * len(steps):,}",
        "screened out": f"{56 * len(steps):,}",
        "distinct questions trained on": f"{32 * 4 + 8 * (len(steps) - 4):,}",
        "uses per question": f"{32 * len(steps) / (32 * 4 + 8 * (len(steps) - 4)):.1f}",
    }
    assert data_figures([]) == []


def test_the_page_loads_nothing_from_outside(page: str) -> None:
    for source in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert source.startswith("data:image/")
    assert "http" not in page
    assert "url(" not in page


def test_text_from_a_run_is_escaped(page: str) -> None:
    assert "<red>" not in page
    assert "&lt;red&gt;" in page


def test_gallery_marks_the_right_answer(page: str) -> None:
    episode = page[page.index('class="episode"') :]
    episode = episode[: episode.index("</div>\n</div>\n</div>")]
    truth = re.search(r"true answer: <b>(\w+)</b>", episode)
    right = re.search(r'class="answer right">.*?</span><span>(\w+) ', episode)
    assert truth is not None and right is not None
    assert truth[1] == right[1]


def episode(tmp_path: Path, **line: object) -> EpisodeRecord:
    run = RunDir.create(tmp_path / "one", {})
    (run.episodes / "episodes.jsonl").write_text(json.dumps(line) + "\n")
    return read_episodes(run)[0]


def test_letters_name_options(tmp_path: Path) -> None:
    item = _gallery_item(episode(tmp_path, truth="right", options=["left", "right"], answers=["B", "A", "B", "B"]))
    assert [(answer["text"], answer["right"]) for answer in item["answers"]] == [
        ("B", True),
        ("A", False),
    ]


def test_a_question_shows_its_text_and_its_degradations(tmp_path: Path) -> None:
    spec = {"degradations": [{"name": "fog", "severity": 3}]}
    item = _gallery_item(episode(tmp_path, question="Look at the desk. What color is it?", spec=spec))
    assert item["question"] == "Look at the desk. What color is it?"
    assert item["degraded"] == "fog:3"


def test_an_empty_run_has_a_report_too(tmp_path: Path) -> None:
    page = render(Records(RunDir.create(tmp_path / "empty", {})).update())
    assert "not finished" in page
    assert "Before and after" not in page


def test_composed_questions_have_a_section(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "composed", {})
    asked = {"kind": {"name": "composed:image_x:50:0123abcd", "form": "{}"}, "example": "Is <b> left of c?"}
    figures = {"accepted": 3, "rejected": {"unstable": 1}, "asked": 2, "first_success": 0.25, "last_success": 0.5}
    gone = {"kind": {"name": "composed:image_y:50:0123abcd", "form": "{}"}, "example": "d?", "retired": "trivial: yes"}
    run.write_status("curriculum", {"kinds": [{**asked, **figures, "share": 1.0}, gone, "damaged"]})
    page = render(Records(run).update())
    for part in ("Is &lt;b&gt; left of c?", "25 → 50 %", "retired, trivial: yes", "2 kinds, 1 of them retired"):
        assert part in page, part
    assert "Of 4 questions that the simulator examined, 3 were accepted (1 unstable)." in page
    assert "Composed questions" not in render(Records(RunDir.create(tmp_path / "none", {})).update())


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


def test_charts_without_data_are_empty() -> None:
    assert charts.line_chart([], "step") == ""
    assert charts.area_chart(["a"], [], [[]], "step") == ""
    assert charts.bars([], "s") == ""
