"""Timeouts: of one request, which shall not outlast its call, and of who waits for a result."""

from __future__ import annotations

import math
from typing import Any

import requests
from urllib3.util import Timeout

from .._clock import Clock

_SHORTEST = 0.001  # seconds: urllib3 refuses 0
_A_MOMENT = 0.1  # seconds: what has been sent is read, however late it is
_LONGEST = 2_000_000.0  # seconds: a socket refuses what its platform's poll() cannot hold


def check_timeout(timeout: float | None) -> None:
    """:raises ValueError: ``timeout``, in seconds, is no number: nobody knows when it is over."""
    if timeout is not None and math.isnan(timeout):
        raise ValueError(f"timeout={timeout!r} is not accepted: it takes seconds, or None")


def within(deadline: float | None, clock: Clock, timeout: Any, least: float = _SHORTEST) -> Any:
    """``timeout``, as requests takes it, but no later than ``deadline`` by ``clock``; None: any.

    Numbers stay numbers, as an adapter of others may know nothing else.

    :param least: so many seconds are left, however late it is.
    """
    if deadline is None:
        return timeout
    left = min(max(deadline - clock.monotonic(), least), _LONGEST)
    if isinstance(timeout, Timeout):
        bounded = timeout.clone()
        bounded.total = _shorter(timeout.total, left)
        return bounded
    if isinstance(timeout, tuple):
        return tuple(_shorter(part, left) for part in timeout)
    return _shorter(timeout, left)


def shorten(response: requests.Response, deadline: float | None, clock: Clock) -> None:
    """No read of what is yet to come of ``response`` outlasts ``deadline``, but by a moment."""
    sock = _socket(response)
    if deadline is None or sock is None:
        return
    sock.settimeout(within(deadline, clock, sock.gettimeout(), _A_MOMENT))


def leave_to_caller(response: requests.Response, timeout: Any) -> None:
    """What is streamed is the caller's: no time but the ``timeout`` that the caller gave holds for
    the body of ``response``."""
    sock = _socket(response)
    if isinstance(timeout, Timeout):
        timeout = timeout.clone()
        timeout.start_connect()  # it says nothing of a total that has not begun
        timeout = timeout.read_timeout
    elif isinstance(timeout, tuple):
        timeout = timeout[-1]
    if sock is not None and (timeout is None or isinstance(timeout, (int, float))):
        sock.settimeout(timeout)


def _socket(response: requests.Response) -> Any:
    """What the body of ``response`` comes from; None where nothing is to come."""
    if getattr(response.raw, "length_remaining", None) == 0:
        return None
    return getattr(getattr(response.raw, "_connection", None), "sock", None)


def _shorter(timeout: Any, left: float) -> Any:
    if timeout is None:
        return left
    # what is no timeout is for requests to refuse, and urllib3 has a mark for "the default"
    return min(timeout, left) if isinstance(timeout, (int, float)) else timeout
