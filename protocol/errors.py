"""Errors that a user can cause, as typed data: a code, one sentence that says what to do, and `retryable`."""

from __future__ import annotations

RETRYABLE_CODES = frozenset({"busy", "unavailable", "timeout", "draining"})

CODES = frozenset(
    {
        "bad_request",  # the message or its values are wrong
        "bad_config",  # a configuration key or value is wrong
        "bad_reply",  # an answer does not fit its request
        "backend_missing",  # the simulator backend is not installed
        "busy",  # a queue is full
        "conflict",  # already in use: a socket, or a run that has a learner
        "corrupt",  # a file on disk does not match its manifest
        "disk_full",
        "draining",
        "infeasible",  # the spec cannot be realised; never a wrong answer
        "internal",  # a fault of this program
        "poison",  # the request killed several workers
        "timeout",
        "unavailable",  # no service answers
        "unsupported",  # the backend or service cannot do this
        "version",  # protocol or run directory of another major version
    }
)


class VantageError(Exception):
    """An error that a user or a peer can act on.

    `code` is one of CODES, `message` one sentence that says what to do.
    """

    def __init__(self, code: str, message: str, retryable: bool | None = None) -> None:
        assert code in CODES, code
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = code in RETRYABLE_CODES if retryable is None else retryable


def one_line(error: BaseException) -> str:
    """The type and message of an error on one line, at most 200 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


class Infeasible(VantageError):
    """A spec that cannot be realised, with the rule that rejected it."""

    def __init__(self, reason: str) -> None:
        super().__init__("infeasible", reason)
