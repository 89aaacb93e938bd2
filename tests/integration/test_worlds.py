"""Two simulators in one run: requests go to the one that their scene names, and wait for one that left."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from protocol.errors import VantageError
from protocol.tasks.scene import SceneSpec
from protocol.wire.messages import Describe, Description
from tests.support.sim import ROOT, expected_grey, grey
from tests.support.wire import wait_for

DATASET = ROOT / "tests" / "data" / "reference" / "flat" / "dataset" / "flat.scene_dataset_config.json"
FLAT = SceneSpec(asset="flat", backend="habitat")

pytestmark = pytest.mark.timeout(300)


def describe(sim: Any) -> Any:
    return sim.client.submit(Describe(FLAT), deadline_s=60.0)


def test_a_run_with_two_simulators(make_sim):
    sim = make_sim(dataset=str(DATASET), gpu=-1, software_rendering=True, unsupported_after_s=0.5)
    stand_in = str(ROOT / "tests" / "support" / "habitat_stand_in")
    sim.environment["PYTHONPATH"] = os.pathsep.join((sim.environment["PYTHONPATH"], stand_in))
    sim.serve()

    futures = [describe(sim) for _ in range(3)]
    for future in futures:  # a world that no worker makes
        with pytest.raises(VantageError, match="no worker of the backend habitat has joined; start one with `sim") as e:
            future.result(60)
        assert (e.value.code, e.value.retryable) == ("unsupported", True)
    assert grey(sim.observe(7).result(60)) == expected_grey(7), "the others go on"
    (stall,) = sim.status().stalls
    assert "no worker of the backend habitat since" in stall and "--backend habitat`" in stall

    worker = sim.start("worker", "--backend", "habitat")
    sim.await_workers(2)
    assert {one.backend for one in sim.status().workers} == {"toy", "habitat"} and not sim.status().stalls
    description = describe(sim).result(60).message
    assert isinstance(description, Description) and description.scene.backend == "habitat"
    assert grey(sim.observe(7).result(60)) == expected_grey(7)

    worker.send_signal(signal.SIGTERM)  # a backend that leaves
    wait_for(lambda: len(sim.status().workers) == 1)
    future = describe(sim)
    with pytest.raises(VantageError, match="no worker of the backend habitat"):
        future.result(60)
    assert grey(sim.observe(8).result(60)) == expected_grey(8)
