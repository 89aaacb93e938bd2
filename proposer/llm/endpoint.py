"""Calls of a chat endpoint, within limits of time, size, rate and budget."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from typing import Any, Callable, Mapping, Sequence

from proposer.settings import Endpoint
from protocol.errors import VantageError

MOST_BYTES = 2**20  # of one answer
_CHUNK = 2**16
_BACKOFF_S = 1.0  # doubles with each retry


class Chat:
    """Sends prompts to one endpoint. `wait(seconds)` sleeps and returns whether the process is to stop."""

    def __init__(self, settings: Endpoint, wait: Callable[[float], bool]) -> None:
        """Raises VantageError("bad_config") for an address that is not http or https, or a key that is not set."""
        self._settings, self._wait = settings, wait
        self._url = settings.url.rstrip("/") + "/chat/completions"
        if urllib.parse.urlsplit(self._url).scheme not in ("http", "https"):
            raise VantageError(
                "bad_config", f"proposer.llm.url is {settings.url!r}; it begins with http:// or https://."
            )
        self._headers = {"Content-Type": "application/json"}
        if settings.key_variable:
            key = os.environ.get(settings.key_variable)
            if not key:
                raise VantageError(
                    "bad_config",
                    f"proposer.llm.key_variable names {settings.key_variable}, which is not set; set it to the key.",
                )
            self._headers["Authorization"] = f"Bearer {key}"
        self._counts: Counter[str] = Counter()
        self._free_at = 0.0  # monotonic

    @property
    def figures(self) -> dict[str, float]:
        """Calls, failed calls, tokens, and the cost at the configured prices."""
        million = 1e6
        cost = (
            self._counts["tokens_in"] * self._settings.price_per_million_in
            + self._counts["tokens_out"] * self._settings.price_per_million_out
        ) / million
        names = ("calls", "failed_calls", "tokens_in", "tokens_out")
        return {**{name: self._counts[name] for name in names}, "cost": round(cost, 6)}

    def ask(self, messages: Sequence[Mapping[str, Any]], constraint: Mapping[str, Any]) -> str:
        """The text of the answer. `constraint`: the fields of the request that constrain its form.

        Raises VantageError("unavailable") if no call succeeded, the budget is used up, or the process is to stop.
        """
        body = {
            "model": self._settings.model,
            "messages": messages,
            "max_tokens": self._settings.max_tokens,
            **constraint,
        }
        problem = ""
        for attempt in range(self._settings.retries + 1):
            if self._counts["calls"] >= self._settings.budget_calls:
                raise VantageError(
                    "unavailable",
                    f"the budget of {self._settings.budget_calls} calls is used up; raise proposer.llm.budget_calls.",
                )
            pause_s = _BACKOFF_S * 2 ** (attempt - 1) if attempt else 0.0
            if self._wait(max(pause_s, self._free_at - time.monotonic(), 0.0)):
                raise VantageError("unavailable", "the proposer is stopping.")
            self._free_at = time.monotonic() + 60.0 / self._settings.calls_per_minute
            self._counts["calls"] += 1
            try:
                return self._text(self._post(json.dumps(body).encode()))
            except (OSError, ValueError) as error:  # urllib's errors are OSErrors
                self._counts["failed_calls"] += 1
                problem = " ".join(str(error).split())[:200] or type(error).__name__
        raise VantageError("unavailable", f"{self._url} gave no usable answer: {problem}.")

    def _post(self, body: bytes) -> bytes:
        """The body of the answer. Raises OSError or ValueError."""
        end = time.monotonic() + self._settings.timeout_s
        request = urllib.request.Request(self._url, body, self._headers)
        with urllib.request.urlopen(request, timeout=self._settings.timeout_s) as response:
            parts: list[bytes] = []
            size = 0
            while chunk := response.read1(_CHUNK):
                parts.append(chunk)
                size += len(chunk)
                if size > MOST_BYTES:
                    raise ValueError(f"the answer is longer than {MOST_BYTES} bytes")
                if time.monotonic() > end:
                    raise TimeoutError(f"the answer took longer than {self._settings.timeout_s:g} s")
        return b"".join(parts)

    def _text(self, body: bytes) -> str:
        """The text in an answer. Raises ValueError if it is not an answer of a chat endpoint."""
        try:
            answer = json.loads(body)
            usage = answer.get("usage") or {}
            for name, key in (("tokens_in", "prompt_tokens"), ("tokens_out", "completion_tokens")):
                self._counts[name] += max(int(usage.get(key) or 0), 0)
            text = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError, AttributeError, RecursionError, UnicodeDecodeError) as error:
            raise ValueError(f"it is not an answer of a chat endpoint ({type(error).__name__})") from None
        except json.JSONDecodeError:
            raise ValueError(f"it is not JSON but begins with {body[:40]!r}") from None
        if not isinstance(text, str):
            raise ValueError("the answer has no text")
        return text
