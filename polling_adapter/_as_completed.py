"""Many jobs at once: each request is sent when it is due, by a few threads.

A worker takes the poller that is due first, waits for it, polls, and puts it back: what it puts
back it may take again, so whatever is due first is always in somebody's hands, and nobody needs to
be woken but by what is drawn later.

A clock that stands still while others send, as those of tests do, is moved on by whoever sleeps. So
what is not due by such a clock is taken where nothing is in anybody's hands: it is the first, and
nobody sleeps besides.
"""

from __future__ import annotations

import heapq
import itertools
import math
import sys
import threading
import weakref
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import NamedTuple

from ._call.timeout import check_timeout
from ._call.turn import LOOK_AGAIN
from ._clock import MACHINE, Clock, at_work, sleep_unless, stands_still
from .exceptions import PollingTimeout
from .poller import Poller

# So long, in seconds, the requests that are under way are waited for when the loop is left.
_PATIENCE = 0.5


def as_completed(
    pollers: Iterable[Poller],
    max_workers: int = 8,
    timeout: float | None = None,
    max_pending: int | None = None,
) -> Iterator[Poller]:
    """Poll until all are done, and yield each as soon as it is.

    An error of one is raised by its own ``result()`` and leaves the others alone; one that
    ``pollers`` itself raises comes when all that were drawn are done. When the loop is
    left early, requests that are under way are waited for, no longer than half a second, and the
    pollers that are not done can be polled further, or resumed. Waits go by the clock of the first
    poller's policy.

    :param pollers: of one or more sessions. What :meth:`PollingSession.submit` gives is started
        here, in order.
    :param max_workers: so many threads send requests.
    :param timeout: seconds from the first ``next()`` on; None: no limit.
    :param max_pending: so many are drawn from ``pollers`` at a time, and the next when one is done;
        None: all at once.
    :raises PollingTimeout: ``timeout`` is over, and some are not done; they can be polled further,
        so keep them in a list. Its ``polls`` are those of all that are not done, its ``elapsed`` is
        that of the loop; ``url`` and token are each poller's own.
    :raises TypeError: ``max_workers`` or ``max_pending`` is no whole number.
    :raises ValueError: it is less than 1, or ``timeout`` is no number.
    """
    check_timeout(timeout)
    _check("max_workers", max_workers)
    if max_pending is not None:
        _check("max_pending", max_pending)
    return _completed(iter(pollers), max_workers, timeout, max_pending or sys.maxsize)


def _check(name: str, value: object) -> None:
    refused = f"{name}={value!r} is not accepted: it takes a whole number, 1 or more"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(refused)
    if value < 1:
        raise ValueError(refused)


def _completed(
    pollers: Iterator[Poller], max_workers: int, timeout: float | None, max_pending: int
) -> Iterator[Poller]:
    with _Workers(max_workers, timeout) as workers:
        workers.draw(pollers, max_pending)
        while workers.pending:
            poller = workers.next_done()
            if poller is None:
                raise workers.out_of_time() from workers.failed
            yield poller  # what is done is handed out before anything that may fail, or take long
            workers.draw(pollers, max_pending)
        workers.raise_failed()


class _Entry(NamedTuple):
    """A poller that waits until ``at``, for what ``job`` was then."""

    at: float
    serial: int  # who came first, of those that are due at once
    poller: Poller
    job: object


