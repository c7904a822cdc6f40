"""Time: the only module that touches it, so that a fake clock makes tests instant."""

from __future__ import annotations

import threading
import time
from typing import Protocol

# time.sleep() takes no more than what its platform's timer holds: a day is less than any of them
_LONGEST = 86400.0


class Clock(Protocol):
    """What a policy's ``clock`` must offer; all three in seconds."""

    def monotonic(self) -> float:
        """Seconds that never jump: waits and deadlines are measured with it."""

    def time(self) -> float:
        """Seconds since the epoch: HTTP-dates are compared with it."""

    def sleep(self, seconds: float) -> None:
        """Block for at least ``seconds``."""


class SystemClock:
    """The clock of this machine."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def sleep(self, seconds: float) -> None:
        # CPython 3.11+ sleeps on the monotonic clock, but a platform's timer may still wake a
        # little before the time: P1 (never early) is worth the comparison.
        due = time.monotonic() + seconds
        while (left := due - time.monotonic()) > 0:
            time.sleep(min(left, _LONGEST))

    def __repr__(self) -> str:
        return "SystemClock()"

    def __eq__(self, other: object) -> bool:
        return type(other) is SystemClock

    def __hash__(self) -> int:
        return hash(SystemClock)


def sleep_unless(ended: threading.Event, seconds: float, clock: Clock) -> None:
    """Sleep by ``clock``, but wake up when ``ended`` is set, if it is the clock of this machine."""
    if not isinstance(clock, SystemClock):
        clock.sleep(seconds)
        return
    due = time.monotonic() + seconds
    while (left := due - time.monotonic()) > 0 and not ended.wait(min(left, _LONGEST)):
        pass
