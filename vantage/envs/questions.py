"""A question that a trainer asks its policy, and the ticket with which any process of the trainer scores it."""

from __future__ import annotations

import base64
import io
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, Optional, Union

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from learner.stream.episodes import Task, observed_from
from protocol.answers.letters import message_parts
from protocol.answers.prompt import Look, Moved, Reading, Style, read_answer, write_prompt
from protocol.answers.scoring import Reward, score
from protocol.errors import VantageError
from protocol.tasks.scene import Pose
from protocol.tasks.task import ACTIONS, Question, TaskSpec
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup
from protocol.wire.messages import Observe
from vantage.envs.answers import Answer, AnswerFile

RgbImage = NDArray[np.uint8]  # [H, W, 3] sRGB
_OBSERVE_S = 120.0  # for the simulator to render the view of a move
_clients: dict[str, Client] = {}
_guard = threading.Lock()


class Ticket(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question without its images, as JSON: what a process needs to score answers and to look around.

    It contains the true answer: keep it out of the prompt. `run` is the run directory. `pool` names the folder that
    collects the answers; it is "" if answers are not reported.
    """

    run: str
    spec: TaskSpec
    question: Question
    pose: Pose  # of the last view
    views: int
    pool: str = ""
    lease_id: str = ""
    blind: bool = False
    renderer_digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Ticket:
        """Raises VantageError("bad_request") for any other text."""
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, ValueError) as error:
            raise VantageError("bad_request", f"this is not the ticket of a question: {error}.") from None

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()

    @property
    def number(self) -> str:
        """The id of the question."""
        return self.spec.spec_id

    def prompt(self, style: Style = "letters", look: Optional[Look] = None) -> str:
        """The text for the policy; `look` states the moves taken and left, for a policy that writes its moves."""
        return write_prompt(self.question, style, look)

    def score(self, reply: str, style: Style = "letters", reading: Reading = "lenient") -> Reward:
        return score(self.question, read_answer(self.question, reply, style, reading))

    def answer(
        self, reply: str, style: Style = "letters", *, key: str = "", step: int = 0, reading: Reading = "lenient"
    ) -> Reward:
        """Score a reply and record it for the report to the curriculum.

        `key` identifies this answer: an answer with a key that was recorded before is not counted again. Without a key,
        every call counts. `step` is the training step.
        """
        reward = self.score(reply, style, reading)
        if self.pool:
            AnswerFile.of(Path(self.run), self.pool).add(Answer.to(self, reply, reward, key, step))
        return reward

    def walk(self) -> Walk:
        """Look around from the last view of the question."""
        return Walk(self)


@dataclass(frozen=True, eq=False)
class OpenQuestion:
    """A question with its images; it stays open until its answers are reported. A blind question has no images."""

    ticket: Ticket
    images: tuple[RgbImage, ...] = field(repr=False)

    @property
    def question(self) -> Question:
        """The question as services exchange it, with the true answer and its program."""
        return self.ticket.question

    @property
    def moves(self) -> int:
        """The number of moves that the policy may make before it answers."""
        return self.ticket.spec.look_around

    def prompt(self, style: Style = "letters", look: Optional[Look] = None) -> str:
        return self.ticket.prompt(style, look)

    def parts(self, style: Style = "letters", text: Optional[str] = None) -> list[Union[str, RgbImage]]:
        """The user's message in order: texts and images. `text` replaces the prompt.

        Several images are tagged "Image 1:" …, as texts of questions name them, except in the style "words".
        """
        text = self.prompt(style) if text is None else text
        if style == "words":
            return [*self.images, text]
        images = iter(self.images)
        parts = message_parts(text, len(self.images))
        return [next(images) if part["type"] == "image" else part["text"] for part in parts]

    def answer(
        self, reply: str, style: Style = "letters", *, key: str = "", step: int = 0, reading: Reading = "lenient"
    ) -> Reward:
        """See `Ticket.answer`."""
        return self.ticket.answer(reply, style, key=key, step=step, reading=reading)

    def walk(self) -> Walk:
        """See `Ticket.walk`."""
        return self.ticket.walk()


class Seen(NamedTuple):
    """The view after a move; a blocked move does not move the camera."""

    image: RgbImage
    blocked: bool


class Walk:
    """The way of one answer through the scene. Another answer to the same question has a walk of its own."""

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self._pose = ticket.pose
        self.moves: tuple[Moved, ...] = ()

    @property
    def left(self) -> int:
        return self._ticket.spec.look_around - len(self.moves)

    @property
    def look(self) -> Look:
        return Look(self.left, self.moves)

    def move(self, action: str) -> Seen:
        """Make a move, one of protocol.tasks.task.ACTIONS, and return the view after it.

        Raises VantageError: "bad_request" for another action, or if no moves are left; errors of the simulator.
        """
        if action not in ACTIONS:
            raise VantageError("bad_request", f"there is no move {action[:32]!r}; choose one of {', '.join(ACTIONS)}.")
        if self.left <= 0:
            raise VantageError("bad_request", "no moves are left: answer the question.")
        spec = self._ticket.spec
        message = Observe(
            spec.scene,
            spec.camera,
            self._pose,
            action,
            degradations=spec.degradations,
            run_seed=spec.run_seed,
            seq=spec.seq,
            index=self._ticket.views + len(self.moves),
        )
        packet = simulator_of(self._ticket.run).request(message, deadline_s=_OBSERVE_S)
        observation, image = observed_from(packet, spec, "raw")
        self._pose = observation.view.pose
        self.moves = (*self.moves, Moved(action, observation.collided))
        return Seen(image, observation.collided)


def open_question(run: Path, task: Task, pool: str = "") -> OpenQuestion:
    """The question of a rendered task; `pool` as in Ticket."""
    assert task.pose is not None
    leased = task.leased
    blind = leased is not None and leased.blind
    ticket = Ticket(
        str(run),
        task.spec if not blind else msgspec.structs.replace(task.spec, look_around=0),
        task.question,
        task.pose,
        len(task.images),
        pool if leased is not None else "",
        leased.lease_id if leased is not None else "",
        blind,
        task.renderer_digest,
    )
    return OpenQuestion(ticket, () if blind else task.images)


def simulator_of(run: str) -> Client:
    """This process's client of the simulator of a run."""
    with _guard:
        if run not in _clients:
            _clients[run] = Client(partial(lookup, Path(run), "sim"), "trainer")
        return _clients[run]


def pil(image: RgbImage) -> Image.Image:
    return Image.fromarray(image)


def data_url(image: RgbImage) -> str:
    """The image as a PNG in a data URL."""
    buffer = io.BytesIO()
    pil(image).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
