"""Uploads an exported policy to a model hub: the merged model as the repository, the adapter in its folder adapter/."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

from protocol.errors import VantageError

_NO_RIGHT = (401, 403)


def push(out: Path, repository: str, endpoint: Optional[str] = None) -> str:
    """Upload `out`/merged and `out`/adapter; a repository that does not exist is created private. Returns its address.

    Raises VantageError: "bad_request" for an invalid name or without the right to write, "unavailable" if the hub does
    not answer.
    """
    api = huggingface_hub.HfApi(endpoint=endpoint)
    try:
        address = api.create_repo(repository, private=True, exist_ok=True)
        for name, place in (("merged", "."), ("adapter", "adapter")):
            api.upload_folder(
                repo_id=repository, folder_path=out / name, path_in_repo=place, commit_message=f"Export of {name}"
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
