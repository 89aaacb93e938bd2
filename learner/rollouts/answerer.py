"""Puts questions to the policy; where a question has a budget of moves, the policy may look around before it answers.

    first turn     the question and its views                        -> n completions
    a move         Observe, degraded as the episode's own views are  -> one more view
    a further turn the question, all views so far, the moves so far  -> one completion per answer under way
    … until a completion is no move, or no moves are left

Each turn is a prompt of its own, so that every engine can be asked without knowing about moves, and a training step
can compute each turn's log-probabilities given what the policy read in it: only what the policy wrote is learned
from. Answers of one group that made the same moves share their views and their prompt.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Iterable, NamedTuple, Sequence, Union

import numpy as np

from learner.rollouts.base import Completion, Prompt, RgbImage, Rollout, RolloutEngine, Sampling
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.group import Group, Turn
from learner.settings import StreamSettings
from learner.stream.episodes import FATAL, Task
from learner.stream.reports import Channel
from protocol.answers.prompt import Look, Moved, Style, read_answer, read_move, write_answer, write_prompt
from protocol.answers.scoring import Reward, score
from protocol.errors import VantageError
from protocol.seeds import rng_for
from protocol.tasks.scene import Pose
from protocol.wire.messages import Observation, Observe


@dataclass
class _Place:
    """Where some moves led: what was seen on the way, and the places one move further."""

    pose: Pose
    images: tuple[RgbImage, ...]
    moves: tuple[Moved, ...] = ()
    further: dict[str, _Place] = field(default_factory=dict)


class _Walk(NamedTuple):
    """An answer under way: sample `sample` of task number `task` stands at `place` and wants to do `action`."""

    task: int
    sample: int
    place: _Place
    action: str


class Answerer:
    def __init__(
        self, engine: RolloutEngine, encoder: PromptEncoder, style: Style, simulator: Channel, stream: StreamSettings
    ) -> None:
        """`simulator` renders what the policy looks at; `stream` says how long that may take."""
        self._engine = engine
        self._encoder = encoder
        self._style: Style = style
        self._simulator = simulator
        self._stream = stream

    def answer(
        self, tasks: Sequence[Task], n: int, sampling: Sampling, blind: Sequence[bool] = (), truth: bool = True
    ) -> list[Union[Group, VantageError]]:
        """Sample and score `n` answers to each task; tasks marked `blind` are asked without images and moves.

        A task has an error instead of a group if a view that the policy asked for could not be rendered. With `truth`,
        the engine also scores the true answer if it can. Raises VantageError if the simulator cannot answer at all.
        """
        hidden = blind or [False] * len(tasks)
        places: dict[int, _Place] = {}
        for index, task in enumerate(tasks):
            if task.spec.look_around and not hidden[index]:
                assert task.pose is not None
                places[index] = _Place(task.pose, task.images)
        prompts = [
            self._prompt(task, truth, places[index])
            if index in places
            else self._plain_prompt(task, truth, hidden[index])
            for index, task in enumerate(tasks)
        ]
        rollouts = self._engine.generate(prompts, n, sampling)
        later: dict[int, list[tuple[Turn, ...]]] = {index: [()] * n for index in places}
        failures: dict[int, VantageError] = {}
        walks = [
            walk
            for index, place in places.items()
            for sample, completion in enumerate(rollouts[index].completions)
            for walk in _walk(index, sample, place, completion)
        ]
        while walks:
            self._observe(tasks, walks, failures)
            walks = [walk for walk in walks if walk.task not in failures]
            turns = self._next_turns(tasks, walks, sampling, truth)
            further: list[_Walk] = []
            for walk, turn in zip(walks, turns):
                later[walk.task][walk.sample] += (turn,)
                place = walk.place.further[walk.action]
                if len(place.moves) < tasks[walk.task].spec.look_around:
                    further += _walk(walk.task, walk.sample, place, turn.completion)
            walks = further
        return [
            failures.get(index) or self._group(tasks[index], rollout, later.get(index, ()))
            for index, rollout in enumerate(rollouts)
        ]

    def _group(self, task: Task, rollout: Rollout, later: Sequence[tuple[Turn, ...]]) -> Group:
        group = Group(rollout, (), tuple(later) if any(later) else ())
        return replace(group, rewards=tuple(self._reward(task, turn.completion) for turn in group.last))

    def _reward(self, task: Task, completion: Completion) -> Reward:
        return score(task.question, read_answer(task.question, completion.text, self._style), completion.finished)

    def _plain_prompt(self, task: Task, truth: bool, blind: bool) -> Prompt:
        text = write_prompt(task.question, self._style)
        return Prompt(text, () if blind else task.images, self._truth(task) if truth else ())

    def _prompt(self, task: Task, truth: bool, place: _Place) -> Prompt:
        look = Look(task.spec.look_around - len(place.moves), place.moves)
        text = write_prompt(task.question, self._style, look)
        return Prompt(text, place.images, self._truth(task) if truth else ())

    def _truth(self, task: Task) -> tuple[int, ...]:
        return self._encoder.answer(write_answer(task.question, self._style))

    def _observe(self, tasks: Sequence[Task], walks: Sequence[_Walk], failures: dict[int, VantageError]) -> None:
        """Render what is not known yet of where these walks lead; a task whose view fails goes to `failures`."""
        asked: dict[tuple[int, str], tuple[_Walk, Future[Any]]] = {}
        for walk in walks:
            key = (id(walk.place), walk.action)
            if walk.action not in walk.place.further and key not in asked:
                message = self._message(tasks[walk.task], walk)
                asked[key] = (walk, self._simulator.submit(message, deadline_s=self._stream.render_deadline_s))
        for walk, future in asked.values():
            try:
                packet = future.result()
            except VantageError as error:
                if error.code in FATAL:
                    raise
                failures[walk.task] = error
                continue
            seen = packet.message
            assert isinstance(seen, Observation), seen
            walk.place.further[walk.action] = _Place(
                seen.view.pose,
                (*walk.place.images, np.array(packet.array(seen.view.rgb))),
                (*walk.place.moves, Moved(walk.action, seen.collided)),
            )

    def _message(self, task: Task, walk: _Walk) -> Observe:
        spec = task.spec
        return Observe(
            spec.scene,
            spec.camera,
            walk.place.pose,
            walk.action,
            image_codec=self._stream.image_codec,
            degradations=spec.degradations,
            run_seed=spec.run_seed,
            seq=spec.seq,
            index=len(walk.place.images),
        )

    def _next_turns(self, tasks: Sequence[Task], walks: Sequence[_Walk], sampling: Sampling, truth: bool) -> list[Turn]:
        """The next turn of each walk, in their order. Walks that stand at the same place are asked together."""
        standing: dict[tuple[int, bool], list[int]] = defaultdict(list)
        for number, walk in enumerate(walks):
            greedy = sampling.temperature == 0 or (sampling.greedy_first and walk.sample == 0)
            standing[id(walk.place.further[walk.action]), greedy].append(number)
        calls: dict[tuple[bool, int], list[list[int]]] = defaultdict(list)  # by sampling and number of answers
        for (_, greedy), members in standing.items():
            calls[greedy, len(members)].append(members)
        turns: dict[int, Turn] = {}
        for (greedy, count), places in calls.items():
            heads = [walks[members[0]] for members in places]
            prompts = [self._prompt(tasks[walk.task], truth, walk.place.further[walk.action]) for walk in heads]
            depth = len(heads[0].place.moves)
            seed = int(rng_for(sampling.seed, "turn", depth, count).integers(2**31))
            how = replace(sampling, greedy_first=False, seed=seed, temperature=0.0 if greedy else sampling.temperature)
            for members, rollout in zip(places, self._engine.generate(prompts, count, how)):
                turns.update((number, Turn(rollout, index)) for index, number in enumerate(members))
        return [turns[number] for number in range(len(walks))]


def _walk(task: int, sample: int, place: _Place, completion: Completion) -> Iterable[_Walk]:
    """The walk that goes on with this completion; none where it is an answer, or was cut off."""
    action = read_move(completion.text) if completion.finished else ""
    return [_Walk(task, sample, place, action)] if action else []
