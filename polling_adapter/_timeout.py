"""The timeout of one request, which shall not outlast its call."""

from __future__ import annotations

from typing import Any

from urllib3.util import Timeout

_SHORTEST = 0.001  # seconds: urllib3 refuses 0


def within(left: float | None, timeout: Any) -> Any:
    """``timeout``, as requests takes it, but no more than the seconds ``left``; None: any."""
    if left is None:
        return timeout
    left = max(left, _SHORTEST)
    if timeout is None:
        return left
    if isinstance(timeout, tuple):
        return tuple(_shorter(part, left) for part in timeout)
    if isinstance(timeout, Timeout):
        bounded = timeout.clone()
        bounded.total = _shorter(timeout.total, left)
        return bounded
    return _shorter(timeout, left)


def _shorter(timeout: Any, left: float) -> Any:
    if timeout is None:
        return left
    # what is no number is for requests to refuse, or is urllib3's mark for "the default"
    return min(timeout, left) if isinstance(timeout, (int, float)) else timeout
