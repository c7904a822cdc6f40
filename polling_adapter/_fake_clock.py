"""A clock whose waits take no time, for tests, right with any number of threads."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

from ._clock import Clock, Result, SystemClock, take_place

# So long, in seconds that pass, a wait is put off for a thread that is at work and does not come to
# an end: it may be waiting for the very thread that waits here.
_PATIENCE = 1.0

# So long, in seconds that pass, who waits outside of any call lets others begin to wait too.
_MOMENT = 0.01


class FakeClock:
    """A clock whose time passes by waiting only, and at once: ``PollingPolicy(clock=FakeClock())``.

    As a context manager it takes the place of this machine's clock: in its block, the waits of all
    sessions, adapters and pollers take no time that have no clock of their own, whoever makes them.
    The time that requests take is not its time.

    Threads may share it. Who waits until an instant moves the time to that instant; before, those
    go on that wait for an earlier one, and requests that are under way are answered.

    :param time: seconds since the epoch at which it begins; default: now, in whole seconds.
    """

    def __init__(self, time: float | None = None) -> None:
        machine = SystemClock()
        #: The seconds of each wait that took any, in order.
        self.slept: list[float] = []
        self._now = float(math.ceil(machine.monotonic()))
        self._epoch = float(math.ceil(machine.time()) if time is None else time) - self._now
        self._before: list[Clock] = []  # whose place it takes
        self._changed = threading.Condition()
        self._awake: set[int] = set()  # threads that are at work, and do not wait
        self._due: dict[int, float] = {}  # of the threads that wait

    def monotonic(self) -> float:
        """Seconds that only go on by waiting."""
        return self._now

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._epoch + self._now

    def sleep(self, seconds: float) -> None:
        """Let the time be ``seconds`` later."""
        me = threading.get_ident()
        with self._changed:
            if seconds > 0:
                self.slept.append(round(seconds, 6))
            due = self._now + seconds
            is_known = me in self._awake
            self._awake.discard(me)
            self._due[me] = due
            self._changed.notify_all()
            try:
                self._wait(due, may_come=not is_known)
            finally:
                del self._due[me]
                if is_known:
                    self._awake.add(me)
                self._changed.notify_all()

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, as while the code under test does something else than to wait."""
        if not seconds >= 0:
            raise ValueError(f"seconds={seconds!r} is not accepted: time only goes on")
        with self._changed:
            self._now += seconds
            self._changed.notify_all()

    def __enter__(self) -> FakeClock:
        self._before.append(take_place(self))
        return self

    def __exit__(self, *_: object) -> None:
        take_place(self._before.pop())

    def __getstate__(self) -> dict[str, Any]:
        return {"slept": [*self.slept], "_now": self._now, "_epoch": self._epoch}

    def __setstate__(self, state: dict[str, Any]) -> None:
        FakeClock.__init__(self)  # a copy has its own time
        self.__dict__.update(state)

    def _wait(self, due: float, may_come: bool) -> None:
        while self._now < due:
            patience = self._patience(due, may_come)
            if not patience or not self._changed.wait(patience):
                self._now = max(self._now, due)
                self._changed.notify_all()

    def _patience(self, due: float, may_come: bool) -> float:
        """How long, in seconds that pass, those are waited for that come before; 0: there are none.

        :param may_come: nobody knows who else is about to wait.
        """
        if due > min(self._due.values()):
            return 2 * _PATIENCE  # the first may have to lose theirs
        if self._awake:
            return _PATIENCE
        return _MOMENT if may_come and threading.active_count() > 1 else 0

    def _at_work(self, function: Callable[..., Result], *args: Any) -> Result:
        me = threading.get_ident()
        with self._changed:
            outer = me in self._awake
            self._awake.add(me)
        try:
            return function(*args)
        finally:
            if not outer:
                with self._changed:
                    self._awake.discard(me)
                    self._changed.notify_all()
