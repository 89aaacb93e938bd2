"""Run verifiers' own evaluation of the taskset against a scripted OpenAI-compatible server on this machine.

    python -m benchmarks.verifiers_eval --tasks 4 --rollouts 2 --out runs/verifiers

The server turns left as long as it is offered moves, then answers A. Prints what verifiers recorded and what the
curriculum counted. Needs an environment with verifiers and this package.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

from vantage.envs import open_pool


class Scripted(BaseHTTPRequestHandler):
    """Answers /v1/chat/completions."""

    images: list[int] = []  # noqa: RUF012 - images per request, over all requests

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = [part for message in body["messages"] for part in _parts(message)]
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        assert all(url.startswith("data:image/png;base64,") for url in urls), urls
        self.images.append(len(urls))
        last = " ".join(part.get("text", "") for part in _parts(body["messages"][-1]))
        reply = "turn left" if "more move" in last else "A"
        message = {"role": "assistant", "content": reply}
        head = {"id": f"scripted-{len(self.images)}", "created": int(time.time()), "model": body["model"]}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        if body.get("stream"):
            said = {"index": 0, "delta": message, "finish_reason": None}
            ended = {"index": 0, "delta": {}, "finish_reason": "stop"}
            events = [{"choices": [said]}, {"choices": [ended]}, {"choices": [], "usage": usage}]
            chunks = [json.dumps({**head, "object": "chat.completion.chunk", **event}) for event in events]
            content = "".join(f"data: {chunk}\n\n" for chunk in [*chunks, "[DONE]"])
            self._send(content.encode(), "text/event-stream")
        else:
            choices = [{"index": 0, "finish_reason": "stop", "message": message}]
            answer = {**head, "object": "chat.completion", "choices": choices, "usage": usage}
            self._send(json.dumps(answer).encode(), "application/json")

    def _send(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None: ...


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content") or ""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--rollouts", type=int, default=2)
    parser.add_argument("--config", default="smoke")
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--out", type=Path, default=Path("runs/verifiers"))
    options = parser.parse_args()
    run = options.out / "run"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [
        *(str(Path(sys.executable).with_name("vf-eval")), "vantage-verifiers"),
        *("-n", str(options.tasks), "-r", str(options.rollouts), "-m", "scripted", "-o", str(options.out)),
        *("--no-rich", "--no-push", "--env.agent.harness.id", "null", "--env.agent.runtime.type", "subprocess"),
        *("--client.base-url", f"http://127.0.0.1:{server.server_address[1]}/v1", "--client.api-key-var", "NO_KEY"),
        *("--env.taskset.config", options.config, "--env.taskset.run", str(run)),
        *("--env.taskset.samples", str(options.rollouts), "--env.taskset.sets", json.dumps(options.sets)),
    ]
    started = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "NO_KEY": "none"})
    seconds = time.perf_counter() - started
    traces = [json.loads(line) for path in options.out.rglob("traces.jsonl") for line in path.read_text().splitlines()]
    with open_pool(run=run) as pool:
        status = pool.status()
    record = {
        "versions": {name: metadata.version(name) for name in ("verifiers", "openai")},
        "seconds": round(seconds, 1),
        "episodes": len(traces),
        "requests": len(Scripted.images),
        "images": Scripted.images,
        "counted": status.counted,
        "cells": {f"{cell.skill} L{cell.level}": [cell.asked, round(cell.success_rate, 3)] for cell in status.cells},
    }
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
