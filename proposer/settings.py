"""The [proposer] table of a run's configuration."""

from __future__ import annotations

from typing import Literal

import pydantic

from protocol.run.config import Section


class Endpoint(Section):
    """The source `llm`: any server with the chat completions of OpenAI's API."""

    url: str = ""  # such as http://127.0.0.1:8000/v1
    model: str = ""
    key_variable: str = ""  # environment variable that holds the key; empty: no key
    image: bool = True  # show the view to the model
    # What constrains the answer: a JSON schema, or a grammar of the JSON and of the programs, which servers with
    # structured_outputs (vLLM) understand.
    constraint: Literal["schema", "grammar"] = "schema"
    questions: int = pydantic.Field(default=4, ge=1, le=32)  # asked for in one call
    max_tokens: int = pydantic.Field(default=1200, ge=64, le=32_768)  # of one answer
    timeout_s: float = pydantic.Field(default=60.0, gt=0, le=3600)
    retries: int = pydantic.Field(default=2, ge=0, le=10)
    calls_per_minute: float = pydantic.Field(default=6.0, gt=0, le=600)
    budget_calls: int = pydantic.Field(default=1000, ge=1)  # of one process
    price_per_million_in: float = pydantic.Field(default=0.0, ge=0)  # of tokens, for the cost counter
    price_per_million_out: float = pydantic.Field(default=0.0, ge=0)


class ProposerSettings(Section):
    """Settings of the proposer, which writes new kinds of questions for a live run."""

    source: Literal["none", "composer", "llm"] = "none"
    depth: int = pydantic.Field(default=3, ge=1, le=5)  # most relations that a composed question combines
    views: int = pydantic.Field(default=1, ge=1, le=2)  # 2: also questions about two images
    looks: int = pydantic.Field(default=4, ge=1, le=16)  # views of each scene that questions are sought for
    per_minute: float = pydantic.Field(default=240.0, gt=0, le=60_000)  # questions that the simulator examines
    llm: Endpoint = Endpoint()

    @pydantic.model_validator(mode="after")
    def _has_endpoint(self) -> ProposerSettings:
        if self.source == "llm" and not (self.llm.url and self.llm.model):
            raise ValueError('source = "llm" needs llm.url and llm.model')
        return self
