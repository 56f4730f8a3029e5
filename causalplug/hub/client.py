"""The Hub's client, and what its errors mean for the user.

Everything that goes wrong between here and the Hub becomes a
:class:`~causalplug.errors.RepositoryError` that says what to do. No token is ever part of a
message.
"""

from __future__ import annotations

__all__ = ["hub_api", "hub_errors", "is_transient", "patiently", "redact", "transport_error"]

import contextlib
import errno
import logging
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from causalplug.errors import RepositoryError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Result = TypeVar("Result")
logger = logging.getLogger(__name__)

_WRONG = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError)
_TOKEN = re.compile(r"\bhf_(?:oauth_)?[A-Za-z0-9]{6,}")


def hub_api(token: bool | str | None = None) -> HfApi:
    """Return the client for the Hub that ``HF_ENDPOINT`` names; it says that causalplug is
    asking."""
    from huggingface_hub import HfApi

    from causalplug import __version__

    return HfApi(token=token, library_name="causalplug", library_version=__version__)


def redact(text: str, token: bool | str | None = None) -> str:
    """Return the text without tokens: the given one, the logged-in one, and whatever looks like
    one."""
    from huggingface_hub import get_token

    for secret in (token, get_token()):
        if isinstance(secret, str) and len(secret) > 3:
            text = text.replace(secret, "[token]")
    return _TOKEN.sub("[token]", text)


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: connections that broke, slow answers, 429 and 5xx, files
    that arrived in part."""
    from huggingface_hub import errors

    if isinstance(error, errors.HfHubHTTPError):
        return error.response.status_code in (408, 429, 500, 502, 503, 504)
    if closed_midway(error):
        return True
    if isinstance(
        error, errors.LocalEntryNotFoundError | RuntimeError
    ):  # the client wraps the cause in these
        return error.__cause__ is not None and is_transient(error.__cause__)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return False
    return isinstance(error, transport_error()) or (
        isinstance(error, OSError) and "Consistency check failed" in str(error)
    )


def patiently(call: Callable[[], Result], what: str, *, attempts: int = 3) -> Result:
    """Return what ``call`` returns; try again after a second, and after two, where that may help.

    Args:
        call: what to do; may be done twice.
        what: for the log, such as "download of me/x".
        attempts: how often to try.
    """
    for attempt in range(1, attempts):
        try:
            return call()
        except (OSError, RuntimeError, AttributeError, transport_error()) as error:
            if not is_transient(error):
                raise
            logger.warning("%s broke off (%s), trying again", what, type(error).__name__)
            time.sleep(attempt)
    return call()


@contextlib.contextmanager
def hub_errors(
    action: str, repo_id: str, revision: str | None = None, *, token: bool | str | None = None
) -> Iterator[None]:
    """Turn the client's errors into ours.

    Args:
        action: what cannot be done if it fails, such as "load me/x".
        repo_id: the repository.
        revision: the branch, tag or commit that was asked for.
        token: as the user gave it, so that it can be kept out of messages.
    """
    answered: tuple[type[Exception], ...] = (transport_error(), *unresolved(), *_WRONG)
    try:
        yield
    except RepositoryError:
        raise
    except answered as error:
        message = redact(f"cannot {action}: {_reason(error, repo_id, revision)}", token)
        told = str(error)
        if redact(told, token) != told:  # the original text must not be printed as the cause either
            raise RepositoryError(message) from None
        raise RepositoryError(message) from error


def closed_midway(error: BaseException) -> bool:
    """Whether one thread of the client closed the connection that another was about to use."""
    return isinstance(error, AttributeError) or (
        isinstance(error, RuntimeError) and "client has been closed" in str(error)
    )


def transport_error() -> type[Exception]:
    """The parent of all errors of the HTTP library, which differs between versions of the
    client."""
    from huggingface_hub import errors

    parent = errors.HfHubHTTPError.__bases__[0]
    if parent.__module__.startswith("requests"):  # where broken connections are its siblings
        return parent.__bases__[0]
    return parent


def unresolved() -> tuple[type[Exception], ...]:
    """The client's error where a branch cannot be resolved, which older versions do not have."""
    from huggingface_hub import errors

    found = vars(errors).get("RevisionResolutionError")
    if found is None:
        return ()
    return (found,)


