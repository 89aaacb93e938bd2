"""Groups of the next step are collected in a thread while a step trains."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from learner.grpo.ahead import Ahead
from learner.grpo.clock import StepClock
from learner.settings import GrpoSettings, LearnerSettings, RolloutSettings
from protocol.errors import VantageError
from tests.support.loop import Loop


def test_a_step_collected_ahead_replaces_the_last_one_only_when_it_is_taken(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2)
    clock = StepClock()
    loop.collector.clock = clock
    ahead = Ahead(loop.collector, clock)
    ahead.collect(0)
    first = ahead.last
    assert not ahead.started and first.groups and first.counts.kept == 8

    released = threading.Event()
    collect = loop.collector.collect

    def held(step: int) -> Any:
        groups = collect(step)
        assert released.wait(10)
        return groups

    loop.collector.collect = held  # type: ignore[method-assign]
    ahead.start(1)
    assert ahead.started and ahead.last is first  # what the monitor records and a checkpoint saves
    released.set()
    ahead.take()
    assert not ahead.started and ahead.last is not first
    asked = {id(group.prompt) for own in (first, ahead.last) for group in own.groups}
    assert len(asked) == 16
    assert ahead.last.seconds["rollout"] > 0 and not clock.take()


def test_an_error_of_the_thread_ends_the_step_that_needs_its_groups(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2)

    def failing(_: int) -> Any:
        raise VantageError("unavailable", "the server does not answer.")

    loop.collector.collect = failing  # type: ignore[method-assign]
    ahead = Ahead(loop.collector)
    ahead.start(1)
    with pytest.raises(VantageError, match="the server does not answer"):
        ahead.take()


def test_reports_of_a_step_that_is_discarded_are_on_disk(tmp_path: Path) -> None:
    loop = Loop(tmp_path, lambda _: 2)
    ahead = Ahead(loop.collector)
    ahead.start(0)
    ahead.close()
    assert not ahead.last.groups
    assert len(loop.outbox) == loop.collector.counts.asked > 0


def test_rollouts_ahead_need_one_process() -> None:
    rollout = RolloutSettings(engine="vllm-serve", ahead=True)
    LearnerSettings(rollout=rollout)
    with pytest.raises(ValueError, match="ahead needs processes = 1"):
        LearnerSettings(rollout=rollout, processes=2, grpo=GrpoSettings(groups=32))


def test_a_sharded_model_needs_processes_and_an_engine_with_its_own_weights() -> None:
    serve = RolloutSettings(engine="vllm-serve")
    LearnerSettings(shard=True, processes=2, rollout=serve)
    with pytest.raises(ValueError, match="set processes to the number of GPUs"):
        LearnerSettings(shard=True, rollout=serve)
    with pytest.raises(ValueError, match=r"set rollout\.engine"):
        LearnerSettings(shard=True, processes=2)
