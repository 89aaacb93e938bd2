"""Questions for NeMo Gym: rows of a data set with images, and the resources server that scores them.

    with open_pool("demo") as pool:
        write_rows("train.jsonl", pool.split("train", 10_000))

The server is in vantage.envs.nemo_gym_server, since this module needs no NeMo Gym.
"""

from __future__ import annotations

import os
from typing import Any, Iterable, Union

import msgspec

from protocol.answers.prompt import Style
from protocol.errors import VantageError
from protocol.run.directory import disk_guard
from vantage.envs.questions import OpenQuestion, data_url


def row(question: OpenQuestion, style: Style = "letters") -> dict[str, Any]:
    """The parameters of a response, with PNG data URLs, and the ticket for the server.

    Raises VantageError("bad_request") for a question that may look around: a row has no further turns.
    """
    if question.moves:
        raise VantageError("bad_request", "rows cannot look around: set curriculum.world.look_around = 0.")
    parts = [
        {"type": "input_text", "text": part}
        if isinstance(part, str)
        else {"type": "input_image", "image_url": data_url(part), "detail": "auto"}
        for part in question.parts(style)
    ]
    message = {"role": "user", "content": parts}
    return {"responses_create_params": {"input": [message]}, "ticket": str(question.ticket), "style": style}


def write_rows(path: Union[str, os.PathLike[str]], questions: Iterable[OpenQuestion], style: Style = "letters") -> int:
    """Write a row per question as JSON lines; return their number. Raises VantageError as `row`, and "disk_full"."""
    count = 0
    with disk_guard(path), open(path, "wb") as file:
        for question in questions:
            file.write(msgspec.json.encode(row(question, style)) + b"\n")
            count += 1
    return count
