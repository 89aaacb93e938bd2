"""Rollouts by `vllm serve` on other GPUs or nodes over HTTP; new weights are loaded as LoRA adapters.

    POST /v1/chat/completions    one question: token ids, log-probabilities and text of its n answers
    POST /v1/load_lora_adapter   once per policy version, by the path of its folder; the previous version is unloaded

`learner serve` (learner/rollouts/serve_vllm.py) starts the server, which must see the run directory at the same path.
Adapter names include a digest of the adapter, because the server caches prefixes by name and may outlive the run.
"""

from __future__ import annotations

import base64
import hashlib
import io
import ipaddress
import json
import logging
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Optional, Sequence

from PIL import Image

from learner.rollouts.base import Completion, EngineContext, Prompt, RgbImage, Rollout, Sampling, greedy_then_sampled
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.vllm import collapse_image_runs
from protocol.errors import VantageError
from protocol.run.sealed import MANIFEST

log = logging.getLogger(__name__)

_BAN = -100  # logit bias
_IN_FLIGHT = 128  # questions per server
_RETRY_S = 2.0
_REQUEST_S, _TOKEN_S = 600.0, 1.0  # for all answers to one question: at least, and for each token of the longest
_OUR_ADAPTER = re.compile(r"policy-v\d+-[0-9a-f]{8}")


def make_engine(context: EngineContext) -> VllmServeEngine:
    """Connect to the servers in `learner.rollout.servers`; see VllmServeEngine."""
    rollout = context.settings.rollout
    return VllmServeEngine(rollout.servers, context.settings.policy.model, context.parts.encoder, rollout.server_wait_s)


class VllmServeEngine:
    name = "vllm-serve"
    live = False

    def __init__(self, servers: Sequence[str], model: str, encoder: PromptEncoder, patience_s: float) -> None:
        """Wait up to `patience_s` for every server and check that it serves `model` with the required flags.

        Raises VantageError: "unavailable" if a server does not answer, "bad_config" if it serves another model or was
        started without the required flags.
        """
        self._servers = [_Server(url, patience_s) for url in servers]
        self._model = model
        self._encoder = encoder
        self._bias = {str(token): _BAN for token in encoder.banned}
        self._adapter: Optional[tuple[str, Path]] = None
        self._threads = ThreadPoolExecutor(_IN_FLIGHT * len(servers), thread_name_prefix="vllm-serve")
        for server in self._servers:
            self._check(server)

    def load_adapter(self, name: str, path: Path) -> None:
        digest = hashlib.blake2b((path / MANIFEST).read_bytes(), digest_size=4).hexdigest()
        previous, self._adapter = self._adapter, (f"{name}-{digest}", path.resolve())
        for server in self._servers:
            server.load(*self._adapter)
            if previous is not None and previous != self._adapter:
                server.unload(previous[0])

    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> list[Rollout]:
        if sampling.greedy_first:
            return greedy_then_sampled(self.generate, prompts, n, sampling)
        futures = [
            self._threads.submit(self._answers, self._servers[index % len(self._servers)], prompt, n, sampling)
            for index, prompt in enumerate(prompts)
        ]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        if self._adapter is not None:
            for server in self._servers:
                server.unload(self._adapter[0])
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _answers(self, server: _Server, prompt: Prompt, n: int, sampling: Sampling) -> Rollout:
        greedy = sampling.temperature == 0
        images = iter(prompt.images)
        parts = self._encoder.content(prompt.text, len(prompt.images))
        answer = self._chat(
            server,
            [part if part["type"] == "text" else _image_part(next(images)) for part in parts],
            n=1 if greedy else n,
            temperature=sampling.temperature,
            max_tokens=sampling.max_tokens,
            logit_bias=self._bias,
            stop_token_ids=sorted(self._encoder.ends),
        )
        prompt_ids = answer["prompt_token_ids"]
        image_token = self._encoder.image_token
        expected = collapse_image_runs(self._encoder.prompt(prompt.text, len(prompt.images)), image_token)
        if collapse_image_runs(prompt_ids, image_token) != expected:
            raise VantageError(
                "bad_config",
                f"the vLLM server {server.url} encodes a question as other tokens than the learner: its model or chat "
                "template differs; start it with `learner serve` and this run's configuration.",
            )
        completions = tuple(self._completion(choice) for choice in answer["choices"])
        return Rollout(prompt, tuple(prompt_ids), completions * (n if greedy else 1))

    def _completion(self, choice: dict[str, Any]) -> Completion:
        ids = tuple(choice["token_ids"])
        log_probs = tuple(token["logprob"] for token in choice["logprobs"]["content"])
        assert len(ids) == len(log_probs), "the server returned different numbers of log-probabilities and tokens"
        return Completion(ids, log_probs, self._encoder.text(ids), bool(ids) and ids[-1] in self._encoder.ends)

    def _chat(self, server: _Server, content: Sequence[dict[str, Any]], **sampling: Any) -> Any:
        """Sample with the current adapter from the full distribution, overriding the model's default sampling.

        A restarted server has lost the adapter; it is loaded again.
        """
        message = {
            "model": self._adapter[0] if self._adapter is not None else self._model,
            "messages": [{"role": "user", "content": content}],
            "top_p": 1.0,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "logprobs": True,
            "top_logprobs": 0,
            "return_token_ids": True,
            "chat_template_kwargs": self._encoder.template_options,
            **sampling,
        }
        status, answer = server.post("/v1/chat/completions", message)
        if status == 404 and self._adapter is not None:
            log.warning("the vLLM server %s has lost adapter %s, which is loaded again", server.url, self._adapter[0])
            server.load(*self._adapter)
            status, answer = server.post("/v1/chat/completions", message)
        if status != 200:
            raise VantageError("bad_config", f"the vLLM server {server.url} refused a question: {_reason(answer)}")
        return answer

    def _check(self, server: _Server) -> None:
        served = server.models()
        if self._model not in served:
            names = ", ".join(sorted(served)) or "nothing"
            raise VantageError(
                "bad_config",
                f"the vLLM server {server.url} serves {names}, not {self._model}: start it with `learner serve` "
                "and this run's configuration.",
            )
        for name in served:
            if _OUR_ADAPTER.fullmatch(name):
                server.unload(name)  # left by a learner that was killed
        # With a bias of 100 the token is almost certain; its log-probability is near 0 only if biases are included.
        text = [{"type": "text", "text": "?"}]
        probe = self._chat(server, text, n=1, temperature=1.0, max_tokens=1, logit_bias={str(self._encoder.eos): 100})
        if probe["choices"][0]["logprobs"]["content"][0]["logprob"] < -0.1:
            raise VantageError(
                "bad_config",
                f"the vLLM server {server.url} returns log-probabilities before temperature and bias: start it with "
                "--logprobs-mode processed_logprobs, as `learner serve` does.",
            )


