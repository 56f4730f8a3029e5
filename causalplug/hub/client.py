"""The Hub's client, and what its errors mean for the user.

Everything that goes wrong between here and the Hub becomes a
:class:`~causalplug.errors.RepositoryError` that says what to do. No token is ever part of a
message.
"""

from __future__ import annotations

__all__ = [
    "bound_requests",
    "hub_api",
    "hub_errors",
    "is_transient",
    "patiently",
    "redact",
    "refuse_tokens",
    "refused_for_now",
    "transport_error",
]

import contextlib
import errno
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from causalplug.errors import RepositoryError, without_tokens

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Result = TypeVar("Result")
logger = logging.getLogger(__name__)

_READ_SECONDS = 60.0
_LONGEST_WAIT = 60.0  # seconds that a server may ask for
_WRONG = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, AssertionError)
_TOKEN = re.compile(r"\bhf_(?:oauth_)?[A-Za-z0-9]{6,}")


def hub_api(token: bool | str | None = None) -> HfApi:
    """Return the client for the Hub that ``HF_ENDPOINT`` names; it says that causalplug is
    asking."""
    from huggingface_hub import HfApi

    from causalplug import __version__

    bound_requests()
    return HfApi(token=token, library_name="causalplug", library_version=__version__)


def bound_requests() -> None:
    """Give the client's requests time-outs, where it has none.

    ``HF_HUB_ETAG_TIMEOUT`` (10 seconds) bounds the time until a connection stands, and
    ``HF_HUB_DOWNLOAD_TIMEOUT`` (60 seconds here) the time between two pieces of an answer. In
    any such time an answer must bring 1,000 bytes a second on average, and its headers must be
    complete after it, however they arrive. A client of the user's own
    (``huggingface_hub.set_client_factory``) with time-outs keeps them.
    """
    from huggingface_hub import constants

    try:
        from huggingface_hub import get_session, set_client_factory
    except ImportError:  # before version 1 of the client
        return
    found = get_session()
    if found.timeout.read is not None:
        return
    read = float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
    if "HF_HUB_DOWNLOAD_TIMEOUT" not in os.environ:
        read = _READ_SECONDS
    limits = type(found.timeout)(read, connect=float(constants.HF_HUB_ETAG_TIMEOUT))
    seconds = limits.as_dict()

    def bound(request: Any) -> None:
        """Fill in the time-outs of a request that asks for none."""
        asked = request.extensions.get("timeout") or {}
        chosen = {name: asked.get(name) or longest for name, longest in seconds.items()}
        request.extensions["timeout"] = chosen

    from causalplug.hub.deadlines import with_deadlines
    from causalplug.hub.slow_answers import refuse_slow_answers

    make = with_deadlines(type(found), read)
    hooks: dict[str, list[Callable[..., Any]]] = {
        "request": [*found.event_hooks["request"], bound],
        "response": [*found.event_hooks["response"], refuse_slow_answers(found, read)],
    }
    set_client_factory(lambda: make(event_hooks=hooks, follow_redirects=True, timeout=limits))


def refuse_tokens(texts: object, cannot: str, at: str = "") -> None:
    """Raise where a text that is to be published holds a token, without showing it.

    Args:
        texts: Texts by the argument that they were given as, however nested.
        cannot: What cannot be done, for the message.
        at: The argument.

    Raises:
        RepositoryError: A text holds a token.
    """
    if isinstance(texts, Mapping):
        for name, value in texts.items():
            refuse_tokens(name, cannot, at)
            refuse_tokens(value, cannot, at or str(name))
    elif isinstance(texts, list | tuple | set):
        for value in texts:
            refuse_tokens(value, cannot, at)
    elif isinstance(texts, str | os.PathLike) and without_tokens(str(texts)) != str(texts):
        raise RepositoryError(
            f"cannot {cannot}: {at}= holds what looks like a token of Hugging Face, which "
            "everybody could read. Take it out, and revoke it if it was published before"
        )


