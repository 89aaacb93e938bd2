"""An infinite taskset for verifiers (v1) and prime-rl, with images, looking around, and reports to the curriculum.

    vf-eval vantage-verifiers -n 32 -r 8 --env.taskset.config demo --env.taskset.samples 8

The process that loads the taskset leases questions; rewards are computed in any process of the environment server.
"""

# No postponed annotations: verifiers reads the types of its hooks and configurations.

# pyright: reportMissingImports=false

import asyncio
import itertools
from collections.abc import Iterator
from typing import Literal

from protocol.answers.prompt import read_move
from vantage.envs.pool import Pool, open_pool
from vantage.envs.questions import OpenQuestion, RgbImage, Ticket, Walk, data_url
from vantage.envs.versions import need

need("verifiers", (0, 4), "verifiers")

import verifiers.v1 as vf  # noqa: E402 - after the check of the version

__all__ = ["SpatialEnv", "SpatialTaskset"]


class SpatialConfig(vf.TasksetConfig):
    config: str = "demo"
    """Names of shipped configurations, or TOML files, separated by commas."""
    run: str = ""
    """Run directory; empty: a temporary one."""
    sets: list[str] = []  # noqa: RUF012 - a pydantic model copies it
    """Settings such as curriculum.world.width_px=256."""
    questions: Literal["curriculum", "train", "held-out"] = "curriculum"
    """Where questions come from: a live curriculum, or a split of the configuration."""
    seed: int = 0
    """Seed of a split."""
    samples: int = 8
    """Answers to each question that make one report: the trainer's group size."""


class SpatialData(vf.TaskData):
    ticket: str


class SpatialTask(vf.Task[SpatialData]):
    @property
    def key(self) -> str:
        return Ticket.parse(self.data.ticket).number

    @vf.reward
    async def accuracy(self, trace: vf.Trace) -> float:
        """By rule, 0 to 1; always 0 for a blind question, so that it is not trained on."""
        ticket = Ticket.parse(self.data.ticket)
        reward = await asyncio.to_thread(ticket.answer, trace.last_reply, key=trace.id)
        return 0.0 if ticket.blind else reward.accuracy


class SpatialEnv(vf.SingleAgentEnv):
    """Shows the view after each move that the model writes, until it answers or no moves are left."""

    async def run(self, task: vf.Task, agents: vf.Agents) -> None:
        walk = Ticket.parse(task.data.ticket).walk()
        async with agents.agent.interaction(task) as interaction:
            segment = await interaction.turn()
            while not segment.terminated and walk.left and (action := read_move(segment.last_reply)):
                seen = await asyncio.to_thread(walk.move, action)
                segment = await interaction.turn(
                    [vf.UserMessage(content=[_image(seen.image), _said(walk, seen.blocked)])]
                )


class SpatialTaskset(vf.Taskset[SpatialTask, SpatialConfig]):
    INFINITE = True

    def load(self) -> Iterator[SpatialTask]:
        settings = self.config
        pool = open_pool(
            settings.config.split(","), settings.run or None, sets=settings.sets, samples=settings.samples
        )  # closed at the end of the process, when the last answers are in
        for number, question in zip(itertools.count(), _questions(pool, settings)):
            text = question.prompt("letters", question.walk().look if question.moves else None)
            parts = [_text(part) if isinstance(part, str) else _image(part) for part in question.parts("letters", text)]
            data = SpatialData(idx=number, prompt=[vf.UserMessage(content=parts)], ticket=str(question.ticket))
            yield SpatialTask(data, settings.task)


def _questions(pool: Pool, settings: SpatialConfig) -> Iterator[OpenQuestion]:
    if settings.questions == "curriculum":
        return pool.questions()
    return pool.split(settings.questions, seed=settings.seed)


def _image(image: RgbImage) -> vf.ImageUrlContentPart:
    return vf.ImageUrlContentPart(image_url=vf.ImageUrlSource(url=data_url(image)))


def _text(text: str) -> vf.TextContentPart:
    return vf.TextContentPart(text=text)


def _said(walk: Walk, blocked: bool) -> vf.TextContentPart:
    done = "The way is blocked; the view is the same." if blocked else "This is the view now."
    left = f"{walk.left} more moves, or answer." if walk.left else "No moves are left: answer the question."
    return _text(f"{done} {left}")
