"""The stand-in for `vllm serve` that benchmarks use answers with the policy and the adapter that were asked for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from benchmarks.policy_server import PolicyServer, http_server
from learner.policy import build
from learner.policy.adapters import AdapterStore
from learner.policy.assemble import assemble
from learner.rollouts.base import Sampling
from learner.rollouts.vllm_serve import VllmServeEngine
from learner.settings import GrpoSettings, LearnerSettings, PolicySettings
from tests.support.prompts import some_prompts


def test_answers_equal_those_of_the_live_weights_of_each_version(tmp_path: Path) -> None:
    build.save(*build.build(0), tmp_path / "tiny")
    settings = LearnerSettings(policy=PolicySettings(model=str(tmp_path / "tiny")), grpo=GrpoSettings(lora_rank=4))
    parts = assemble(settings, 0)
    (tmp_path / "adapters").mkdir()
    store = AdapterStore(tmp_path / "adapters")
    server = http_server(PolicyServer(settings, 0.0), 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    engine = VllmServeEngine([url], settings.policy.model, parts.encoder, patience_s=10)
    greedy, answers = Sampling(0.0, 3, 0), []
    for step in range(2):
        for name, parameter in parts.model.named_parameters():
            if "lora_B" in name:
                parameter.data += 0.3 * step
        path = store.path(store.publish(parts.model, step))
        engine.load_adapter(path.name, path)
        served = engine.generate(some_prompts(3), 1, greedy)
        live = parts.live_engine().generate(some_prompts(3), 1, greedy)
        for ours, theirs in zip(live, served):
            assert ours.completion.token_ids == theirs.completion.token_ids
            assert ours.completion.logprobs == pytest.approx(theirs.completion.logprobs, abs=1e-4)
        answers.append([rollout.completion.logprobs for rollout in served])
    assert answers[0] != answers[1]
    assert len(engine.generate(some_prompts(2), 3, Sampling(1.0, 3, 0))[1].completions) == 3
    engine.close()
    server.shutdown()
