"""The embedded policy in a real `vllm serve`, started by `learner serve`, agrees with the weights in this process."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from learner.policy.adapters import AdapterStore
from learner.policy.assemble import add_lora
from learner.policy.load import TINY, load
from learner.policy.packed import PackedPolicy
from learner.rollouts.base import Sampling
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.transformers import PackedEngine
from learner.rollouts.vllm_serve import VllmServeEngine
from learner.settings import GrpoSettings
from protocol.errors import VantageError
from tests.support.prompts import some_prompts

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "serve.log"
    command = [sys.executable, "-m", "learner.cli", "serve", "--config", str(ROOT / "configs" / "demo.toml")]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--", "--max-num-seqs", "64"],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_answers_of_every_version_equal_those_of_the_live_weights(url: str, tmp_path: Path) -> None:
    policy = load()
    model = add_lora(policy.model, GrpoSettings(), seed=0).eval()
    encoder = PromptEncoder(policy.processor, policy.model)
    live = PackedEngine(PackedPolicy(model, policy.processor), encoder)
    store = AdapterStore(tmp_path)
    served = VllmServeEngine([url], TINY, encoder, patience_s=300)
    generator = torch.Generator().manual_seed(1)
    one, two = some_prompts(2, seed=1)
    prompts = [*some_prompts(5), replace(one, images=(*one.images, *two.images))]
    assert "Image 2:" in encoder.rendered(one.text, 2)
    for step in range(2):
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
        path = store.path(store.publish(model, step))
        served.load_adapter(path.name, path)
        greedy = Sampling(0.0, 4)
        for ours, theirs in zip(live.generate(prompts, 1, greedy), served.generate(prompts, 1, greedy)):
            assert ours.prompt_ids == theirs.prompt_ids
            assert ours.completions[0].token_ids == theirs.completions[0].token_ids
            assert ours.completions[0].logprobs == pytest.approx(theirs.completions[0].logprobs, abs=1e-3)
        assert len(served._servers[0].models()) == 2  # the model and one version

    sampled = served.generate(prompts, 8, Sampling(1.0, 4))
    answers = [answer for rollout in sampled for answer in rollout.completions]
    assert len({answer.token_ids for answer in answers}) > 4
    assert not any(set(encoder.banned) & set(answer.token_ids) for answer in answers)

    served._servers[0].unload(served._servers[0].models()[1])  # as if the server had been restarted
    assert len(served.generate(prompts[:1], 2, Sampling(1.0, 4))[0].completions) == 2


def test_refused_requests_are_reported(url: str, tmp_path: Path) -> None:
    policy = load()
    encoder = PromptEncoder(policy.processor, policy.model)
    with pytest.raises(VantageError, match=f"serves .*{TINY}.*, not other/model"):
        VllmServeEngine([url], "other/model", encoder, patience_s=300)
    served = VllmServeEngine([url], TINY, encoder, patience_s=5)
    with pytest.raises(VantageError, match="refused a question: .*max_model_len"):
        served.generate(some_prompts(1), 1, Sampling(1.0, 4000))
    with pytest.raises(VantageError, match=r"did not load adapter policy-v000009.*the run directory must have"):
        served._servers[0].load("policy-v000009", tmp_path / "on-another-node")
