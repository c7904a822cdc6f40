"""Time: the only module that touches it, so that a fake clock makes tests instant."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")

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


class _Machine:
    # Bound here, as a job's instants must be of one clock: freezegun puts another one in its place,
    # for some threads only, and no wait would ever be over by it.
    monotonic = staticmethod(time.monotonic)

    def time(self) -> float:
        # Not bound: who freezes the time of the day (in tests) writes HTTP-dates by it.
        return time.time()

    def sleep(self, seconds: float) -> None:
        for portion in _portions(seconds):
            time.sleep(portion)


MACHINE: Clock = _Machine()

# What SystemClock goes by. In tests a FakeClock takes its place, also for sessions of others.
_in_place: Clock = MACHINE


class SystemClock:
    """The clock of this machine."""

    def monotonic(self) -> float:
        return _in_place.monotonic()

    def time(self) -> float:
        return _in_place.time()

    def sleep(self, seconds: float) -> None:
        _in_place.sleep(seconds)

    def __repr__(self) -> str:
        return "SystemClock()"

    def __eq__(self, other: object) -> bool:
        return type(other) is SystemClock

    def __hash__(self) -> int:
        return hash(SystemClock)


def take_place(clock: Clock) -> Clock:
    """Let :class:`SystemClock` go by ``clock``.

    :return: what it went by before.
    """
    global _in_place
    before, _in_place = _in_place, clock
    return before


def sleep_unless(ended: threading.Event, seconds: float, clock: Clock) -> None:
    """Sleep by ``clock``, but wake up when ``ended`` is set, if it is the clock of this machine."""
    if _behind(clock) is not MACHINE:
        clock.sleep(seconds)
        return
    # Not by time.sleep: who waits here asks its clock again, and would spin where that is patched.
    for portion in _portions(seconds):
        if ended.wait(portion):
            return


def stands_still(clock: Clock) -> bool:
    """Whether ``clock`` goes on by being slept by only, as those of tests do."""
    return _behind(clock) is not MACHINE and clock.monotonic() == clock.monotonic()


def at_work(clock: Clock, function: Callable[..., Result], *args: Any) -> Result:
    """Call ``function``, in which this thread is on its way to its next wait: until it is there,
    other threads do not move a ``clock`` whose time passes by waits only."""
    known = getattr(_behind(clock), "_at_work", None)
    return function(*args) if known is None else known(function, *args)


def _behind(clock: Clock) -> Clock:
    return _in_place if isinstance(clock, SystemClock) else clock


def _portions(seconds: float) -> Iterator[float]:
    """The waits, each for one call of the platform, that ``seconds`` take.

    CPython 3.11+ sleeps on the monotonic clock, but a platform's timer may still wake a little
    before the time: P1 (never early) is worth a look at the clock. What it says counts as long as
    time goes on. Where it does not, as somebody patched time.sleep or froze the clock, a portion
    counts as waited for: once, as in urllib3's Retry.sleep.
    """
    goes_on = False
    while seconds > 0:
        portion = min(seconds, _LONGEST)
        began = time.monotonic()
        yield portion
        passed = time.monotonic() - began
        # a little early is no more than half; what is left then may be less than a timer's tick
        goes_on = goes_on or passed >= portion / 2
        seconds -= passed if goes_on and passed > 0 else portion
