"""Rollouts by vLLM in this process, on a GPU or with its CPU build; new weights are loaded as LoRA adapters.

Create the engine, which imports vLLM, before importing numba: otherwise the CPU build does not start.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional, Sequence

from PIL import Image

from learner.rollouts.base import Completion, EngineContext, Prompt, Rollout, Sampling, greedy_then_sampled
from learner.rollouts.encoder import PromptEncoder
from learner.settings import GrpoSettings, RolloutSettings
from protocol.errors import VantageError

_BAN = -100.0  # logit bias


def make_engine(context: EngineContext) -> VllmEngine:
    """Start vLLM in this process; see VllmEngine."""
    parts, settings = context.parts, context.settings
    on_gpu = parts.device == "cuda"
    return VllmEngine(
        parts.source,
        parts.encoder,
        settings.rollout,
        settings.grpo,
        context.max_images,
        context.seed,
        on_gpu,
        settings.policy.revision,
    )


class VllmEngine:
    name = "vllm"
    live = False

    def __init__(
        self,
        model: str,
        encoder: PromptEncoder,
        rollout: RolloutSettings,
        grpo: GrpoSettings,
        max_images: int,
        seed: int,
        on_gpu: bool,
        revision: str = "",
    ) -> None:
        """Start vLLM with the model in this folder, or this revision of a hub model; takes 20 to 35 s on a CPU.

        Raises VantageError("unsupported") if vLLM is not installed or does not start.
        """
        if not on_gpu:
            os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(rollout.vllm_cpu_cache_gib))
            # Run in this process, except in a learner of several ranks, whose process group would conflict.
            alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
            os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0" if alone else "1")
        try:
            from vllm import LLM
        except ImportError:
            raise VantageError(
                "unsupported", "vLLM is not installed: install it or set learner.rollout.engine to transformers."
            ) from None
        if not on_gpu:
            from learner.rollouts import vllm_cpu

            vllm_cpu.prepare()
        import torch

        threads = torch.get_num_threads()
        # Blocks smaller than a prompt, so that prefix caching works within a group; the default on a CPU is 128.
        options: dict[str, Any] = {} if on_gpu else {"enforce_eager": True, "block_size": 32}
        if on_gpu:
            options["gpu_memory_utilization"] = rollout.vllm_memory_share
            options["tensor_parallel_size"] = rollout.vllm_tensor_parallel
        try:
            self._llm = LLM(
                model=model,
                revision=revision or None,
                tokenizer_revision=revision or None,
                dtype=rollout.vllm_dtype,
                max_model_len=rollout.max_prompt_tokens + rollout.max_answer_tokens,
                limit_mm_per_prompt={"image": max_images, "video": 0},
                max_num_seqs=256,
                enable_lora=True,
                max_lora_rank=max(8, grpo.lora_rank),
                max_loras=1,
                max_cpu_loras=2,
                logprobs_mode="processed_logprobs",
                generation_config="vllm",  # not the model's own, whose penalties would change the distribution
                seed=seed,
                **options,
            )
        except (RuntimeError, ValueError) as error:
            raise VantageError(
                "unsupported", f"vLLM did not start with {model}: {str(error).splitlines()[0]}"
            ) from error
        finally:
            torch.set_num_threads(threads)  # vLLM's CPU build changes it
        # vLLM resets the offset of a seeded generator when it splits a prompt; CPU generators have none.
        self._seeded = on_gpu
        self._encoder = encoder
        self._image_token = encoder.image_token
        self._bias = dict.fromkeys(encoder.banned, _BAN)
        self._adapter: Optional[Any] = None
        self._names: dict[str, int] = {}

    def load_adapter(self, name: str, path: Path) -> None:
        from vllm.lora.request import LoRARequest

        assert name not in self._names, f"adapter name {name} was used before"
        self._names[name] = len(self._names) + 1
        self._adapter = LoRARequest(name, self._names[name], str(path))

    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> list[Rollout]:
        from vllm import SamplingParams

        if sampling.greedy_first:
            return greedy_then_sampled(self.generate, prompts, n, sampling)
        greedy = sampling.temperature == 0
        params = SamplingParams(
            n=1 if greedy else n,
            temperature=sampling.temperature,
            max_tokens=sampling.max_tokens,
            logprobs=0,
            logit_bias=self._bias,
            stop_token_ids=sorted(self._encoder.ends),
            seed=sampling.seed if self._seeded and not greedy else None,
        )
        requests: list[Any] = [self._request(prompt) for prompt in prompts]
        outputs = self._llm.generate(requests, params, lora_request=self._adapter, use_tqdm=False)
        return [
            Rollout(
                prompt,
                tuple(output.prompt_token_ids or ()),
                tuple(self._completion(answer) for answer in output.outputs) * (n if greedy else 1),
            )
            for prompt, output in zip(prompts, outputs)
        ]

    def close(self) -> None:
        del self._llm

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        # One image token per image: vLLM expands it. Expanded tokens would be expanded again, and the prompt would
        # differ from the trainer's.
        ids = collapse_image_runs(self._encoder.prompt(prompt.text, len(prompt.images)), self._image_token)
        request: dict[str, Any] = {"prompt_token_ids": ids}
        if prompt.images:
            request["multi_modal_data"] = {"image": [Image.fromarray(image) for image in prompt.images]}
        return request

    def _completion(self, answer: Any) -> Completion:
        ids = tuple(answer.token_ids)
        log_probs = tuple(step[token].logprob for token, step in zip(ids, answer.logprobs))
        return Completion(ids, log_probs, self._encoder.text(ids), bool(ids) and ids[-1] in self._encoder.ends)


def collapse_image_runs(ids: Sequence[int], image_token: int) -> list[int]:
    """Replace every run of image tokens by one."""
    return [token for index, token in enumerate(ids) if token != image_token or index == 0 or ids[index - 1] != token]
