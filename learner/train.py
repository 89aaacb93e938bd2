"""The learner's main loop.

    assemble     policy + LoRA, packed forward, rollout engine                        learner/policy/assemble.py
    before       held-out evaluation before training                                  learner/evaluate/held_out.py
    steps        TRL's trainer requests groups until the budget is used up            learner/grpo/trainer.py
                   stream: lease -> render -> task, ahead of the training step        learner/stream/episodes.py
                   collect: screen, replay, answer, score, report (outbox)            learner/stream/collect.py
                   with rollout.ahead, while the step before trains                   learner/grpo/ahead.py
                   other ranks answer and train on their part                         learner/ranks/orders.py, follow.py
                   after each step: checkpoint, metrics, periodic evaluation          learner/monitor.py
    after        drain the outbox, evaluate the same questions again, mark the run as done

After a kill at any instant, the next start resumes at the newest complete checkpoint. Reports are on disk before they
are sent and carry the id of their lease, so none is lost and none is counted twice.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from functools import partial
from typing import Any, Sequence

import msgspec
import torch

from learner.evaluate.held_out import Evaluator, HeldOut
from learner.grpo.ahead import Ahead
from learner.grpo.clock import StepClock
from learner.grpo.groups import split_answers
from learner.grpo.trainer import VantageTrainer, trainer_config
from learner.monitor import Monitor
from learner.plan.plan import check_memory, out_of_memory
from learner.policy.adapters import AdapterStore
from learner.policy.assemble import assemble, most_turns, resume, rollout_engine
from learner.policy.checkpoints import CheckpointStore, Facts, verify
from learner.policy.shards import shard
from learner.progress import Progress
from learner.ranks.orders import Gather, Leave, Resume, Train, TrainStep, join
from learner.rollouts.answerer import answerer_of
from learner.rollouts.base import Prompt, TruthScorer
from learner.rollouts.group import Group
from learner.rollouts.sharded import ShardedEngine, sharded_truths
from learner.settings import LearnerSettings
from learner.stream.collect import Collector
from learner.stream.episodes import EpisodeLog, TaskStream
from learner.stream.outbox import Outbox, ReportSender
from learner.stream.replay import Replay
from learner.stream.reports import Channel
from protocol.errors import VantageError
from protocol.run.config import section
from protocol.run.directory import RunDir
from protocol.run.stall import Stalls
from protocol.tasks.specs import cells_of, worlds_of
from protocol.wire.messages import ConfidenceReport

log = logging.getLogger(__name__)


def train(run: RunDir, curriculum: Channel, simulator: Channel, stop: threading.Event) -> None:
    """Run the loop until its budget is used up or `stop` is set; the last complete step is saved either way.

    Raises VantageError: "conflict" if another learner works on this run, "disk_full", "corrupt", and errors of the
    services that a retry cannot fix; "unsupported" if the GPU runs out of memory.
    """
    settings = section(run.config, "learner", LearnerSettings)
    with run.lock("learner"):
        if run.read_done("learner") is not None:
            log.warning("run %s is finished: there is nothing to train", run.name)
            return
        try:
            Loop(run, settings, curriculum, simulator, stop).run()
        except torch.OutOfMemoryError as error:
            raise out_of_memory(settings) from error


class Loop:
    """State of one start of the learner."""

    def __init__(
        self, run: RunDir, settings: LearnerSettings, curriculum: Channel, simulator: Channel, stop: threading.Event
    ) -> None:
        self.run_dir = run
        self.settings = settings
        self.clock = StepClock()
        self.stalls = Stalls("learner")
        self.progress = Progress(run, settings, stop, self.stalls)
        self.progress.show("loading the policy")
        check_memory(run.config)
        parts = self.parts = assemble(settings, run.seed, settings.shard)
        self.worlds = worlds_of(run.config)
        shapes = frozenset[tuple[int, int]]().union(*(world.image_shapes for world in self.worlds.values()))
        if parts.packed is not None and len(shapes) > 1:
            raise VantageError(
                "bad_config",
                "the packed forward pass needs images of one size: set learner.grpo.packed_forward = false, or leave "
                "landscape or portrait cameras, and other image sizes, out of the worlds.",
            )
        self.runs_ahead, truths = settings.rollout.ahead, parts.truths
        asking = parts.in_thread(settings.policy) if self.runs_ahead else parts
        engine, live = rollout_engine(asking, settings, self.worlds.values(), run.seed), parts.live_engine()
        if self.runs_ahead and engine.live:
            raise VantageError(
                "bad_config",
                f"learner.rollout.ahead needs an engine with its own weights, and {engine.name} uses the live "
                'ones: set learner.rollout.engine = "vllm-serve", with a server on another device.',
            )
        self.ranks = join(parts.device == "cuda")
        if settings.shard:
            shard(parts.model, parts.device == "cuda")
        if self.ranks.size > 1:
            scored = None if settings.shard else parts.truths
            engine, live = (ShardedEngine(own, self.ranks, scored) for own in (engine, live))
            truths = sharded_truths(parts.truths, self.ranks)
        self.engine = engine
        self.adapters = AdapterStore(run.adapters)
        self.checkpoints = CheckpointStore(run.checkpoints, settings.grpo.keep_checkpoints)
        self.outbox = Outbox(run.path / "outbox.jsonl")
        self.sender = ReportSender(self.outbox, curriculum, self.stalls)
        self.stream = TaskStream(
            curriculum,
            simulator,
            settings.stream,
            f"learner-{run.name}",
            self._report_failure,
            stop,
            self.stalls,
            self._waiting,
            settings.screen.questions,
        )
        self.episodes = EpisodeLog(run.episodes, settings.stream)
        answerer = answerer_of(settings, engine, asking.encoder, simulator)
        self.training = threading.Lock()
        clock = StepClock() if self.runs_ahead else self.clock
        self.collector = Collector(
            stream=self.stream,
            answerer=answerer,
            outbox=self.outbox,
            sender=self.sender,
            episodes=self.episodes,
            settings=settings,
            run_seed=run.seed,
            clock=clock,
            stalls=self.stalls,
            score_truth=partial(self._scored, truths) if self.runs_ahead else truths,
            replay=Replay(settings.replay, simulator, settings.stream),
        )
        self.ahead = Ahead(self.collector, clock if self.runs_ahead else None)
        held_out = HeldOut(run.path / "evaluations" / "held_out", self.worlds, cells_of(run.config), settings.evaluate)
        # A packed engine answers fast if answers are short; the engine of rollouts answers long ones.
        judged = engine if parts.packed is None or answerer.reasons else live
        self.monitor = Monitor(
            run=run,
            settings=settings.evaluate,
            progress=self.progress,
            clock=self.clock,
            stream=self.stream,
            collected=lambda: self.ahead.last,
            mismatch_alarm=settings.grpo.mismatch_alarm,
            evaluator=Evaluator(
                answerer_of(settings, judged, parts.encoder, simulator),
                settings.rollout.max_answer_tokens,
                settings.evaluate.seed,
                self.stalls,
            ),
            questions=lambda show: held_out.tasks(simulator, settings.stream, show, self.stalls),
            ranks=self.ranks,
        )

    def run(self) -> None:
        """Run the phases that are not done yet: before, steps, after. Returns early if a stop is requested."""
        try:
            self._run()
        except VantageError as error:
            if not (error.code == "draining" and self.progress.stopped):
                raise
        self.ranks.send_all(Leave())
        self.ranks.close()
        if self.progress.stopped:
            self.progress.show("stopped")

    def _run(self) -> None:
        checkpoint = resume(self.parts, self.checkpoints)
        facts = verify(checkpoint) if checkpoint else Facts(0, 0.0)
        self.progress.resume(facts)
        self.collector.replay.restore(facts.replay)
        waiting = partial(self.progress.show_unless_stopped, "waiting for the curriculum")
        self.sender.check_history(facts.counted, waiting)
        self.ranks.send_all(Resume(str(checkpoint) if checkpoint else None))
        self.sender.pump()  # uncounted reports of an earlier start
        if self.progress.step == 0:
            self.monitor.evaluate("before")
        if not self.progress.stopped and not self.progress.budget_met:
            self.ranks.send_all(Train())
            self._trainer().train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            self.ahead.close()
        if self.progress.stopped:
            return
        self.sender.drain(
            partial(self.progress.show_unless_stopped, "waiting for the curriculum to count the last reports")
        )
        self._publish(self.progress.step)
        self.monitor.evaluate("after")
        self.run_dir.mark_done("learner", self.progress.summary())
        self.progress.show("done")
        self.engine.close()
        self.episodes.close()
        self.outbox.close()

    def _trainer(self) -> VantageTrainer:
        settings = self.settings
        config = trainer_config(
            self.run_dir.checkpoints,
            settings.grpo,
            settings.rollout,
            settings.budget.steps,
            self.run_dir.seed,
            use_cpu=self.parts.device == "cpu",
            turns=most_turns(self.worlds.values()),
            ranks=self.ranks.size,
        )
        return VantageTrainer(
            self.parts.model,
            self.parts.processor,
            self._collect,
            config,
            settings.grpo,
            self.checkpoints,
            self.clock,
            self._facts,
            self.progress.rate,
            self.parts.packed,
            correct=not self.engine.live,
            callbacks=[self.monitor],
            encoder=self.parts.encoder,
            training=self.training,
        )

    def _facts(self) -> dict[str, Any]:
        """Entries for the manifest of a checkpoint."""
        replay = msgspec.to_builtins(self.ahead.last.replay)
        return {**self.progress.facts(), "counted": self.outbox.total, "replay": replay}

    def _collect(self) -> tuple[Sequence[Group], range]:
        step = self.progress.step
        if ready := self.ahead.started:
            with self.clock("rollout wait"):
                self.ahead.take()
        if not self.engine.live or step % self.settings.grpo.publish_every == 0:
            with self.clock("publish"):
                self._publish(step)
        self.monitor.between_steps()
        if not ready:
            self.parts.model.eval()
            with self.clock("rollout wait") if self.runs_ahead else contextlib.nullcontext():
                self.ahead.collect(step)
            self.parts.model.train()
        if self.runs_ahead and step + 1 < self.settings.budget.steps:
            self.ahead.start(step + 1)
        own, *others = split_answers(self.ahead.last.groups, self.ranks.size)
        self.ranks.send([TrainStep.of(*part, self.progress.used) for part in others])
        return own

    def _scored(self, truths: TruthScorer, prompts: Sequence[Prompt]) -> list[float]:
        """Score true answers with the live weights between the passes of a training step."""
        with self.training:
            return truths(prompts)

    def _publish(self, step: int) -> None:
        if self.settings.shard:
            self.ranks.send_all(Gather())
        path = self.adapters.path(self.adapters.publish(self.parts.model, step))
        self.engine.load_adapter(path.name, path)

    def _report_failure(self, report: ConfidenceReport) -> None:
        self.outbox.add([report])

    def _waiting(self, missing: str) -> None:
        """Called while the stream has no questions: reports on failed specs are sent meanwhile."""
        self.sender.pump()
        self.progress.show(f"training, {missing}")
