"""`python -m tests.support.vllm_answers MODEL [ADAPTER]`: greedy and sampled answers of vLLM as JSON on the last line.

A process of its own: vLLM's CPU build wants to be first, and its memory is given back at the end.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from learner.policy.load import load
from learner.rollouts.base import Sampling
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.vllm import VllmEngine
from learner.settings import GrpoSettings, RolloutSettings
from tests.support.prompts import some_prompts


def main() -> None:
    model = sys.argv[1]
    encoder = PromptEncoder(load(model).processor)
    engine = VllmEngine(model, encoder, RolloutSettings(max_answer_tokens=4), GrpoSettings(), 1, seed=0, on_gpu=False)
    if len(sys.argv) > 2:
        engine.load_adapter("policy-v000001", Path(sys.argv[2]))
    answers = {
        name: [
            {"prompt_ids": rollout.prompt_ids, "ids": answer.token_ids, "logprobs": answer.logprobs}
            for rollout in engine.generate(some_prompts(4), n, Sampling(temperature, 4, 0))
            for answer in rollout.completions
        ]
        for name, n, temperature in (("greedy", 1, 0.0), ("sampled", 4, 1.0))
    }
    print("\n" + json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
