"""The timeout of one request, which shall not outlast its call."""

from __future__ import annotations

from typing import Any

from urllib3.util import Timeout

from .clock import Clock

_SHORTEST = 0.001  # seconds: urllib3 refuses 0


def within(deadline: float | None, clock: Clock, timeout: Any) -> Any:
    """``timeout``, as requests takes it, but no later than ``deadline`` by ``clock``; None: any.

    Numbers stay numbers, as an adapter of others may know nothing else.
    """
    if deadline is None:
        return timeout
    left = max(deadline - clock.monotonic(), _SHORTEST)
    if isinstance(timeout, Timeout):
        bounded = timeout.clone()
        bounded.total = _shorter(timeout.total, left)
        return bounded
    if isinstance(timeout, tuple):
        return tuple(_shorter(part, left) for part in timeout)
    return _shorter(timeout, left)


def for_urllib3(deadline: float | None, clock: Clock, timeout: Any) -> Any:
    """As :func:`within`, where only urllib3 sees it, which asks anew for each try of its own."""
    if deadline is None:
        return timeout
    if timeout is None or (type(timeout) in (int, float) and timeout > 0):
        return Within(deadline, clock, timeout)
    return within(deadline, clock, timeout)


class Within(Timeout):
    """So many ``seconds``, but no later than ``deadline`` by ``clock``.

    It does not change while it is used, so it needs no copies: urllib3 makes two for each request,
    and checks the numbers each time.
    """

    total = None

    def __init__(self, deadline: float, clock: Clock, seconds: float | None) -> None:
        self._deadline = deadline
        self._clock = clock
        self._seconds = seconds

    def __repr__(self) -> str:
        return f"Within({self.read_timeout} s)"

    def clone(self) -> Within:
        return self

    def start_connect(self) -> float:
        return self._clock.monotonic()

    def _least(self) -> float:
        left = self._deadline - self._clock.monotonic()
        if left < _SHORTEST:
            left = _SHORTEST
        seconds = self._seconds
        return left if seconds is None or seconds > left else seconds

    connect_timeout = property(_least)
    read_timeout = property(_least)


def _shorter(timeout: Any, left: float) -> Any:
    if timeout is None:
        return left
    # what is no timeout is for requests to refuse, and urllib3 has a mark for "the default"
    return min(timeout, left) if isinstance(timeout, (int, float)) else timeout