def redact(text: str, token: bool | str | None = None) -> str:
    """Return the text without tokens: the given one, the logged-in one, and whatever looks like
    one."""
    from huggingface_hub import get_token

    for secret in (token, get_token()):
        if isinstance(secret, str) and len(secret) > 3:
            text = text.replace(secret, "[token]")
    return _TOKEN.sub("[token]", without_tokens(text))


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: connections that broke, slow answers, 429 and 5xx, files
    that arrived in part."""
    from huggingface_hub import errors

    if closed_midway(error):
        return True
    wrapping: tuple[type[BaseException], ...] = (errors.LocalEntryNotFoundError, *unresolved())
    if isinstance(error, (*wrapping, RuntimeError)):  # the client wraps the cause in these
        return error.__cause__ is not None and is_transient(error.__cause__)
    code = _status_code(error)
    if code is not None:
        return code in (408, 429, 500, 502, 503, 504)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return False
    return isinstance(error, transport_error()) or (
        isinstance(error, OSError) and "Consistency check failed" in str(error)
    )


def _status_code(error: BaseException) -> int | None:
    """The status of the answer that an error is about; older clients raise those of the HTTP
    library as they are."""
    answer = vars(error).get("response")
    if not isinstance(error, transport_error()) or answer is None:
        return None
    return int(answer.status_code)


def refused_for_now(error: BaseException) -> float | None:
    """Seconds after which the server wants to be asked again, where it said 429 or 503; None for
    other errors."""
    from huggingface_hub import errors

    wrapped: tuple[type[BaseException], ...] = (errors.LocalEntryNotFoundError, *unresolved())
    if isinstance(error, wrapped) and error.__cause__ is not None:
        return refused_for_now(error.__cause__)
    if _status_code(error) not in (429, 503):
        return None
    told = str(vars(error)["response"].headers.get("Retry-After", "")).strip()
    if not told.isdecimal():
        return 1.0
    return min(float(told), _LONGEST_WAIT)


def patiently(call: Callable[[], Result], what: str, *, attempts: int = 3) -> Result:
    """Return what ``call`` returns; try again after a second, and after two, or after as long as
    the server asks for, where that may help.

    Args:
        call: What to do; may be done twice.
        what: For the log, such as "download of me/x".
        attempts: How often to try.
    """
    for attempt in range(1, attempts):
        try:
            return call()
        except _attempt_errors() as error:
            if not is_transient(error):
                raise
            logger.warning("%s broke off (%s), trying again", what, type(error).__name__)
            time.sleep(max(attempt, refused_for_now(error) or 0))
    return call()


@contextlib.contextmanager
def hub_errors(
    action: str, repo_id: str, revision: str | None = None, *, token: bool | str | None = None
) -> Iterator[None]:
    """Turn the client's errors into ours.

    Args:
        action: What cannot be done if it fails, such as "load me/x".
        repo_id: The repository.
        revision: The branch, tag or commit that was asked for.
        token: As the user gave it, so that it can be kept out of messages.
    """
    answered: tuple[type[Exception], ...] = (transport_error(), *unresolved(), *_WRONG)
    try:
        yield
    except RepositoryError:
        raise
    except answered as error:
        message = redact(f"cannot {action}: {_reason(error, repo_id, revision)}", token)
        told = _chain(error)
        if redact(told, token) != told:  # the original text must not be printed as the cause either
            raise RepositoryError(message) from None
        raise RepositoryError(message) from error


def _chain(error: BaseException | None) -> str:
    """All that a traceback would print of an error and of those behind it."""
    texts: list[str] = []
    while error is not None and len(texts) < 20:
        texts.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def closed_midway(error: BaseException) -> bool:
    """Whether one thread of the client closed the connection that another was about to use."""
    return isinstance(error, AttributeError) or (
        isinstance(error, RuntimeError) and "client has been closed" in str(error)
    )


def _attempt_errors() -> tuple[type[Exception], ...]:
    """What may be raised by a request that is worth another try."""
    return (OSError, RuntimeError, AttributeError, *unresolved(), transport_error())


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
        case errors.LocalTokenNotFoundError():
            return f"nobody is logged in. First {log_in}"
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
        case _ if _status_code(error) is not None:
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
