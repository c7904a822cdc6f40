from __future__ import annotations

import pickle
import signal
import threading
import time
from collections.abc import Callable

import pytest

from polling_adapter._clock import SystemClock, sleep_unless

from .fake_clock import FakeClock

DAY = 86400.0


class Patched:
    """What stands for ``time.sleep`` and, by ``freeze``, for ``time.monotonic``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.3
        self.slept: list[float] = []
        self._monkeypatch = monkeypatch

    def freeze(self) -> None:
        self._monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def sleep(self, passes: Callable[[float], float] = lambda _: 0.0) -> None:
        """How much time ``passes`` where so many seconds are slept."""

        def sleep(seconds: float) -> Patched:
            assert len(self.slept) < 1000, "it loops"
            self.slept.append(seconds)
            self.now += passes(seconds)
            return self  # a mock returns what is true

        self._monkeypatch.setattr(time, "sleep", sleep)


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Patched:
    return Patched(monkeypatch)


class Waited(threading.Event):
    """An event that notes how long it was waited for, and lets no time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert len(self.waited) < 1000, "it loops"
        self.waited.append(timeout or 0)
        return self.is_set()


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


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("seconds", [0.1, 3.0, DAY])
def test_a_sleep_that_somebody_patched_is_called_once(
    patched: Patched, seconds: float, frozen: bool
) -> None:
    """As urllib3's Retry.sleep has it: test suites patch time.sleep."""
    if frozen:
        patched.freeze()
    patched.sleep()
    SystemClock().sleep(seconds)
    assert patched.slept == [seconds]


@pytest.mark.parametrize("frozen", [False, True])
def test_a_patched_sleep_is_called_once_a_day(patched: Patched, frozen: bool) -> None:
    if frozen:
        patched.freeze()
    patched.sleep()
    SystemClock().sleep(2.5 * DAY)
    assert patched.slept == [DAY, DAY, 0.5 * DAY]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_nothing_to_wait_for_is_no_sleep(patched: Patched, seconds: float) -> None:
    patched.sleep()
    SystemClock().sleep(seconds)
    assert patched.slept == []


def test_a_patched_sleep_that_is_cut_short_is_called_once(patched: Patched) -> None:
    """Some test suites sleep a hundredth."""
    patched.freeze()
    patched.sleep(lambda seconds: seconds / 100)
    SystemClock().sleep(3)
    assert patched.slept == [3]


def test_a_clock_that_is_frozen_does_not_hang(patched: Patched) -> None:
    """freezegun freezes time.monotonic(), and lets time.sleep() sleep."""
    started = time.perf_counter()
    patched.freeze()
    SystemClock().sleep(0.05)
    sleep_unless(threading.Event(), 0.05, SystemClock())
    assert 0.09 < time.perf_counter() - started < 10


@pytest.mark.parametrize("seconds", [0.01, 3.0, 2.5 * DAY])
@pytest.mark.parametrize(
    "passes",
    [lambda s: s * 0.9, lambda s: max(s - 0.001, 0.0001), lambda s: s + 1],
    ids=["a tenth", "a millisecond", "never"],
)
def test_P1_a_timer_that_wakes_a_little_early_is_set_again(
    patched: Patched, passes: Callable[[float], float], seconds: float
) -> None:
    patched.freeze()
    patched.sleep(passes)
    due = patched.now + seconds
    SystemClock().sleep(seconds)
    assert patched.now >= due - 1e-9  # instants are sums here
    assert len(patched.slept) < 100


def test_a_frozen_time_of_the_day_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever freezes it writes his HTTP-dates by it."""
    monkeypatch.setattr(time, "time", lambda: 784111777.0)
    assert SystemClock().time() == 784111777


def test_what_waits_are_measured_by_cannot_be_frozen(patched: Patched) -> None:
    """What is frozen never falls due, and freezegun freezes it for some threads only."""
    before = SystemClock().monotonic()
    patched.freeze()
    assert 0 <= SystemClock().monotonic() - before < 5


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.0001, 0.01, 0.05])
def test_P1_a_wait_that_can_be_ended_is_over_no_earlier(seconds: float) -> None:
    started = time.monotonic()
    sleep_unless(threading.Event(), seconds, SystemClock())
    assert time.monotonic() - started >= seconds


@pytest.mark.parametrize("frozen", [False, True])
def test_a_wait_that_can_be_ended_does_not_spin(patched: Patched, frozen: bool) -> None:
    if frozen:
        patched.freeze()
    ended = Waited()
    sleep_unless(ended, 2.5 * DAY, SystemClock())
    assert ended.waited == [DAY, DAY, 0.5 * DAY]


def test_a_wait_that_can_be_ended_needs_no_sleep(patched: Patched) -> None:
    """A poller that wakes asks its clock again: by a sleep that takes no time it would spin."""
    patched.sleep()
    started = time.monotonic()
    sleep_unless(threading.Event(), 0.05, SystemClock())
    assert time.monotonic() - started >= 0.05
    assert patched.slept == []


def test_a_wait_ends_when_it_is_ended() -> None:
    ended = Waited()
    ended.set()
    sleep_unless(ended, 2.5 * DAY, SystemClock())
    assert ended.waited == [DAY]


def test_another_clock_sleeps_by_itself(clock: FakeClock) -> None:
    sleep_unless(threading.Event(), 3, clock)
    assert clock.slept == [3]


def test_it_tells_the_time() -> None:
    clock = SystemClock()
    assert abs(clock.time() - time.time()) < 5
    assert abs(clock.monotonic() - time.monotonic()) < 5


def test_one_is_like_another() -> None:
    clock = SystemClock()
    assert pickle.loads(pickle.dumps(clock)) == clock == SystemClock()
    assert {clock, SystemClock()} == {clock}
    assert clock != object()
