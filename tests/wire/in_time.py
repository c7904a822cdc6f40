"""What may hang is run in a thread, so that a hang is a failure and not the end of the suite; and
Ctrl-C, some time later."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

#: Of what is tried at each step, so many steps are one: CI tries them all.
STRIDE = 1 if "CI" in os.environ else 3


class Hangs(AssertionError):
    pass


def in_time(function: Callable[[], Any], seconds: float = 10) -> Any:
    """What ``function`` returns or raises, in another thread, within ``seconds``."""
    returned: list[Any] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(function())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise Hangs(f"no end within {seconds} s")
    if raised:
        raise raised[0]
    return returned[0]


@contextmanager
def ctrl_c(
    after: float,
    error: type[BaseException] = KeyboardInterrupt,
    once: threading.Event | None = None,
) -> Iterator[None]:
    """In the main thread, where signals arrive.

    :param after: seconds, from now or from ``once``.
    :param error: what the handler of another signal raises.
    :param once: what the server sets where it is to come, as a slow machine may be elsewhere yet.
    """

    def interrupt(*_: object) -> None:
        raise error

    over = threading.Event()

    def alarm() -> None:
        if (once is None or once.wait(10)) and not over.wait(after):
            signal.pthread_kill(main, signal.SIGALRM)

    main = threading.get_ident()
    before = signal.signal(signal.SIGALRM, interrupt)
    thread = threading.Thread(target=alarm)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGALRM, before)


on_main = pytest.mark.skipif(
    not hasattr(signal, "pthread_kill"), reason="no thread is sent signals here"
)
