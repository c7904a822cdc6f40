"""The timeout of one request, which shall not outlast its call."""

from __future__ import annotations

from typing import Any

from urllib3.util import Timeout

from .clock import Clock

_SHORTEST = 0.001  # seconds: urllib3 refuses 0


def within(deadline: float | None, clock: Clock, timeout: Any) -> Any:
    """``timeout``, as requests takes it, but no later than ``deadline`` by ``clock``; None: any."""
    if deadline is None:
        return timeout
    left = deadline - clock.monotonic()
    if left < _SHORTEST:
        left = _SHORTEST
    if timeout is None or isinstance(timeout, (int, float)):
        return _shorter(timeout, left)
    if isinstance(timeout, tuple):
        return tuple(_shorter(part, left) for part in timeout)
    if isinstance(timeout, Timeout):
        bounded = timeout.clone()
        bounded.total = _shorter(timeout.total, left)
        return bounded
    return timeout  # what is no timeout is for requests to refuse


def _shorter(timeout: Any, left: float) -> Any:
    if timeout is None:
        return left
    # urllib3 has a mark for "the default", which is no number
    return min(timeout, left) if isinstance(timeout, (int, float)) else timeout
