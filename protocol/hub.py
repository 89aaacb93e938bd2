"""Uploads folders to a repository of the model hub. Needs huggingface_hub (the extra `hub`)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Optional, Sequence

from protocol.errors import VantageError

_NO_RIGHT = (401, 403)


class Upload(NamedTuple):
    """A folder, its place in the repository ("." is the root), and the patterns of its files that are uploaded."""

    folder: Path
    place: str
    message: str
    patterns: Optional[Sequence[str]] = None  # None: all files


def check_installed() -> None:
    """Raises VantageError("unsupported") if huggingface_hub is not installed."""
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise VantageError("unsupported", "--push needs huggingface_hub: pip install 'vantage-loop[hub]'.") from None


def push(repository: str, uploads: Sequence[Upload], kind: str = "model", endpoint: Optional[str] = None) -> str:
    """Upload folders, one commit each; a repository that does not exist is created private. Returns its address.

    `kind` is "model" or "dataset". Raises VantageError: "unsupported" without huggingface_hub, "bad_request" for an
    invalid name or without the right to write, "unavailable" if the hub does not answer.
    """
    check_installed()
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = huggingface_hub.HfApi(endpoint=endpoint)
    try:
        address = api.create_repo(repository, repo_type=kind, private=True, exist_ok=True)
        for upload in uploads:
            api.upload_folder(
                repo_id=repository,
                repo_type=kind,
                folder_path=upload.folder,
                path_in_repo=upload.place,
                commit_message=upload.message,
                allow_patterns=None if upload.patterns is None else list(upload.patterns),
            )
    except (LocalTokenNotFoundError, HFValidationError) as error:
        raise VantageError("bad_request", f"{repository} cannot be pushed: {_first_line(error)}") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in _NO_RIGHT:
            raise VantageError(
                "bad_request",
                f"the hub refuses to write {repository} (HTTP {status}): log in with `hf auth login`, or set HF_TOKEN "
                "to a token that may write there.",
            ) from error
        raise VantageError("unavailable", f"the hub did not take {repository} (HTTP {status}): try again.") from error
    except Exception as error:  # of the HTTP library, which the hub's client does not wrap
        raise VantageError("unavailable", f"the hub does not answer ({_first_line(error)}): try again.") from error
    return str(address)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".") + "."
