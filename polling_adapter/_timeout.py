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
    if deadline is None or isinstance(timeout, Within):
        return timeout
    left = max(deadline - clock.monotonic(), _SHORTEST)
    if isinstance(timeout, Timeout):
        bounded = timeout.clone()
        bounded.total = _shorter(timeout.total, left)
        return bounded
    if isinstance(timeout, tuple):
        return tuple(_shorter(part, left) for part in timeout)
    return _shorter(timeout, left)


def always_within(deadline: float | None, clock: Clock, timeout: Any) -> Any:
    """As :func:`within`, but for urllib3, which asks anew for each try of its own."""
    if deadline is None:
        return timeout
    if timeout is None:
        return Within(deadline, clock, None, None)
    parts = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(parts) == 2 and _is_limit(parts[0]) and _is_limit(parts[1]):
        return Within(deadline, clock, *parts)
    return within(deadline, clock, timeout)


class Within(Timeout):
    """The seconds of ``connect`` and ``read``, but no later than ``deadline`` by ``clock``.

    Nothing of it changes while it is used, so it needs no copies: urllib3 makes two for each
    request, and checks the numbers each time.
    """

    def __init__(
        self, deadline: float, clock: Clock, connect: float | None, read: float | None
    ) -> None:
        self._deadline = deadline
        self._clock = clock
        self._to_connect = connect
        self._to_read = read

    def __repr__(self) -> str:
        return f"Timeout(connect={self.connect_timeout!r}, read={self.read_timeout!r})"

    def clone(self) -> Within:
        return self

    def start_connect(self) -> float:
        return self._clock.monotonic()

    @property
    def connect_timeout(self) -> float:
        return self._within(self._to_connect)

    @property
    def read_timeout(self) -> float:
        return self._within(self._to_read)

    def _within(self, seconds: float | None) -> float:
        left = self._deadline - self._clock.monotonic()
        if left < _SHORTEST:
            left = _SHORTEST
        return left if seconds is None or seconds > left else seconds


def _shorter(timeout: Any, left: float) -> Any:
    if timeout is None:
        return left
    # what is no timeout is for requests to refuse, and urllib3 has a mark for "the default"
    return min(timeout, left) if isinstance(timeout, (int, float)) else timeout


def _is_limit(timeout: object) -> bool:
    if timeout is None:
        return True
    return isinstance(timeout, (int, float)) and timeout is not True and timeout > 0
