"""Many jobs at once: each request is sent when it is due, by a few threads.

A worker takes the poller that is due first, waits for it, polls, and puts it back: what it puts
back it may take again, so whatever is due first is always in somebody's hands, and nobody needs to
be woken.
"""

from __future__ import annotations

import heapq
import itertools
import math
import threading
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue

from .clock import SystemClock, sleep_unless
from .exceptions import PollingTimeout
from .poller import Poller

_clock = SystemClock()

# So long, in seconds, the requests that are under way are waited for when the loop is left.
_PATIENCE = 0.5

# So often, in seconds, a worker looks whether another thread is still sending.
_LOOK_AGAIN = 0.02


def as_completed(
    pollers: Iterable[Poller], max_workers: int = 8, timeout: float | None = None
) -> Iterator[Poller]:
    """Poll until all are done, and yield each as soon as it is.

    An error of one is raised by its own ``result()`` and leaves the others alone. When the loop is
    left early, requests that are under way are waited for, no longer than half a second, and the
    pollers that are not done can be polled further, or resumed. Waits go by the clock of the first
    poller's policy.

    :param pollers: of one or more sessions.
    :param max_workers: so many threads send requests.
    :param timeout: seconds from the first ``next()`` on; None: no limit.
    :raises PollingTimeout: ``timeout`` is over, and some are not done; they can be polled further.
    :raises TypeError: ``max_workers`` is no whole number.
    :raises ValueError: it is less than 1.
    """
    refused = f"max_workers={max_workers!r} is not accepted: it takes a whole number, 1 or more"
    if isinstance(max_workers, bool) or not isinstance(max_workers, int):
        raise TypeError(refused)
    if max_workers < 1:
        raise ValueError(refused)
    return _completed(list(dict.fromkeys(pollers)), max_workers, timeout)


def _completed(pollers: list[Poller], max_workers: int, timeout: float | None) -> Iterator[Poller]:
    done = [poller for poller in pollers if poller.done()]
    waiting = [poller for poller in pollers if not poller.done()]
    if not waiting:
        yield from done
        return
    with _Workers(waiting, timeout) as workers:
        workers.start(max_workers)
        yield from done
        for left in range(len(waiting), 0, -1):
            poller = workers.next_done()
            if poller is None:
                raise PollingTimeout(
                    f"{left} (of {len(pollers)}) pollers are not done within timeout={timeout} s; "
                    "they can be polled further"
                )
            yield poller


class _Workers:
    """Threads that poll while the ``with`` block lasts."""

    def __init__(self, pollers: list[Poller], timeout: float | None) -> None:
        self._clock = pollers[0].policy.clock
        self._until = math.inf if timeout is None else self._clock.monotonic() + timeout
        self._serial = itertools.count()  # who came first, of those that are due at once
        self._agenda: list[tuple[float, int, Poller]] = []
        self._lock = threading.Lock()
        self._done: SimpleQueue[Poller | BaseException | None] = SimpleQueue()
        self._ended = threading.Event()
        self._tell_done = self._done.put
        self._yielded: set[Poller] = set()
        self._pollers = pollers
        for poller in pollers:
            self._put_back(poller)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        for poller in self._pollers:
            poller._unwatch(self._tell_done)
        # Whoever has no more time does not wait for an answer, and nobody waits for long.
        until = _clock.monotonic() + (0 if kind is PollingTimeout else _PATIENCE)
        for thread in self._threads:
            thread.join(max(0.0, until - _clock.monotonic()))

    def start(self, number: int) -> None:
        """Begin to poll, with so many threads at the most."""
        for poller in self._pollers:
            poller._watch(self._tell_done)  # cancelled, it is done before it is due
            if poller.done():  # since it was looked at
                self._tell_done(poller)
        for n in range(min(number, len(self._pollers))):
            thread = threading.Thread(target=self._work, name=f"as_completed-{n}", daemon=True)
            thread.start()
            self._threads.append(thread)

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
            if done not in self._yielded:  # one that is cancelled is told of by its worker too
                self._yielded.add(done)
                return done

    def _work(self) -> None:
        try:
            while (entry := self._taken()) is not None:
                at, _, poller = entry
                self._wait(min(at, self._until))
                if self._ended.is_set():
                    return
                if at > self._until:
                    self._done.put(None)
                    return
                while not poller._take_turn():  # another thread is sending
                    if self._ended.wait(_LOOK_AGAIN):
                        return
                if poller.done():
                    self._done.put(poller)
                else:
                    self._put_back(poller)
        except BaseException as error:  # no poller's: what a hook raises is the poller's own
            self._done.put(error)

    def _taken(self) -> tuple[float, int, Poller] | None:
        """What is due first of what is in nobody's hands."""
        with self._lock:
            return heapq.heappop(self._agenda) if self._agenda else None

    def _put_back(self, poller: Poller) -> None:
        at = self._clock.monotonic() + poller.wait_seconds
        with self._lock:
            heapq.heappush(self._agenda, (at, next(self._serial), poller))

    def _wait(self, until: float) -> None:
        seconds = until - self._clock.monotonic()
        if seconds > 0:
            sleep_unless(self._ended, seconds, self._clock)
