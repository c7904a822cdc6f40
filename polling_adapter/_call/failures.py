"""What a request may fail with, and what that says."""

from __future__ import annotations

import re

import requests
from urllib3.exceptions import ReadTimeoutError, ResponseError

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


def what_failed(error: requests.RequestException) -> str | int:
    """The kind of ``error``; where urllib3 has tried again and again, the status that it got."""
    if isinstance(error, requests.exceptions.RetryError) and error.args:
        found = _TOO_MANY.search(str(getattr(error.args[0], "reason", "")))
        if found is not None:
            return int(found[1])
    return type(error).__name__
