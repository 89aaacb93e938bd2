"""A policy in a process of its own that answers like `vllm serve`, for measurements and tests without vLLM.

    python -m benchmarks.policy_server CONFIG.toml [--port N] [--delay SECONDS]

It serves what learner/rollouts/vllm_serve.py uses: chat completions with token ids and log-probabilities, and adapters
that are loaded by path. Answers are real samples of the policy with the adapter of the request. Requests that arrive
together are answered together. Only the style "words" is served.
"""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

from learner.policy.adapters import read_adapter
from learner.policy.assemble import assemble
from learner.rollouts.base import Prompt, Sampling
from learner.settings import LearnerSettings
from protocol.run.config import load, section

GATHER_S = 0.02  # requests that arrive within this time are answered together


class PolicyServer:
    """Answers chat completions one batch at a time."""

    def __init__(self, settings: LearnerSettings, delay_s: float) -> None:
        self.model = settings.policy.model
        self._parts = assemble(settings, 0)
        self._engine = self._parts.live_engine()
        self._delay_s = delay_s
        self._adapters: dict[str, Path] = {}
        self._loaded = ""
        self._seed = 0
        self._waiting: SimpleQueue[tuple[dict[str, Any], Future[dict[str, Any]]]] = SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def answer(self, route: str, message: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and the body of an answer."""
        if route == "/v1/models":
            return 200, {"data": [{"id": name} for name in (self.model, *self._adapters)]}
        if route == "/v1/load_lora_adapter":
            self._adapters[message["lora_name"]] = Path(message["lora_path"])
            return 200, {}
        if route == "/v1/unload_lora_adapter":
            self._adapters.pop(message["lora_name"], None)
            return 200, {}
        if message["model"] not in (self.model, *self._adapters):
            return 404, {"error": {"message": "no such adapter"}}
        if 100 in message["logit_bias"].values():  # the learner's probe
            return 200, _reply((), [[(0, 0.0)]])
        future: Future[dict[str, Any]] = Future()
        self._waiting.put((message, future))
        return 200, future.result()

    def _work(self) -> None:
        while True:
            batch = [self._waiting.get()]
            time.sleep(GATHER_S)
            try:
                while True:
                    batch.append(self._waiting.get_nowait())
            except Empty:
                pass
            by_kind: dict[tuple[Any, ...], list[tuple[dict[str, Any], Future[dict[str, Any]]]]] = {}
            for message, future in batch:
                kind = tuple(message[key] for key in ("model", "n", "temperature", "max_tokens"))
                by_kind.setdefault(kind, []).append((message, future))
            for (name, *sampling), own in by_kind.items():
                self._generate(name, own, *sampling)

    def _generate(self, name: str, batch: list[Any], n: int, temperature: float, most: int) -> None:
        if name != self._loaded and name in self._adapters:
            read_adapter(self._parts.model, self._adapters[name])
            self._loaded = name
        time.sleep(self._delay_s)
        self._seed += 1
        prompts = [_prompt(message) for message, _ in batch]
        rollouts = self._engine.generate(prompts, n, Sampling(temperature, most, self._seed))
        for (_, future), rollout in zip(batch, rollouts):
            choices = [list(zip(one.token_ids, one.logprobs)) for one in rollout.completions]
            future.set_result(_reply(rollout.prompt_ids, choices))


def _prompt(message: dict[str, Any]) -> Prompt:
    parts = message["messages"][0]["content"]
    encoded = [part["image_url"]["url"].partition(",")[2] for part in parts if part["type"] == "image_url"]
    images = tuple(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in encoded)
    return Prompt(parts[-1]["text"], images)


def _reply(prompt_ids: Any, choices: list[list[tuple[int, float]]]) -> dict[str, Any]:
    return {
        "prompt_token_ids": list(prompt_ids),
        "choices": [
            {
                "token_ids": [token for token, _ in choice],
                "logprobs": {"content": [{"logprob": value} for _, value in choice]},
            }
            for choice in choices
        ],
    }


def http_server(policy: PolicyServer, port: int) -> ThreadingHTTPServer:
    """An HTTP server on this machine that answers with the policy; port 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, message: dict[str, Any]) -> None:
            status, answer = policy.answer(self.path, message)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main(
    config: Annotated[list[Path], typer.Argument(help="TOML files of the run.")],
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    delay: Annotated[float, typer.Option(help="Seconds to wait in every batch, as a slower policy would.")] = 0.0,
) -> None:
    """Serve the policy of a configuration until the process is stopped."""
    http_server(PolicyServer(section(load(config), "learner", LearnerSettings), delay), port).serve_forever()


if __name__ == "__main__":
    typer.run(main)
