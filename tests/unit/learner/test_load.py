"""Loading policies from a hub: revisions, and a hub that does not answer."""

from __future__ import annotations

import logging
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Iterator

import huggingface_hub
import pytest
import transformers

from learner.policy import load as module
from learner.policy.build import build, save
from learner.policy.load import TINY, load
from learner.rollouts.serve_vllm import command
from learner.settings import LearnerSettings, PolicySettings
from protocol.errors import VantageError

HUB = "someone/a-model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """A hub with one model; yields the options with which its files are asked for."""
    save(*build(0), tmp_path)
    seen: list[dict[str, Any]] = []

    def from_pretrained(original: Any) -> Any:
        def read(source: str, revision: Any = None, local_files_only: bool = False, **options: Any) -> Any:
            assert source == HUB
            seen.append({"revision": revision, "local": local_files_only})
            return original(str(tmp_path), **options)

        return read

    for kind in (transformers.AutoProcessor, transformers.AutoModelForImageTextToText):
        monkeypatch.setattr(kind, "from_pretrained", from_pretrained(kind.from_pretrained))
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: SimpleNamespace(sha=COMMIT))
    yield seen


def test_a_revision_applies_to_every_file_and_engine(
    asked: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    load(HUB, revision=COMMIT)
    assert asked == [{"revision": COMMIT, "local": False}] * 2 and not caplog.records
    settings = LearnerSettings(policy=PolicySettings(model=HUB, revision=COMMIT))
    words = command(settings, 1, "127.0.0.1", 8000, True, [])
    for option in ("--revision", "--tokenizer-revision"):
        assert words[words.index(option) + 1] == COMMIT
    assert words[words.index("--generation-config") + 1] == "vllm"  # no penalties and limits of the model's own


def test_a_hub_model_without_a_revision_is_named_with_the_present_one(
    asked: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    load(HUB)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and f'learner.policy.revision = "{COMMIT}"' in record.getMessage()


def test_a_revision_of_a_folder_is_refused() -> None:
    with pytest.raises(VantageError, match="revision applies to hub models only, and vantage-tiny is") as caught:
        load(TINY, revision=COMMIT)
    assert caught.value.code == "bad_config"


@pytest.mark.timeout(60)
def test_a_hub_that_does_not_answer_costs_one_short_wait(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_HUB_S", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
        original = huggingface_hub.HfApi.model_info
        monkeypatch.setattr(
            huggingface_hub.HfApi,
            "model_info",
            lambda self, *args, **options: original(huggingface_hub.HfApi(endpoint), *args, **options),
        )
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        start = time.monotonic()
        with pytest.raises(
            VantageError, match="the model hub does not answer .*, and someone/a-model was not"
        ) as caught:
            load(HUB)
    assert time.monotonic() - start < 10
    assert caught.value.code == "bad_config" and "\n" not in caught.value.message


def test_a_downloaded_model_is_used_while_the_hub_does_not_answer(
    asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def model_info(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    load(HUB)
    assert asked == [{"revision": None, "local": True}] * 2


def test_a_model_whose_processor_needs_a_missing_library_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like that of SmolVLM2, which needs num2words."""

    def fail(*_: Any, **__: Any) -> Any:
        raise ImportError("Package `num2words` is required.\nInstall it.")

    save(*build(0), tmp_path)
    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", fail)
    with pytest.raises(VantageError, match="needs a library that is not installed: Package `num2words`") as caught:
        load(str(tmp_path))
    assert caught.value.code == "bad_config" and "\n" not in caught.value.message
