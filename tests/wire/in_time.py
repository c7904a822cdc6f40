"""What may hang is run in a thread, so that a hang is a failure and not the end of the suite."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

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
