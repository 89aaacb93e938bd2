"""The studio: its server, its simulator, and the answers that it records."""

from __future__ import annotations

import http.client
import json
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest

from protocol.errors import VantageError
from protocol.tasks.scene import SceneSpec
from protocol.tasks.task import QuestionSpec, TaskSpec
from sim_server.questions.language.evaluator import compiled
from sim_server.settings import SimSettings
from vantage.studio.server import StudioServer
from vantage.studio.session import Studio
from vantage.studio.study import Study, scores


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    made = Studio(SimSettings(), 96)
    made.open({"seed": 3})
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(studio: Studio) -> Iterator[StudioServer]:
    """A server with the studio; the test's thread and the server's never use it at once."""
    made = StudioServer(0, lambda: studio)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.socket.close()


def post(server: StudioServer, name: str, body: Any, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(*server.server_address, timeout=60)
    sent = {"Content-Type": "application/json", **headers}
    connection.request("POST", f"/api/{name}", json.dumps(body), sent)
    reply = connection.getresponse()
    content = reply.read()
    return reply.status, json.loads(content) if content.startswith(b"{") else content


def test_a_person_walks_asks_and_answers(server: StudioServer) -> None:
    status, moved = post(server, "move", {"action": "turn_left"})
    assert status == 200 and moved["image"].startswith("data:image/png;base64,") and not moved["blocked"]
    asked = {"skill": "object_category", "level": 0, "seed": 1, "degradations": ["fog:1"]}
    status, question = post(server, "ask", asked)
    assert status == 200 and question["images"] and "answer" not in question and "program" not in question
    status, result = post(server, "answer", {"id": question["id"], "reply": "no idea at all"})
    assert status == 200 and result["accuracy"] == 0.0 and result["degradation"] == "fog:1"
    assert compiled(result["program"]) and result["views"][0]["seen"]
    assert post(server, "answer", {"id": question["id"], "reply": result["answer"]})[0] == 400  # once


def test_the_right_answer_scores(studio: Studio) -> None:
    question = studio.ask("object_color", 0, 5)
    _, realised = studio._asked[question["id"]]
    assert studio.answer(question["id"], realised.question.answer)["accuracy"] == 1.0


def test_a_program_has_a_type_a_value_or_a_fault_with_its_place(studio: Studio) -> None:
    found = studio.run("count(objects())")
    assert found == {"type": "number", "value": str(len(studio.open({"seed": 3})["objects"]))}
    assert studio.run("1 + true") == {"fault": "type", "at": 4, "why": studio.run("1 + true")["why"]}
    assert studio.run("count(")["fault"] == "syntax"
    assert studio.run("name(object(9999))")["fault"] == "run"


def test_a_random_question_is_about_a_held_out_home(studio: Studio) -> None:
    question = studio.draw(["object_color"])
    assert question["skill"] == "object_color"
    assert studio._asked[question["id"]][0].scene.split == "val"


@pytest.mark.parametrize(
    "name, body, sentence",
    [
        ("ask", {"skill": "nothing", "level": 0, "seed": 0, "degradations": []}, "no 'nothing' at level 0"),
        ("ask", {"skill": "object_color", "level": "0", "seed": 0, "degradations": []}, "needs level, of the type int"),
        ("ask", {"skill": "object_color", "level": 0, "seed": 0, "degradations": ["rain:1"]}, "rain"),
        ("open", {"scene": {"seed": -1}}, "seed"),
        ("open", {"scene": {"seed": 1, "rooms": "many"}}, "rooms"),
        ("move", {"action": "jump"}, "unknown action"),
        ("fly", {}, "there is no request 'fly'"),
        ("move", [], "not a JSON object"),
    ],
)
def test_wrong_requests_are_one_sentence(server: StudioServer, name: str, body: Any, sentence: str) -> None:
    status, reply = post(server, name, body)
    assert status == 400 and sentence in reply["error"]


def test_other_sites_get_nothing(server: StudioServer) -> None:
    assert post(server, "skills", {}, Host="evil.example")[0] == 404
    assert post(server, "skills", {}, **{"Content-Type": "text/plain"})[0] == 404


def test_a_port_in_use_is_one_sentence(server: StudioServer) -> None:
    with pytest.raises(VantageError, match="choose another --port") as refused:
        StudioServer(server.server_address[1], lambda: pytest.fail("not reached"))
    assert refused.value.code == "conflict"


def line(number: int, accuracy: float, skill: str = "object_color", **fields: Any) -> dict[str, Any]:
    import msgspec

    spec = TaskSpec(f"{number}", number, 0, SceneSpec(seed=number), QuestionSpec(skill))
    shown = {"skill": skill, "level": 0, "accuracy": accuracy, "readable": True, "answer": "red", "degradation": ""}
    return {**shown, "spec": msgspec.to_builtins(spec), **fields}


def test_a_study_counts_first_answers_per_skill(tmp_path: Path) -> None:
    path = tmp_path / "study" / "answers.jsonl"
    study = Study(path, "Ada")
    for number, accuracy in enumerate((1.0, 1.0, 0.0, 0.5)):
        study.add(line(number, accuracy), "red")
    study.add(line(2, 1.0), "red")  # a second answer to the same question
    study.add(line(0, 1.0, "depth_order"), "left")
    study.close()
    depth, color, every = scores(path)
    assert (color.skill, color.answers, color.accuracy) == ("object_color", 4, 0.625)
    assert 0 < color.low < 0.625 < color.high < 1 and 0 < color.chance < 1
    assert (depth.skill, depth.answers) == ("depth_order", 1)
    assert (every.skill, every.answers, every.accuracy) == ("all", 5, 0.7)


def test_a_study_without_answers_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(VantageError, match="has no answers"):
        list(scores(tmp_path / "none.jsonl"))
