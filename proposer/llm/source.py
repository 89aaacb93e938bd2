"""The source `llm`: answers of a language model become drafts."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Callable, Optional, Sequence

import msgspec
import numpy as np

from proposer.composer.looks import Look
from proposer.llm.endpoint import Chat
from proposer.llm.prompt import constraint, messages
from proposer.settings import Endpoint
from proposer.source import Draft
from protocol.errors import VantageError
from protocol.seeds import pick
from protocol.tasks.check import check_proposal
from protocol.tasks.kinds import Kind, kind_name
from protocol.tasks.task import Proposal, TaskSpec
from protocol.wire.proposals import ProposalRequest

SOURCE = "llm"
_OBJECT = re.compile(r"\bobject\(\s*(\d+)\s*\)")
_CALL = re.compile(r"[a-z_]+\s*\(")
_FENCE = re.compile(r"^\s*```(?:json)?\s*|\s*```\s*$")


class _Question(msgspec.Struct):
    text: str
    program: str
    answer_type: str
    options: tuple[str, ...] = ()


class _Answer(msgspec.Struct):
    questions: list[_Question]


class LanguageModel:
    """Asks for questions about one look at a time."""

    def __init__(self, settings: Endpoint, wait: Callable[[float], bool]) -> None:
        self._settings = settings
        self._chat = Chat(settings, wait)

    @property
    def figures(self) -> dict[str, float]:
        return self._chat.figures

    def write(self, request: ProposalRequest, looks: Sequence[Look], rng: np.random.Generator) -> list[Draft]:
        """Raises VantageError: "unavailable" as Chat does, "bad_reply" for an answer of another form."""
        shown = [look for look in looks if len(look.poses) == 1 and len(look.named_once()) > 1]
        if not shown:
            return []
        look = pick(shown, rng)
        count = self._settings.questions
        form = constraint(self._settings.constraint, count)
        questions = _parsed(self._chat.ask(messages(request, look, count), form))[:count]
        drafts = [draft for one in questions if (draft := _draft(one, look)) is not None]
        known = {status.kind.name for status in request.kinds}
        new = list(dict.fromkeys(one.kind.name for one in drafts if one.kind.name not in known))[: request.new_kinds]
        allowed = (known | set(new)) - set(request.known)
        return [one for one in drafts if one.kind.name in allowed]


def _parsed(text: str) -> list[_Question]:
    """The questions in an answer. Raises VantageError("bad_reply")."""
    try:
        return msgspec.json.decode(_FENCE.sub("", text), type=_Answer).questions
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        why = " ".join(str(error).split())[:120]
        raise VantageError("bad_reply", f"the model's answer is not in the requested form ({why}).") from None


def _draft(question: _Question, look: Look) -> Optional[Draft]:
    """The draft of a question; None if it is not fit to be sent to a simulator."""
    program = " ".join(question.program.split())
    numbers: dict[str, int] = {}
    template = _OBJECT.sub(lambda match: f"object({numbers.setdefault(match[1], len(numbers))})", program)
    digest = hashlib.blake2b(json.dumps([template, question.answer_type]).encode(), digest_size=4).hexdigest()
    options = question.options if question.answer_type == "choice" else ()
    chance = 1 / len(options) if options else 0.5 if question.answer_type == "choice" else 0.2
    kind = Kind(kind_name(SOURCE, template, chance, digest), template, max(1, len(_CALL.findall(template)) // 3))
    proposal = Proposal(question.text, program, question.answer_type, options, poses=look.poses, kind=kind.name)
    try:
        check_proposal(TaskSpec("draft", scene=look.spec, camera=look.camera, proposal=proposal))
    except VantageError:
        return None
    return Draft(kind, proposal, look)
