"""Bodies that nobody is to read."""

from __future__ import annotations

import logging
from collections.abc import Callable

import requests

from .read_ahead import UNREADABLE, forget, is_read_in_part, kept, looked_at, unread

logger = logging.getLogger("polling_adapter")


# What may be wrong with the body of a redirect that requests follows
_NOT_MINDED = (
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    RuntimeError,
)


def release(response: requests.Response, out_of_time: Callable[[], bool]) -> None:
    """Give the connection of a response that is not the result back: whoever waits holds none.

    What was read stays in ``response.content``; a body that is longer than ``BODY_LIMIT``, cannot
    be decoded or is still dripping when the call is ``out_of_time`` is dropped, connection and all.
    """
    raw = response.raw
    if raw is None or response._content_consumed:
        return
    is_empty = getattr(raw, "length_remaining", None) == 0  # nothing follows the headers
    body = b"" if is_empty else _within_bounds(response, out_of_time)
    if body is None:
        return
    try:
        if hasattr(raw, "drain_conn"):
            raw.drain_conn()
    except RuntimeError:  # urllib3 before 2.6.3, of what a hook has decoded in part
        raw.close()
    response._content, response._content_consumed = body, True
    response.close()


def leave_unread(response: requests.Response, out_of_time: Callable[[], bool]) -> None:
    """As :func:`release`, but what there is of the body is yet to be read."""
    if not hasattr(response.raw, "_fp"):
        release(response, out_of_time)
        unread(response)
    elif _within_bounds(response, out_of_time) is None:
        unread(response)  # there is nothing


def _within_bounds(response: requests.Response, out_of_time: Callable[[], bool]) -> bytes | None:
    """The body, which stays unread (a mock's does not); None: it is of no use, and dropped."""
    try:
        if hasattr(response.raw, "_fp"):
            return looked_at(response, out_of_time)
        return kept(response.iter_content(1), out_of_time)
    except UNREADABLE as error:
        logger.debug("the body of a %s is dropped: %r", response.status_code, error)
        drop(response)
        return None
    except BaseException:  # of a handler of signals
        drop(response)
        raise


def is_lost(response: requests.Response) -> bool:
    """Whether somebody has begun to read the body, and was interrupted: the rest alone is of no
    use."""
    raw = response.raw
    if response._content_consumed or not hasattr(raw, "tell") or not hasattr(raw, "closed"):
        return False
    return is_read_in_part(raw) or (raw.closed and getattr(raw, "length_remaining", None) != 0)


def read_or_drop(response: requests.Response) -> None:
    """Read the body of a redirect, as requests does where it follows: whatever is wrong with it
    does not matter."""
    try:
        _ = response.content
    except _NOT_MINDED:
        drop(response)


def drop(response: requests.Response) -> None:
    """Let a body go, connection and all."""
    if response.raw is not None:
        response.raw.close()
        forget(response.raw)
    response._content, response._content_consumed = b"", True
    response.close()
