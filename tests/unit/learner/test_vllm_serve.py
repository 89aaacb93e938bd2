"""Errors between the learner and a vLLM server, with a stand-in for the documented interface of the server.

tests/integration/test_vllm_serve.py uses the real server.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from learner.rollouts.base import Prompt, Sampling
from learner.rollouts.vllm_serve import VllmServeEngine
from learner.settings import LearnerSettings
from protocol.answers.letters import message_parts
from protocol.errors import VantageError
from protocol.run.config import section
from protocol.run.sealed import sealed_folder

pytestmark = pytest.mark.timeout(60)

EOS = 2
PROMPT_IDS = [7, 9, 5, 5, 8]  # 5 is the image token


class Encoder:
    eos = EOS
    image_token = 5
    banned = (5, 6)
    ends = frozenset({EOS})
    template_options = {"enable_thinking": True}  # noqa: RUF012 - never written to

    def prompt(self, text: str, images: int) -> tuple[int, ...]:
        return tuple(token for index, token in enumerate(PROMPT_IDS) if index != 3)

    def content(self, text: str, images: int) -> list[dict[str, str]]:
        return message_parts(text, images)

    def text(self, token_ids: Any) -> str:
        return " ".join(map(str, token_ids))


class Server(ThreadingHTTPServer):
    """Answers with one token and the end-of-turn token; tests switch faults on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.adapters: dict[str, str] = {}
        self.requests: list[tuple[str, Any]] = []
        self.fail = 0  # number of requests that fail with 503
        self.runtime_lora = True
        self.probe_logprob = 0.0
        self.prompt_ids = PROMPT_IDS
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self._reply(200, {"data": [{"id": name} for name in ("tiny", *self.server.adapters)]})

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        server.requests.append((self.path, message))
        if server.fail:
            server.fail -= 1
            self._reply(503, {"error": {"message": "not now"}})
        elif self.path == "/v1/chat/completions":
            self._chat(message)
        elif not server.runtime_lora:
            self._reply(404, {"detail": "Not Found"})
        elif self.path == "/v1/load_lora_adapter":
            name = message["lora_name"]
            if name in server.adapters:
                self._reply(400, {"error": {"message": f"The lora adapter '{name}' has already been loaded."}})
            else:
                server.adapters[name] = message["lora_path"]
                self._reply(200, "Success")
        else:
            found = server.adapters.pop(message["lora_name"], None)
            self._reply(200 if found else 404, "done" if found else {"error": {"message": "cannot be found"}})

    def _chat(self, message: Any) -> None:
        if message["model"] not in ("tiny", *self.server.adapters):
            self._reply(404, {"error": {"message": f"The model `{message['model']}` does not exist."}})
            return
        probe = message["logit_bias"].get(str(EOS)) == 100
        ids = [EOS] if probe else [11, EOS]
        log_probs = [self.server.probe_logprob] if probe else [-0.5, -0.25]
        choice = {"token_ids": ids, "logprobs": {"content": [{"logprob": value} for value in log_probs]}}
        self._reply(200, {"prompt_token_ids": self.server.prompt_ids, "choices": [choice] * message["n"]})

    def _reply(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


def engine(*servers: Server, model: str = "tiny", patience_s: float = 10.0) -> VllmServeEngine:
    return VllmServeEngine([server.url for server in servers], model, Encoder(), patience_s)  # type: ignore[arg-type]


def adapter(folder: Path, name: str, weights: bytes = b"") -> Path:
    with sealed_folder(folder / name, {}) as staging:
        (staging / "adapter_model.safetensors").write_bytes(weights)
    return folder / name


def test_answers_have_tokens_log_probs_and_the_prompt_of_the_server(server: Server) -> None:
    rollouts = engine(server).generate([Prompt("a"), Prompt("b")], 3, Sampling(1.0, 4))
    assert [len(rollout.completions) for rollout in rollouts] == [3, 3]
    answer = rollouts[0].completions[0]
    assert (answer.token_ids, answer.logprobs, answer.finished) == ((11, EOS), (-0.5, -0.25), True)
    assert rollouts[0].prompt_ids == tuple(PROMPT_IDS)
    sent = server.requests[-1][1]
    # The full distribution, whatever generation_config.json contains, without vision tokens.
    assert (sent["top_p"], sent["top_k"], sent["repetition_penalty"]) == (1.0, 0, 1.0)
    assert sent["chat_template_kwargs"] == Encoder.template_options
    assert (sent["min_p"], sent["presence_penalty"], sent["frequency_penalty"]) == (0.0, 0.0, 0.0)
    assert sent["logit_bias"] == {"5": -100, "6": -100} and sent["stop_token_ids"] == [EOS]


def test_questions_are_distributed_over_all_servers(server: Server) -> None:
    other = Server()
    both = engine(server, other)
    server.requests.clear(), other.requests.clear()
    both.generate([Prompt(str(index)) for index in range(6)], 1, Sampling(1.0, 4))
    assert (len(server.requests), len(other.requests)) == (3, 3)
    other.server_close()


def test_a_new_adapter_replaces_the_previous_one_and_names_are_unique(server: Server, tmp_path: Path) -> None:
    asked = engine(server)
    for version, weights in ((1, b"a"), (2, b"b")):
        asked.load_adapter(f"policy-v00000{version}", adapter(tmp_path, f"policy-v00000{version}", weights))
        assert len(server.adapters) == 1
        asked.generate([Prompt("a")], 1, Sampling(1.0, 4))
        assert server.requests[-1][1]["model"] == next(iter(server.adapters))
    names = list(server.adapters)
    # Version 2 of another run on the same server has another name.
    asked.load_adapter("policy-v000002", adapter(tmp_path / "other", "policy-v000002", b"c"))
    assert names[0].startswith("policy-v000002-") and names != list(server.adapters)


def test_adapters_of_a_killed_learner_are_unloaded(server: Server) -> None:
    server.adapters.update({"policy-v000007-0123abcd": "somewhere", "somebody-elses": "elsewhere"})
    engine(server)
    assert list(server.adapters) == ["somebody-elses"]


def test_a_restarted_server_gets_the_adapter_again(server: Server, tmp_path: Path) -> None:
    asked = engine(server)
    asked.load_adapter("policy-v000001", adapter(tmp_path, "policy-v000001"))
    server.adapters.clear()
    assert len(asked.generate([Prompt("a")], 2, Sampling(1.0, 4))[0].completions) == 2
    assert len(server.adapters) == 1


def test_requests_to_a_busy_server_are_retried(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learner.rollouts.vllm_serve._RETRY_S", 0.01)
    asked = engine(server)
    server.fail = 2
    assert len(asked.generate([Prompt("a")], 1, Sampling(1.0, 4))) == 1
    server.fail = 10**6
    with pytest.raises(VantageError, match="does not answer .HTTP 503: not now.") as caught:
        engine(server, patience_s=0.05)
    assert caught.value.code == "unavailable" and caught.value.retryable


def test_an_unreachable_server_is_reported() -> None:
    closed = Server()
    closed.shutdown()
    closed.server_close()
    with pytest.raises(VantageError, match=r"does not answer .*: start it with `learner serve`") as caught:
        VllmServeEngine([closed.url], "tiny", Encoder(), 0.01)  # type: ignore[arg-type]
    assert caught.value.code == "unavailable" and caught.value.retryable


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_on_this_machine_is_not_asked_through_a_proxy(
    server: Server, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    url = server.url.replace("127.0.0.1", host)
    assert VllmServeEngine([url], "tiny", Encoder(), 0.01)  # type: ignore[arg-type]
    with pytest.raises(VantageError, match="does not answer"):
        VllmServeEngine(["http://rollout-node.invalid:8000"], "tiny", Encoder(), 0.01)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url", ["", " ", "localhost:8000", "http://", "http://[::1", "http://a:0", "http://a:x", "ftp://a"]
)
def test_what_is_not_the_url_of_a_server_is_refused_by_the_settings(url: str) -> None:
    tree = {"learner": {"rollout": {"servers": ["http://127.0.0.1:8000", url]}}}
    with pytest.raises(VantageError, match=r"learner.rollout.servers.* is not the URL of a server, like http"):
        section(tree, "learner", LearnerSettings)


def test_another_model_is_reported(server: Server) -> None:
    with pytest.raises(VantageError, match="serves tiny, not large") as caught:
        engine(server, model="large")
    assert caught.value.code == "bad_config"


def test_a_server_without_runtime_lora_is_reported(server: Server, tmp_path: Path) -> None:
    server.runtime_lora = False
    with pytest.raises(VantageError, match="without runtime LoRA") as caught:
        engine(server).load_adapter("policy-v000001", adapter(tmp_path, "policy-v000001"))
    assert caught.value.code == "bad_config"


def test_log_probs_before_the_bias_are_detected(server: Server) -> None:
    server.probe_logprob = -7.5
    with pytest.raises(VantageError, match="--logprobs-mode processed_logprobs"):
        engine(server)


def test_a_different_tokenization_is_detected(server: Server) -> None:
    asked = engine(server)
    server.prompt_ids = [1, *PROMPT_IDS]
    with pytest.raises(VantageError, match="model or chat template differs"):
        asked.generate([Prompt("a")], 1, Sampling(1.0, 4))
