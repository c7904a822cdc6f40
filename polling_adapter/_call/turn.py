"""How threads share a job, and what it keeps of an error."""

from __future__ import annotations

import os
import threading
import traceback

import requests

#: So often, in seconds, whoever waits for another thread that is sending looks at it again.
LOOK_AGAIN = 0.02


class Turn:
    """What a thread holds while it sends: free when the thread has left it, however it did.

    A signal's handler may raise between any two steps, also before a ``try`` is entered and after
    a ``finally`` has begun; only ``with`` on a lock is never left in between. So whoever sends
    holds a lock of its own, and a lock that nobody holds is no turn, nor one that a fork copied.
    """

    __slots__ = ("_process", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._process = os.getpid()

    @property
    def is_held(self) -> bool:
        """Whether its thread is still in it."""
        return self.lock.locked() and self._process == os.getpid()


class _Traceback(Exception):
    """Shows where the error of a job was raised."""


def without_frames(error: Exception) -> Exception:
    """``error`` as a poller keeps it: its frames know the poller, and the cycle would keep all of
    them until the collector comes. Where it was raised in code of the caller's, it still says."""
    if not isinstance(error, requests.RequestException):
        shown = "".join(traceback.format_exception(error))
        _set("__cause__", error, _Traceback(f"\n{shown}"))
    chain: list[BaseException | None] = [error]
    while chain:
        one = chain.pop()
        if one is not None and one.__traceback__ is not None:
            _set("__traceback__", one, None)
            chain += [one.__cause__, one.__context__]
    return error


def _set(name: str, error: BaseException, value: object) -> None:
    """As Python itself sets it: errors of some classes are frozen."""
    getattr(BaseException, name).__set__(error, value)
