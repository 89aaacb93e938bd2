"""`python -m tests.support.vllm_answers MODEL[=ADAPTER] …`: greedy and sampled answers of vLLM with each model.

Prints JSON on the last line. Runs in a separate process, because vLLM's CPU build must be imported before other
libraries, and to free its memory.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

from learner.policy.load import load
from learner.rollouts.base import Sampling
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.vllm import VllmEngine
from learner.settings import GrpoSettings, RolloutSettings
from tests.support.prompts import some_prompts


def answers_of(model: str, adapter: str) -> dict[str, Any]:
    policy = load(model)
    encoder = PromptEncoder(policy.processor, policy.model)
    engine = VllmEngine(model, encoder, RolloutSettings(max_answer_tokens=4), GrpoSettings(), 1, seed=0, on_gpu=False)
    if adapter:
        engine.load_adapter("policy-v000001", Path(adapter))
    answers = {
        name: [
            {"prompt_ids": rollout.prompt_ids, "ids": answer.token_ids, "logprobs": answer.logprobs}
            for rollout in engine.generate(some_prompts(4), n, Sampling(temperature, 4, 0))
            for answer in rollout.completions
        ]
        for name, n, temperature in (("greedy", 1, 0.0), ("sampled", 4, 1.0))
    }
    engine.close()
    gc.collect()
    return answers


def main() -> None:
    found = [answers_of(model, adapter) for model, _, adapter in (text.partition("=") for text in sys.argv[1:])]
    print("\n" + json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
