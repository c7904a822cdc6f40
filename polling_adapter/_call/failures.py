"""What a request may fail with, what that says, and what of it is shown or kept."""

from __future__ import annotations

import re
import traceback
from typing import Any

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError, ResponseError

from .._rules.address import without_secrets

#: What a poll may fail with: no connection, no answer in time, an answer cut short
FAILURES = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.RetryError,
)

_TOO_MANY = re.compile(ResponseError.SPECIFIC_ERROR.replace("{status_code}", "([0-9]+)"))


def is_timeout(error: requests.RequestException) -> bool:
    """Whether ``error`` says that something took too long. requests makes a ConnectionError of it
    where a body is read."""
    inner = error.args[0] if error.args else None
    return isinstance(error, requests.Timeout) or isinstance(inner, ReadTimeoutError)


def is_of_a_body(error: requests.RequestException) -> bool:
    """Whether ``error`` came where a body was read: it has no request, and what urllib3 raised."""
    inner = error.args[0] if error.args else None
    return error.request is None and isinstance(inner, HTTPError)


def what_failed(error: requests.RequestException) -> str | int:
    """The kind of ``error``; where urllib3 has tried again and again, the status that it got."""
    if isinstance(error, requests.exceptions.RetryError) and error.args:
        found = _TOO_MANY.search(str(getattr(error.args[0], "reason", "")))
        if found is not None:
            return int(found[1])
    return type(error).__name__


def kept_below(error: requests.RequestException) -> Any:
    """The last answer that urllib3 got, where it has tried again and again, whichever adapter it is
    below: its error says the status alone, but the frame that raised it knows what was asked for
    (P1). None: there is none."""
    if not isinstance(error, requests.exceptions.RetryError) or not error.args:
        return None
    response = None
    for frame, _ in traceback.walk_tb(error.args[0].__traceback__):
        response = frame.f_locals.get("response")
    return response


def show_no_secrets(error: BaseException) -> None:
    """Take userinfo and what is in a query out of the messages of ``error``, and of what it comes
    of. They are the same errors as before, of requests and urllib3 alone."""
    chain: list[object] = [error]
    for one in chain:
        if isinstance(one, (requests.RequestException, HTTPError)):
            one.args = tuple(
                without_secrets(arg) if isinstance(arg, str) else arg for arg in one.args
            )
            further = (*one.args, one.__cause__, one.__context__)
            chain += [other for other in further if all(other is not known for known in chain)]


class _Traceback(Exception):
    """Shows where the error of a job was raised."""


def without_frames(error: Exception) -> Exception:
    """``error`` as a poller keeps it: its frames know the poller, and the cycle would keep all of
    them until the collector comes. Where it was raised in code of the caller's, it still says."""
    if not isinstance(error, requests.RequestException):
        shown = "".join(traceback.format_exception(error))
        _set("__cause__", error, _Traceback(f"\n{shown}"))
    chain: list[BaseException | None] = [error]
    while chain:
        one = chain.pop()
        if one is not None and one.__traceback__ is not None:
            _set("__traceback__", one, None)
            chain += [one.__cause__, one.__context__]
    return error


def _set(name: str, error: BaseException, value: object) -> None:
    """As Python itself sets it: errors of some classes are frozen."""
    getattr(BaseException, name).__set__(error, value)