class _Server:
    """Connection to one `vllm serve`; transient errors are retried for `patience_s`."""

    def __init__(self, url: str, patience_s: float) -> None:
        self.url = url.rstrip("/")
        self._patience_s = patience_s
        key = os.environ.get("VLLM_API_KEY")  # the server reads its key from the same variable
        # Proxies of the environment are for other hosts.
        handlers = [urllib.request.ProxyHandler({})] if _is_loopback(self.url) else []
        self._opener = urllib.request.build_opener(*handlers)
        self._headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}

    def models(self) -> list[str]:
        """Return the names of the served model and adapters."""
        status, answer = self._request("/v1/models", None)
        if status != 200:
            raise VantageError("bad_config", f"{self.url} is not a vLLM server (HTTP {status}): {_reason(answer)}")
        return [entry["id"] for entry in answer["data"]]

    def load(self, name: str, path: Path) -> None:
        """Load an adapter; idempotent. Raises VantageError("bad_config") if the server refuses."""
        status, answer = self.post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(path)})
        reason = _reason(answer)
        if status == 200 or (status == 400 and "already been loaded" in reason):
            return
        if status == 404 and "error" not in answer:  # no such route
            reason = "it was started without runtime LoRA; start it with `learner serve`"
        elif status == 404:
            reason = f"it cannot read {path}; the run directory must have the same path on its node"
        raise VantageError("bad_config", f"the vLLM server {self.url} did not load adapter {name}: {reason}")

    def unload(self, name: str) -> None:
        """Unload an adapter, if it is loaded."""
        self.post("/v1/unload_lora_adapter", {"lora_name": name})

    def post(self, route: str, message: dict[str, Any]) -> tuple[int, Any]:
        timeout_s = _REQUEST_S + _TOKEN_S * message.get("max_tokens", 0)
        return self._request(route, json.dumps(message).encode(), timeout_s)

    def _request(self, route: str, body: Optional[bytes], timeout_s: float = _REQUEST_S) -> tuple[int, Any]:
        """Return (status, answer), with retries for `patience_s`. Raises VantageError("unavailable")."""
        end = time.monotonic() + self._patience_s
        while True:
            try:
                request = urllib.request.Request(self.url + route, body, self._headers)
                with self._opener.open(request, timeout=timeout_s) as response:
                    return response.status, _parsed(response.read())
            except urllib.error.HTTPError as error:
                answer = _parsed(error.read())
                if error.code < 500 and error.code != 429:
                    return error.code, answer
                reason = f"HTTP {error.code}: {_reason(answer)}"
            except (OSError, urllib.error.URLError) as error:
                reason = str(getattr(error, "reason", error))
            if time.monotonic() > end:
                raise VantageError(
                    "unavailable",
                    f"the vLLM server {self.url} does not answer ({reason}): start it with `learner serve` or correct "
                    "learner.rollout.servers.",
                )
            log.info("waiting for the vLLM server %s: %s", self.url, reason)
            time.sleep(_RETRY_S)


def _is_loopback(url: str) -> bool:
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _image_part(image: RgbImage) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": url}}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return {"message": body[:200].decode(errors="replace")}


def _reason(answer: Any) -> str:
    """Return the first line of the server's error message."""
    message: Any = answer
    for key in ("error", "message"):
        message = message.get(key, message) if isinstance(message, dict) else message
    return str(message).strip().splitlines()[0][:300] if str(message).strip() else "no reason given"
