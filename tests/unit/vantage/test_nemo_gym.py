"""Rows for NeMo Gym, and the reward of its resources server."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from protocol.errors import VantageError
from protocol.tasks.scene import Pose, SceneSpec
from protocol.tasks.task import Question, QuestionSpec, TaskSpec
from vantage.envs.for_nemo_gym import row, write_rows
from vantage.envs.questions import OpenQuestion, Ticket


def question(look_around: int = 0) -> OpenQuestion:
    spec = TaskSpec("s1", 0, 1, SceneSpec(seed=1), QuestionSpec("view_direction"), look_around=look_around)
    asked = Question("view_direction", 0, "Is the chair left or right?", "left", "choice", "p", ("left", "right"))
    images = tuple(np.full((4, 6, 3), level, np.uint8) for level in (10, 20))
    return OpenQuestion(Ticket("run", spec, asked, Pose((0.0, 1.5, 0.0), (1.0, 0.0, 0.0, 0.0)), 2), images)


def test_a_row_has_its_images_as_data_urls_and_no_answer_in_the_prompt(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    assert write_rows(path, [question(), question()]) == 2
    made = json.loads(path.read_text().splitlines()[0])
    (message,) = made["responses_create_params"]["input"]
    urls = [part["image_url"] for part in message["content"] if part["type"] == "input_image"]
    opened = [Image.open(BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]
    assert [(image.size, image.getpixel((0, 0))) for image in opened] == [((6, 4), (10,) * 3), ((6, 4), (20,) * 3)]
    text = "".join(part["text"] for part in message["content"] if part["type"] == "input_text")
    assert text.startswith("Image 1: ") and "A. left" in text
    assert Ticket.parse(made["ticket"]).score("A", made["style"]).accuracy == 1.0


def test_a_question_that_looks_around_is_refused() -> None:
    with pytest.raises(VantageError, match="set curriculum.world.look_around = 0"):
        row(question(look_around=2))


def test_the_server_of_nemo_gym_scores_a_row() -> None:
    pytest.importorskip("nemo_gym")
    import asyncio

    from vantage.envs.nemo_gym_server import QuestionRequest, QuestionServer

    for reply, reward in (("The answer is A.", 1.0), ("B", 0.0)):
        part = {"type": "output_text", "text": reply, "annotations": []}
        message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        response = {
            "id": "r",
            "object": "response",
            "created_at": 0.0,
            "model": "m",
            "output": [message],
            "parallel_tool_calls": False,
            "tool_choice": "auto",
            "tools": [],
        }
        body = QuestionRequest.model_validate(msgspec.to_builtins({**row(question()), "response": response}))
        scored = asyncio.run(QuestionServer.verify(QuestionServer.model_construct(), body))
        assert (scored.reward, scored.skill, scored.readable) == (reward, "view_direction", True)