def _reason(error: BaseException, repo_id: str, revision: str | None) -> str:
    from huggingface_hub import constants, errors

    missing = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, *unresolved())
    log_in = "log in with `hf auth login` or pass token=…"
    match error:
        case errors.GatedRepoError():  # a child of RepositoryNotFoundError
            return (
                f"{repo_id} is gated, its owner asks you to accept conditions. Accept them at "
                f"{constants.ENDPOINT}/{repo_id}, then {log_in}"
            )
        case errors.RepositoryNotFoundError():
            return (
                f"there is no repository {repo_id}, or it is private. Check the name; if it is "
                f"private, {log_in}"
            )
        case errors.RevisionNotFoundError():
            return (
                f'{repo_id} has no branch, tag or commit "{revision}". Check revision=…, or leave '
                'it out for "main"'
            )
        case errors.DisabledRepoError():
            return (
                f"{repo_id} was disabled by the Hub, nobody can read it. Ask its owner, or use "
                "another repository"
            )
        case _ if isinstance(error, missing):
            if error.__cause__ is not None and not isinstance(
                error.__cause__, errors.OfflineModeIsEnabled
            ):
                return f"{_reason(error.__cause__, repo_id, revision)}; and it is not in the cache"
            return (
                f"{repo_id} is not in the cache, at least not all of it, and the network may not "
                "be used. Load it once with network (local_files_only=False, HF_HUB_OFFLINE=0), "
                "or give the right cache_dir=…"
            )
        case errors.EntryNotFoundError():
            return (
                f"{repo_id} does not have a file that was asked for. Check the name and revision=…"
            )
        case RuntimeError() if error.__cause__ is not None:
            return _reason(error.__cause__, repo_id, revision)
        case errors.HFValidationError():
            return (
                f'"{repo_id}" is not the name of a repository. Write owner/name, or the path of a '
                "folder that exists"
            )
        case errors.HfHubHTTPError():
            return _status(error)
        case _ if isinstance(error, transport_error()) or closed_midway(error):
            return (
                f"the Hub at {constants.ENDPOINT} cannot be reached ({type(error).__name__}). Try "
                "again later"
            )
        case OSError() if error.errno == errno.ENOSPC:
            return "the disk is full. Free some space or give another cache_dir=…"
        case OSError() if error.errno is not None:
            return (
                f"{error.filename}: {error.strerror}. Give another cache_dir=… or correct the "
                "permissions"
            )
        case OSError() if "Consistency check failed" in str(error):
            return (
                "the connection broke before a file was complete. Try again; what has arrived is "
                "kept"
            )
        case _:
            return (
                f"the Hub's answer makes no sense ({type(error).__name__}: {str(error)[:200]}). "
                "Try again later"
            )


def _status(error: BaseException) -> str:
    response = error.response  # type: ignore[attr-defined]
    code = response.status_code
    said = str(
        getattr(error, "server_message", "") or response.headers.get("X-Error-Message") or ""
    ).strip()
    if said:
        said = f" ({said[:300]})"
    else:
        said = ""
    if code == 401:
        return (
            f"the Hub does not accept your token{said}. Log in again with `hf auth login`, or "
            "pass another token=…"
        )
    if code == 403:
        return (
            f"your token does not allow it{said}. Pass a token=… with the needed permission, or "
            "ask the owner"
        )
    if code == 412:
        return (
            f"someone else changed the repository in the meantime{said}. Load the newest state "
            "and push again"
        )
    if code == 429:
        return f"the Hub has had too many requests from you{said}. Wait some minutes and try again"
    if code >= 500:
        return (
            f"the Hub has a problem of its own, {code}{said}. Try again later; what has arrived "
            "is kept"
        )
    return f"the Hub refused with {code}{said}. Correct what it names and try again"
