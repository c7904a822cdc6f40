"""What a request may fail with, and what only looks like it."""

from __future__ import annotations

from collections.abc import Callable
from traceback import walk_tb

import requests
from requests.hooks import dispatch_hook

#: What a poll may fail with: no connection, no answer in time, an answer cut short
FAILURES = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


def is_raised_by_a_hook(
    error: requests.RequestException,
    call_of: Callable[[requests.PreparedRequest], object],
) -> bool:
    """Whether ``error`` comes out of a response hook, so that there was an answer.

    :param call_of: the call under way that a request belongs to, or None.

    What an auth handler sends in a hook belongs to the call, and so does its failure.
    """
    request = error.request if error.response is None else None
    if isinstance(request, requests.PreparedRequest) and call_of(request) is not None:
        return False
    frames = walk_tb(error.__traceback__)
    return any(frame.f_code is dispatch_hook.__code__ for frame, _ in frames)