class _Workers:
    """Threads that poll while the ``with`` block lasts."""

    def __init__(self, number: int, timeout: float | None) -> None:
        self.pending: set[Poller] = set()
        self.drawn = 0
        self.failed: Exception | None = None  # what drawing them ended with
        self._known: weakref.WeakSet[Poller] = weakref.WeakSet()  # each is yielded once
        self._number = number
        self._timeout = timeout
        self._began = 0.0
        self._until = math.inf
        self._clock: Clock = MACHINE
        self._stands_still = False
        self._serial = itertools.count()
        self._agenda: list[_Entry] = []
        self._in_hand = 0  # of the agenda, or on their way to it
        self._lock = threading.Lock()
        self._done: SimpleQueue[Poller | BaseException | None] = SimpleQueue()
        self._ended = threading.Event()
        self._news = threading.Event()  # whoever waits looks again what is due first
        self._all_drawn = False
        self._tell_done = self._done.put  # one object, however many are watched
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        self._news.set()
        for poller in self.pending:
            poller._unwatch(self._tell_done)
        # Whoever has no more time does not wait for an answer, and nobody waits for long.
        until = MACHINE.monotonic() + (0 if kind is PollingTimeout else _PATIENCE)
        for thread in self._threads:
            thread.join(max(0.0, until - MACHINE.monotonic()))

    def draw(self, pollers: Iterator[Poller], max_pending: int) -> None:
        """Begin to poll more of them, so that no more than ``max_pending`` are."""
        while len(self.pending) < max_pending and not self._all_drawn:
            with self._lock:
                self._in_hand += 1
            try:
                self._draw_one(next(pollers))
            except StopIteration:
                self._all_drawn = True
            except Exception as error:  # those that were drawn are not lost for it
                self._all_drawn, self.failed = True, error
            finally:
                self._put_down()
        for n in range(len(self._threads), min(self._number, len(self.pending))):
            thread = threading.Thread(target=self._work, name=f"as_completed-{n}", daemon=True)
            thread.start()
            self._threads.append(thread)
        self._news.set()

    def _draw_one(self, poller: Poller) -> None:
        if not isinstance(poller, Poller):
            raise TypeError(f"pollers: {poller!r} is not accepted: it takes what submit() gives")
        if poller in self._known:
            return
        if not self.drawn:
            self._clock = poller.policy.clock
            self._stands_still = stands_still(self._clock)
            self._began = self._clock.monotonic()
            if self._timeout is not None:
                self._until = self._began + self._timeout
        self.drawn += 1
        self._known.add(poller)
        self.pending.add(poller)
        poller._watch(self._tell_done)  # cancelled, it is done before it is due
        self._put_back(poller)

    def next_done(self) -> Poller | None:
        """The next that is done; None where the time is over."""
        while True:
            left = self._until - self._clock.monotonic()
            try:
                done = self._done.get(timeout=min(max(0.0, left), threading.TIMEOUT_MAX))
            except Empty:
                return None
            if done is None:
                return None
            if isinstance(done, BaseException):
                raise done
            if done in self.pending:  # one that is cancelled is told of by its worker too
                self.pending.remove(done)
                done._unwatch(self._tell_done)
                return done

    def raise_failed(self) -> None:
        """What drawing the pollers ended with, if it did: nothing here shall know the error, which
        knows all of this."""
        failed, self.failed = self.failed, None
        try:
            if failed is not None:
                raise failed
        finally:
            del failed

    def out_of_time(self) -> PollingTimeout:
        """The error of several jobs: each has a request, a URL and a token of its own, so it has
        none of these."""
        return PollingTimeout(
            f"{len(self.pending)} (of {self.drawn}) pollers are not done within "
            f"timeout={self._timeout} s; they can be polled further: as_completed(pollers)",
            polls=sum(poller.polls for poller in self.pending),
            elapsed=self._clock.monotonic() - self._began,
        )

    def _work(self) -> None:
        try:
            while not self._ended.is_set():
                if at_work(self._clock, self._serve_first):
                    continue
                if self._all_drawn and not self.pending:
                    return
                self._ended.wait(LOOK_AGAIN)  # more may be drawn, or come back
        except BaseException as error:  # no poller's: what a hook raises is the poller's own
            self._done.put(error)

    def _serve_first(self) -> bool:
        """Poll what is due first of what is in nobody's hands, when it is; False: there is none."""
        with self._lock:
            if not self._may_take():
                return False
            entry = heapq.heappop(self._agenda)
            self._in_hand += 1
        try:
            self._serve(entry)
        finally:
            self._put_down()
        return True

    def _may_take(self) -> bool:
        if not self._agenda or not self._stands_still or not self._in_hand:
            return bool(self._agenda)
        return self._agenda[0].at <= self._clock.monotonic()

    def _put_down(self) -> None:
        with self._lock:
            self._in_hand -= 1

    def _serve(self, entry: _Entry) -> None:
        at, _, poller, job = entry
        until = min(at, self._until)
        seconds = until - self._clock.monotonic()
        if seconds > 0:
            sleep_unless(self._news, seconds, self._clock)
        if self._ended.is_set():
            return
        served = job if self._stands_still else None  # such a wait is never cut short
        if served is None and self._news.is_set() and self._clock.monotonic() < until:
            self._news.clear()
            self._put_back(poller)
            return
        if at > self._until:
            self._done.put(None)
            self._ended.set()
            return
        while not poller._take_turn(served):  # another thread is sending
            if self._ended.wait(LOOK_AGAIN):
                return
        self._put_back(poller)

    def _put_back(self, poller: Poller) -> None:
        if poller.done():
            self._done.put(poller)
            return
        job = poller._call.job
        at = self._clock.monotonic() + poller._due_in()
        with self._lock:
            heapq.heappush(self._agenda, _Entry(at, next(self._serial), poller, job))
