"""How threads share a job."""

from __future__ import annotations

import os
import threading

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
