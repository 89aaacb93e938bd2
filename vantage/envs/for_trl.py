"""Questions for TRL's GRPOTrainer: a stream of prompts with images, a reward function, and moves as tools.

    pool = open_pool("demo", run="runs/trl", samples=8)
    config = GRPOConfig(num_generations=8, max_steps=500, **SETTINGS)
    trainer = GRPOTrainer(model, accuracy, config, stream(pool.questions()))

For questions that may look around, add `environment_factory=LookAround`; the chat template must support tools.
"""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Optional, Sequence

from protocol.answers.prompt import Style
from protocol.errors import VantageError
from vantage.envs.questions import OpenQuestion, RgbImage, Ticket, Walk, pil
from vantage.envs.versions import need

need("trl", (1, 16), "learner")

from datasets import IterableDataset  # noqa: E402 - after the check of the versions
from datasets.iterable_dataset import ExamplesIterable  # noqa: E402

# Of GRPOConfig: the curriculum orders the questions, and each is leased when it is read.
SETTINGS: dict[str, Any] = {"shuffle_dataset": False, "dataloader_num_workers": 0, "ignore_data_skip": True}
_TOOLS = ("move_forward", "turn_left", "turn_right", "look_up", "look_down")  # methods of LookAround
_LOOK = "\nYou may look around with the tools before you answer: at most {} moves."


def stream(questions: Iterable[OpenQuestion], style: Style = "letters") -> IterableDataset:
    """The questions as an IterableDataset with the columns prompt (a user message with its images), ticket and style.

    Every iteration takes further questions from `questions`.
    """

    def rows() -> Iterator[tuple[str, dict[str, Any]]]:
        for question in questions:
            yield question.ticket.number, row(question, style)

    return IterableDataset(ExamplesIterable(rows, {}))


def row(question: OpenQuestion, style: Style = "letters") -> dict[str, Any]:
    text = question.prompt(style) + (_LOOK.format(question.moves) if question.moves else "")
    parts = question.parts(style, text)
    content = [_text(part) if isinstance(part, str) else _image(part) for part in parts]
    message = {"role": "user", "content": content}
    return {"prompt": [message], "ticket": str(question.ticket), "style": style}


def accuracy(
    completions: Sequence[Any], ticket: Sequence[str], style: Sequence[Style], trainer_state: Any = None, **_: Any
) -> list[Optional[float]]:
    """The reward: 0 to 1 by rule. Records every answer for the curriculum.

    A blind question, asked without images, has no reward: GRPOTrainer does not train on it.
    """
    step = int(getattr(trainer_state, "global_step", 0))
    rewards: list[Optional[float]] = []
    for completion, text, form in zip(completions, ticket, style):
        asked = Ticket.parse(text)
        reply = _reply(completion)
        if any(tool in reply for tool in _TOOLS):  # a call that could not be parsed is not the answer "left"
            reply = ""
        reward = asked.answer(reply, form, step=step)
        rewards.append(None if asked.blind else reward.accuracy)
    return rewards


class LookAround:
    """An environment of GRPOTrainer whose tools move the camera; the answer is the policy's last message."""

    def __init__(self) -> None:
        self._walk: Optional[Walk] = None

    def reset(self, ticket: str, **_: Any) -> None:
        self._walk = Ticket.parse(ticket).walk()

    def move_forward(self) -> list:
        """Move 0.25 m forward.

        Returns:
            The view after the move.
        """
        return self._move("forward")

    def turn_left(self) -> list:
        """Turn 30 degrees to the left.

        Returns:
            The view after the move.
        """
        return self._move("turn_left")

    def turn_right(self) -> list:
        """Turn 30 degrees to the right.

        Returns:
            The view after the move.
        """
        return self._move("turn_right")

    def look_up(self) -> list:
        """Tilt the camera 15 degrees up.

        Returns:
            The view after the move.
        """
        return self._move("look_up")

    def look_down(self) -> list:
        """Tilt the camera 15 degrees down.

        Returns:
            The view after the move.
        """
        return self._move("look_down")

    def _move(self, action: str) -> list[dict[str, Any]]:
        if self._walk is None:
            raise VantageError("bad_request", "reset the environment with a row of the stream before moving.")
        seen = self._walk.move(action)
        left = f"{self._walk.left} moves left." if self._walk.left else "No moves are left: answer now."
        text = f"The way is blocked. {left}" if seen.blocked else left
        return [_image(seen.image), _text(text)]


def _image(image: RgbImage) -> dict[str, Any]:
    return {"type": "image", "image": pil(image)}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _reply(completion: Any) -> str:
    """The text of the last message, if it is the policy's."""
    if isinstance(completion, str):
        return completion
    last = completion[-1] if completion else {}
    if last.get("role") != "assistant" or last.get("tool_calls"):
        return ""
    content = last.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if part.get("type") == "text")
