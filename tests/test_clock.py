from __future__ import annotations

import pickle
import signal
import time

import pytest

from polling_adapter.clock import SystemClock


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.0001, 0.01, 0.05])
def test_P1_it_never_wakes_early(seconds: float) -> None:
    started = time.monotonic()
    SystemClock().sleep(seconds)
    assert time.monotonic() - started >= seconds


def test_a_sleep_of_centuries_can_be_begun() -> None:
    """time.sleep(9999999999) raises OverflowError."""

    def alarm(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(InterruptedError):
            SystemClock().sleep(9999999999)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_it_tells_the_time() -> None:
    clock = SystemClock()
    assert abs(clock.time() - time.time()) < 5
    assert abs(clock.monotonic() - time.monotonic()) < 5


def test_one_is_like_another() -> None:
    clock = SystemClock()
    assert pickle.loads(pickle.dumps(clock)) == clock == SystemClock()
    assert {clock, SystemClock()} == {clock}
    assert clock != object()
