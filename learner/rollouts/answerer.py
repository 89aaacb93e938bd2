"""Asks the policy questions. If a question has a budget of moves, the policy may look around before it answers.

    first turn     the question and its views                        -> n completions
    a move         Observe, degraded like the views of the episode   -> one more view
    a further turn the question, all views so far, the moves so far  -> one completion per unfinished answer
    … until a completion is not a move, or no moves are left

Each turn is a separate prompt, so engines need not know about moves, and a training step computes the log-probabilities
of each turn given its prompt; only tokens written by the policy are trained on. Answers of one group that made the same
moves share their views and prompts.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Iterable, NamedTuple, Optional, Sequence, Union

from learner.rollouts.base import Completion, Prompt, RgbImage, Rollout, RolloutEngine, Sampling
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.group import Group
from learner.rollouts.reasoning import NO_PENALTY, Overlong, probe
from learner.settings import LearnerSettings, StreamSettings
from learner.stream.episodes import Task, observed_from
from learner.stream.reports import Channel
from protocol.answers.prompt import (
    TAGS,
    Look,
    Moved,
    Reading,
    Style,
    read_answer,
    read_move,
    write_answer,
    write_prompt,
)
from protocol.answers.reasoning import parse
from protocol.answers.scoring import Reward, score
from protocol.errors import VantageError
from protocol.seeds import rng_for
from protocol.tasks.scene import Pose
from protocol.wire.messages import Observe


@dataclass
class _Place:
    """The place reached by a sequence of moves, the views seen on the way, and the places one move further."""

    pose: Pose
    images: tuple[RgbImage, ...]
    moves: tuple[Moved, ...] = ()
    further: dict[str, _Place] = field(default_factory=dict)


class _Walk(NamedTuple):
    """An unfinished answer: sample `sample` of task `task`, at `place`, is about to make the move `action`."""

    task: int
    sample: int
    place: _Place
    action: str


class Answerer:
    def __init__(
        self,
        engine: RolloutEngine,
        encoder: PromptEncoder,
        style: Style,
        simulator: Channel,
        stream: StreamSettings,
        reading: Reading = "lenient",
        overlong: Overlong = NO_PENALTY,
    ) -> None:
        """`simulator` renders the views of moves; `stream` holds their deadline."""
        self._engine = engine
        self._encoder = encoder
        self._style: Style = style
        self._reading: Reading = reading
        self._simulator = simulator
        self._stream = stream
        self._overlong = overlong
        self.reasons = style == "reason"

    def answer(
        self, tasks: Sequence[Task], n: int, sampling: Sampling, blind: Sequence[bool] = (), truth: bool = True
    ) -> list[Union[Group, VantageError]]:
        """Sample and score `n` answers to each task; tasks marked `blind` are asked without images and moves.

        The result of a task is an error if a view requested by the policy could not be rendered. With `truth`, the
        engine also scores the true answer if it can; after reasoning, the group tells where to score it.
        """
        if not tasks:
            return []
        hidden = blind or [False] * len(tasks)
        places = {index: place for index, task in enumerate(tasks) if (place := _start(task)) and not hidden[index]}
        prompts = [
            self._prompt(task, truth, places[index])
            if index in places
            else self._plain_prompt(task, truth, hidden[index])
            for index, task in enumerate(tasks)
        ]
        rollouts = self._engine.generate(prompts, n, sampling)
        later: dict[int, list[tuple[Rollout, ...]]] = {index: [()] * n for index in places}
        failures: dict[int, VantageError] = {}
        walks = [
            walk
            for index, place in places.items()
            for sample, completion in enumerate(rollouts[index].completions)
            for walk in _walk(index, sample, place, self._said(completion))
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
                    further += _walk(walk.task, walk.sample, place, self._said(turn.completion))
            walks = further
        return [
            failures.get(index) or self._group(tasks[index], rollout, later.get(index, ()), truth)
            for index, rollout in enumerate(rollouts)
        ]

    def first_prompt(self, task: Task) -> Prompt:
        """The prompt of the first turn, with the true answer."""
        place = _start(task)
        return self._plain_prompt(task, True, False) if place is None else self._prompt(task, True, place)

    def _group(self, task: Task, rollout: Rollout, later: Sequence[tuple[Rollout, ...]], truth: bool) -> Group:
        group = Group(rollout, (), tuple(later) if any(later) else ())
        group = replace(group, rewards=tuple(self._reward(task, turns) for turns in group))
        if not self.reasons:
            return group
        said = tuple(self._said(turn.completion).text for turn in group.last)
        return replace(group, said=said, probes=self._probes(task, group) if truth else ())

    def _reward(self, task: Task, turns: Sequence[Rollout]) -> Reward:
        last = turns[-1].completion
        tags = self._encoder.tags if self.reasons else TAGS
        answer = read_answer(task.question, last.text, self._style, self._reading, tags)
        form = parse(last.text, tags).form if last.finished else 0.0
        tokens = max(len(turn.completion.token_ids) for turn in turns)
        return replace(
            score(task.question, answer, last.finished),
            form=form if self.reasons else None,
            length=self._overlong(tokens, last.finished),
            truncated=not last.finished,
        )

    def _said(self, completion: Completion) -> Completion:
        """The completion with the answer or move that it contains as its text, without reasoning."""
        if not self.reasons:
            return completion
        return replace(completion, text=(parse(completion.text, self._encoder.tags).answer or "").strip())

    def _probes(self, task: Task, group: Group) -> tuple[Prompt, ...]:
        """Where to score the true answer of each sampled answer; equal ones are the same object."""
        answer = write_answer(task.question, "letters")
        known: dict[tuple[int, tuple[int, ...]], Prompt] = {}
        probes: list[Prompt] = []
        for turn in group.last:
            key = (id(turn.prompt), turn.completion.token_ids)
            if key not in known:
                known[key] = probe(self._encoder, turn, answer)
            probes.append(known[key])
        return tuple(probes)

    def _plain_prompt(self, task: Task, truth: bool, blind: bool) -> Prompt:
        text = self._text(task)
        return Prompt(text, () if blind else task.images, self._truth(task) if truth else ())

    def _prompt(self, task: Task, truth: bool, place: _Place) -> Prompt:
        text = self._text(task, Look(task.spec.look_around - len(place.moves), place.moves))
        return Prompt(text, place.images, self._truth(task) if truth else ())

    def _text(self, task: Task, look: Optional[Look] = None) -> str:
        tags = self._encoder.tags if self.reasons else TAGS
        return self._encoder.plain(write_prompt(task.question, self._style, look, tags))

    def _truth(self, task: Task) -> tuple[int, ...]:
        """The token ids of the true answer; none if it follows reasoning, which is not sampled yet."""
        if self.reasons:
            return ()
        return self._encoder.answer(write_answer(task.question, self._style))

    def _observe(self, tasks: Sequence[Task], walks: Sequence[_Walk], failures: dict[int, VantageError]) -> None:
        """Render the views of these moves that are not known yet; put errors into `failures` by task."""
        pending: dict[tuple[int, str], tuple[_Walk, Future[Any]]] = {}
        for walk in walks:
            key = (id(walk.place), walk.action)
            if walk.action not in walk.place.further and key not in pending:
                message = self._message(tasks[walk.task], walk)
                pending[key] = (walk, self._simulator.submit(message, deadline_s=self._stream.render_deadline_s))
        for walk, future in pending.values():
            try:
                observation, image = observed_from(future.result(), tasks[walk.task].spec, self._stream.image_codec)
            except VantageError as error:
                failures[walk.task] = error
                continue
            walk.place.further[walk.action] = _Place(
                observation.view.pose,
                (*walk.place.images, image),
                (*walk.place.moves, Moved(walk.action, observation.collided)),
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

    def _next_turns(
        self, tasks: Sequence[Task], walks: Sequence[_Walk], sampling: Sampling, truth: bool
    ) -> list[Rollout]:
        """Sample the next turn of each walk, in order. Walks at the same place share a prompt."""
        at_place: dict[tuple[int, bool], list[int]] = defaultdict(list)
        for number, walk in enumerate(walks):
            greedy = sampling.temperature == 0 or (sampling.greedy_first and walk.sample == 0)
            at_place[id(walk.place.further[walk.action]), greedy].append(number)
        calls: dict[tuple[bool, int], list[list[int]]] = defaultdict(list)  # by greedy and number of answers
        for (_, greedy), members in at_place.items():
            calls[greedy, len(members)].append(members)
        turns: dict[int, Rollout] = {}
        for (greedy, count), places in calls.items():
            heads = [walks[members[0]] for members in places]
            prompts = [self._prompt(tasks[walk.task], truth, walk.place.further[walk.action]) for walk in heads]
            depth = len(heads[0].place.moves)
            seed = int(rng_for(sampling.seed, "turn", depth, count).integers(2**31))
            turn_sampling = replace(
                sampling, greedy_first=False, seed=seed, temperature=0.0 if greedy else sampling.temperature
            )
            for members, rollout in zip(places, self._engine.generate(prompts, count, turn_sampling)):
                turns.update((number, rollout.only(index)) for index, number in enumerate(members))
        return [turns[number] for number in range(len(walks))]


def answerer_of(
    settings: LearnerSettings, engine: RolloutEngine, encoder: PromptEncoder, simulator: Channel
) -> Answerer:
    """The answerer of a run."""
    grpo, policy = settings.grpo, settings.policy
    overlong = Overlong(settings.rollout.max_answer_tokens, grpo.overlong_tokens, grpo.overlong_weight)
    return Answerer(engine, encoder, policy.style, simulator, settings.stream, policy.reading, overlong)


def _start(task: Task) -> Optional[_Place]:
    """The place from which the policy looks around; None if the question has no budget of moves."""
    if not task.spec.look_around:
        return None
    assert task.pose is not None
    return _Place(task.pose, task.images)


def _walk(task: int, sample: int, place: _Place, completion: Completion) -> Iterable[_Walk]:
    """Return the walk that this completion continues; none if it is an answer or was cut off."""
    action = read_move(completion.text) if completion.finished else ""
    return [_Walk(task, sample, place, action)] if action else []
