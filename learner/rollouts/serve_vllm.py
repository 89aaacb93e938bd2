"""Starts `vllm serve` for the engine `vllm-serve`: with runtime LoRA and log-probabilities after temperature.

    settings -> vllm serve MODEL --enable-lora --logprobs-mode processed_logprobs ... [flags of the user]

Flags of the user come last and take precedence, for instance `--tensor-parallel-size 2 --data-parallel-size 4`.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any, Sequence

from learner.policy.load import resolve
from learner.settings import LearnerSettings
from protocol.errors import VantageError
from protocol.run.config import Tree, section
from protocol.tasks.specs import worlds_of


def command(
    settings: LearnerSettings, max_images: int, host: str, port: int, on_gpu: bool, flags: Sequence[str]
) -> list[str]:
    """Return the arguments of `vllm` that serve this policy."""
    rollout, grpo = settings.rollout, settings.grpo
    options = {
        "--served-model-name": settings.policy.model,
        "--host": host,
        "--port": port,
        "--dtype": rollout.vllm_dtype,
        "--max-model-len": rollout.max_prompt_tokens + rollout.max_answer_tokens,
        "--limit-mm-per-prompt": f'{{"image": {max_images}, "video": 0}}',
        "--max-lora-rank": max(8, grpo.lora_rank),
        "--max-loras": 1,
        "--max-cpu-loras": 2,
        "--api-server-count": 1,  # an adapter is loaded into one API server only
        "--logprobs-mode": "processed_logprobs",
        "--generation-config": "vllm",  # not the model's own, which limits and penalises
    }
    if settings.policy.revision:
        options |= {"--revision": settings.policy.revision, "--tokenizer-revision": settings.policy.revision}
    # Blocks smaller than a prompt, so that prefix caching works within a group; the default on a CPU is 128.
    switches = ["--enable-lora", *([] if on_gpu else ["--enforce-eager", "--block-size", "32"])]
    listed = [str(word) for option in options.items() for word in option]
    return ["serve", resolve(settings.policy.model), *listed, *switches, *flags]


def serve(config: Tree, host: str, port: int, flags: Sequence[str]) -> None:
    """Serve the policy of a run until the process is stopped.

    Raises VantageError("unsupported") if vLLM is not installed.
    """
    if importlib.util.find_spec("vllm") is None:
        raise VantageError("unsupported", "vLLM is not installed: launch/env.sh --vllm installs it.")
    import torch

    from learner.policy.assemble import max_images

    settings, images = section(config, "learner", LearnerSettings), max_images(worlds_of(config).values())
    on_gpu = torch.cuda.is_available()
    os.environ["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"
    if not on_gpu:
        from learner.rollouts import vllm_cpu

        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(settings.rollout.vllm_cpu_cache_gib))
        vllm_cpu.prepare()
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.entrypoints.serve.utils.api_utils import cli_env_setup
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    cli_env_setup()
    # vLLM's main() requires a distribution named "vllm"; the CPU build has another name.
    parser = FlexibleArgumentParser(prog="vllm")
    serving = ServeSubcommand()
    serving.subparser_init(parser.add_subparsers())
    arguments: Any = parser.parse_args(command(settings, images, host, port, on_gpu, flags))
    serving.validate(arguments)
    serving.cmd(arguments)
