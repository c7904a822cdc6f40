"""Works that take time, and when their clients may ask for them: the server without its sockets."""

from __future__ import annotations

import math
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from ._clock import Clock, SystemClock


class Early(NamedTuple):
    """The client came before it was asked to; it may in ``retry_after`` whole seconds."""

    retry_after: int


class Pending(NamedTuple):
    """The work is not done; its client may ask in ``retry_after`` whole seconds."""

    work_id: str
    retry_after: int


class Done(NamedTuple):
    """The work is done. It took ``duration`` seconds."""

    work_id: str
    duration: float
    nb_get_call: int
    nb_early_call: int


@dataclass
class _Work:
    """``end`` and ``due`` are instants of the monotonic clock: of the work, of its next poll."""

    duration: float
    end: float
    due: float
    nb_get_call: int = 0
    nb_early_call: int = 0


class Works:
    """The works of a server. They outlive it where they are given to the next one.

    :param clock: its ``monotonic()`` counts; default: this machine's.
    :param keep: so many seconds a finished work is kept.
    :param limit: so many works are held at most.
    """

    def __init__(
        self, clock: Clock | None = None, *, keep: float = 3600, limit: int = 100_000
    ) -> None:
        self.nb_early_call = 0
        self._clock = SystemClock() if clock is None else clock
        self._keep = keep
        self._limit = limit
        self._works: OrderedDict[str, _Work] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, duration: float) -> Pending | None:
        """Begin a work of ``duration`` seconds; None where there are too many already."""
        work_id = str(uuid.uuid4())
        retry_after = int(duration / 2)
        with self._lock:
            now = self._clock.monotonic()
            self._forget(now)
            if len(self._works) >= self._limit:
                return None
            self._works[work_id] = _Work(duration, end=now + duration, due=now + retry_after)
        return Pending(work_id, retry_after)

    def ask(self, work_id: str) -> Early | Pending | Done | None:
        """How a work stands; None where it is unknown."""
        with self._lock:
            now = self._clock.monotonic()
            self._forget(now)
            work = self._works.get(work_id)
            if work is None:
                return None
            if now < work.due:
                work.nb_early_call += 1
                self.nb_early_call += 1
                return Early(math.ceil(work.due - now))
            if now < work.end:
                work.nb_get_call += 1
                work.due = now + 1
                return Pending(work_id, retry_after=1)
            return Done(work_id, work.duration, work.nb_get_call, work.nb_early_call)

    def __len__(self) -> int:
        return len(self._works)

    def _forget(self, now: float) -> None:
        # In the order of their start: a long work keeps those behind it a little longer.
        while self._works and now > next(iter(self._works.values())).end + self._keep:
            self._works.popitem(last=False)
