"""Model cards, and exports that are uploaded to a stand-in for the model hub."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Iterator

import pytest

from learner.policy.card import write_card
from learner.policy.push import push
from learner.settings import LearnerSettings
from protocol.errors import VantageError
from protocol.run.config import section
from protocol.run.directory import RunDir
from tests.support.hub import Hub


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name, files in {"merged": ("model.safetensors", "README.md"), "adapter": ("adapter_config.json",)}.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text(f"{name} {file}")
    return tmp_path


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    yield server
    server.close()


def test_the_merged_model_is_the_repository_and_the_adapter_a_folder_in_it(out: Path, hub: Hub) -> None:
    address = push(out, "someone/mine", hub.url)
    assert address.endswith("someone/mine")
    assert hub.private == {"someone/mine": True}
    assert hub.files["someone/mine"] == {
        "model.safetensors": b"merged model.safetensors",
        "README.md": b"merged README.md",
        "adapter/adapter_config.json": b"adapter adapter_config.json",
    }


@pytest.mark.parametrize("status", [401, 403])
def test_a_hub_that_refuses_is_named_with_the_way_to_log_in(out: Path, status: int) -> None:
    server = Hub(status)
    with pytest.raises(VantageError, match=f"HTTP {status}.: log in with `hf auth login`") as caught:
        push(out, "someone/mine", server.url)
    server.close()
    assert caught.value.code == "bad_request" and "\n" not in caught.value.message


def test_a_name_that_is_none_is_refused(out: Path, hub: Hub) -> None:
    with pytest.raises(VantageError, match="cannot be pushed") as caught:
        push(out, "a/b/c", hub.url)
    assert caught.value.code == "bad_request" and "\n" not in caught.value.message


@pytest.mark.timeout(60)
def test_a_hub_that_does_not_answer_is_unavailable(out: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(VantageError, match="the hub does not answer") as caught:
        push(out, "someone/mine", url)
    assert caught.value.code == "unavailable" and "\n" not in caught.value.message


def test_the_card_has_the_scores_and_settings_of_the_run(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", {"run": {"seed": 9}, "learner": {"grpo": {"groups": 24}}})
    settings = section(run.config, "learner", LearnerSettings)
    base = {"base": "vantage-tiny", "revision": ""}
    assert "The run has no evaluation yet." in write_card(run, settings, 3, base)
    row = {"skill": "depth_order", "level": 0, "asked": 256, "greedy": 0.8, "greedy_interval": [0.75, 0.85]}
    (run.path / "evaluations").mkdir(exist_ok=True)
    for name, score in (("before", 0.8), ("after", 0.925)):
        text = json.dumps({"rows": [{**row, "greedy": score}]})
        (run.path / "evaluations" / f"{name}.json").write_text(text)
    card = write_card(run, settings, 3, base)
    assert "| depth_order | 0 | 256 | 80.0 (75–85) | 92.5 (75–85) |" in card
    assert "groups = 24" in card and "Seed 9" in card and "base_model" not in card
    assert card.startswith("---\nlibrary_name: transformers\n")
    hub_model = settings.model_copy(update={"policy": settings.policy.model_copy(update={"model": "Qwen/a-model"})})
    assert "base_model: Qwen/a-model" in write_card(run, hub_model, 3, {**base, "base": "Qwen/a-model"})
