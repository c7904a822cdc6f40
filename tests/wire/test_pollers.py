"""Jobs that are asked for by hand: cancelled, waited for by many, and interrupted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from polling_adapter import Poller, PollingPolicy, PollingSession, as_completed

from ..fake_clock import FakeClock
from ..server import DONE, Reply, Seen, Server, again, poll
from .in_time import ctrl_c, on_main

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


@pytest.fixture
def session() -> Iterator[PollingSession]:
    with PollingSession(policy=FAST) as session:
        yield session


class Held:
    """A server that does not answer a poll until it is let go."""

    def __init__(self, server: Server, reply: Reply = DONE, polls: int = 0) -> None:
        self.asked = threading.Event()
        self.go = threading.Event()
        self.reply = reply
        self.left = polls
        server.answer = self.answer

    def answer(self, seen: Seen) -> Reply:
        if seen.path == "/start":
            return poll("/w")
        if seen.path != "/w":
            return DONE
        if self.left > 0:
            self.left -= 1
            return poll("/w", "0.01")
        self.asked.set()
        self.go.wait(6)
        return self.reply

    @contextmanager
    def polled(self, poller: Poller) -> Iterator[threading.Thread]:
        """While another thread sends a poll."""
        thread = threading.Thread(target=poller.poll)
        thread.start()
        try:
            assert self.asked.wait(10)
            yield thread
        finally:
            self.go.set()
            thread.join(10)


def others() -> set[threading.Thread]:
    """The threads that are not the server's."""
    return {
        thread
        for thread in threading.enumerate()
        if "process_request_thread" not in thread.name and thread is not threading.main_thread()
    }


def ended(before: set[threading.Thread], seconds: float = 5) -> bool:
    """Whether all threads that have come since are gone, or go soon."""
    until = time.monotonic() + seconds
    while others() - before and time.monotonic() < until:
        time.sleep(0.01)
    return not others() - before


# cancel()


@pytest.mark.parametrize("reply", [DONE, Reply(404), poll("/w/2", "60"), again("60"), Reply(502)])
def test_P6_cancelled_while_a_request_is_under_way(
    server: Server, clock: FakeClock, reply: Reply
) -> None:
    """Its answer is not lost: the job goes on by its token, when the server said."""
    held = Held(server, reply)
    policy = FAST.replace(clock=clock, backoff_factor=60, backoff_max=60)
    with PollingSession(policy=policy) as session:
        poller = session.begin("POST", f"{server.url}/start")
        with held.polled(poller):
            cancelled = poller.cancel()
        if cancelled:
            assert poller.cancelled()
            with pytest.raises(CancelledError):
                poller.result(timeout=0)
            resumed = session.resume(poller.continuation_token())
            if reply in (DONE, Reply(404)):
                assert resumed.result().status_code == reply.status
            else:
                assert resumed.poll() is False
                assert resumed.wait_seconds == pytest.approx(60, abs=0.01)
                assert server.asked == ["POST /start", "GET /w"]
        else:
            assert poller.result().status_code == reply.status
    assert server.asked.count("POST /start") == 1


@pytest.mark.parametrize("ask", ["result", "exception"])
def test_cancel_wakes_who_waits_behind_a_sender(
    server: Server, session: PollingSession, ask: str
) -> None:
    held = Held(server)
    poller = session.begin("POST", f"{server.url}/start")
    with held.polled(poller), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(getattr(poller, ask))
        time.sleep(0.1)
        began = time.monotonic()
        assert poller.cancel()
        with pytest.raises(CancelledError):
            waiting.result(5)
        assert time.monotonic() - began < 2
    assert poller.cancelled()


def test_cancel_wakes_as_completed_behind_a_sender(server: Server, session: PollingSession) -> None:
    held = Held(server)
    poller = session.begin("POST", f"{server.url}/start")
    with held.polled(poller), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: list(as_completed([poller], timeout=8)))
        time.sleep(0.1)
        began = time.monotonic()
        assert poller.cancel()
        assert waiting.result(5) == [poller]
        assert time.monotonic() - began < 2


def test_cancel_wakes_all_who_wait(server: Server, session: PollingSession) -> None:
    server.answer = lambda _: poll("/w", "60")
    poller = session.begin("POST", server.url)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(poller.result) for _ in range(3)]
        waiting.append(pool.submit(lambda: next(iter(as_completed([poller]))).result()))
        time.sleep(0.1)
        assert poller.cancel()
        for one in waiting:
            with pytest.raises(CancelledError):
                one.result(5)
    assert server.asked == ["POST /"]


def test_result_with_a_timeout_does_not_wait_for_a_sender(
    server: Server, session: PollingSession
) -> None:
    held = Held(server)
    poller = session.begin("POST", f"{server.url}/start")
    with held.polled(poller):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            poller.result(timeout=0.2)
        assert time.monotonic() - began < 2
        assert poller.poll() is False
        assert time.monotonic() - began < 3
    assert poller.result().text == "done"
    assert server.asked == ["POST /start", "GET /w"]


def test_all_who_wait_get_the_result(server: Server, session: PollingSession) -> None:
    server.script(*[poll("/w", "0.05")] * 3, DONE)
    poller = session.begin("POST", server.url)
    with ThreadPoolExecutor(8) as pool:
        assert {one.text for one in pool.map(lambda _: poller.result(), range(8))} == {"done"}
    assert server.asked == ["POST /", *["GET /w"] * 3]


# Ctrl-C


def leaves(ask: Callable[[], object], once: threading.Event | None = None) -> float:
    """Seconds from Ctrl-C until ``ask`` is left."""
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), ctrl_c(0.2, once=once):
        ask()
    return time.monotonic() - began - 0.2


@on_main
@pytest.mark.parametrize("workers", [1, 8])
def test_P6_ctrl_c_leaves_as_completed_though_a_request_hangs(
    server: Server, session: PollingSession, workers: int
) -> None:
    before = others()
    held = Held(server)
    pollers = [session.begin("POST", f"{server.url}/start") for _ in range(3)]
    try:
        assert leaves(lambda: list(as_completed(pollers, max_workers=workers)), held.asked) < 4
    finally:
        held.go.set()
    assert ended(before)
    asked = len(server.seen)
    time.sleep(0.1)
    assert len(server.seen) == asked
    assert [poller.result().text for poller in pollers] == ["done"] * 3
    assert server.asked.count("POST /start") == 3


@on_main
def test_P6_ctrl_c_leaves_as_completed_in_its_waits(
    server: Server, session: PollingSession
) -> None:
    before = others()
    server.answer = lambda seen: poll("/w", "60")
    pollers = [session.begin("POST", f"{server.url}/start") for _ in range(3)]
    assert leaves(lambda: list(as_completed(pollers))) < 1
    assert ended(before)
    assert len(server.seen) == 3
    assert all(50 < poller.wait_seconds <= 60 for poller in pollers)


@on_main
@pytest.mark.parametrize("ask", ["result", "exception"])
def test_P6_ctrl_c_leaves_a_poller_whose_request_hangs(
    server: Server, session: PollingSession, ask: str
) -> None:
    held = Held(server)
    poller = session.begin("POST", f"{server.url}/start")
    try:
        assert leaves(getattr(poller, ask), held.asked) < 4
    finally:
        held.go.set()
    assert poller.result().text == "done"
    assert server.asked == ["POST /start", "GET /w", "GET /w"]


@on_main
def test_P6_ctrl_c_leaves_a_poller_that_another_thread_sends(
    server: Server, session: PollingSession
) -> None:
    held = Held(server)
    poller = session.begin("POST", f"{server.url}/start")
    with held.polled(poller):
        assert leaves(poller.result) < 4
    assert poller.result().text == "done"
    assert server.asked == ["POST /start", "GET /w"]


@on_main
def test_P6_ctrl_c_leaves_a_call_and_it_goes_on(server: Server, session: PollingSession) -> None:
    held = Held(server)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt) as caught, ctrl_c(0.2, once=held.asked):
        session.post(f"{server.url}/start")
    assert time.monotonic() - began < 1.2
    held.go.set()
    found: Any = caught.value
    assert session.resume(found.continuation_token).result().text == "done"
    assert server.asked == ["POST /start", "GET /w", "GET /w"]


# as_completed() that cannot start


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("number", [1, 2, 3, 8])
def test_P9_as_completed_that_cannot_start_its_threads_leaves_none(
    server: Server,
    session: PollingSession,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[BaseException],
    number: int,
) -> None:
    """No more threads, Ctrl-C: what is raised while they start stops those that run."""
    done = threading.Event()
    server.answer = lambda _: DONE if done.is_set() else poll("/w", "0.02")
    pollers = [session.begin("POST", server.url) for _ in range(8)]
    before, real, calls = others(), threading.Thread.start, []
    finish = threading.Timer(0.5, done.set)
    finish.start()
    before.add(finish)

    def start(self: threading.Thread) -> None:
        if "process_request_thread" not in self.name:
            calls.append(self)
            if len(calls) == number:
                raise kind("can't start new thread")
        real(self)

    raised = False
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        try:
            list(as_completed(pollers))  # it may go on with those that it has
        except kind:
            raised = True
    finish.cancel()
    finish.join()
    assert calls
    assert raised or all(poller.done() for poller in pollers)
    assert ended(before, 1)
    asked = len(server.seen)
    time.sleep(0.1)
    assert len(server.seen) == asked
    done.set()
    assert {poller.result().text for poller in pollers} == {"done"}


@pytest.mark.parametrize("how", ["close", "break", "error"])
def test_P9_as_completed_that_is_left_leaves_no_thread(
    server: Server, session: PollingSession, how: str
) -> None:
    before = others()
    server.answer = lambda seen: DONE if seen.path == "/now" else poll("/w", "0.02")
    pollers = [session.begin("GET", f"{server.url}/{path}") for path in ("now", "a", "b", "c")]
    completed: Any = as_completed(pollers)
    assert next(completed) is pollers[0]
    if how == "close":
        completed.close()
    elif how == "error":
        with pytest.raises(ValueError, match="own"):
            completed.throw(ValueError("own"))
    else:
        for _ in as_completed(pollers):
            break
        completed.close()
    assert ended(before, 2)


def test_P9_as_completed_that_is_never_asked_starts_nothing(
    server: Server, session: PollingSession
) -> None:
    server.answer = lambda _: poll("/w", "0.01")
    poller = session.begin("POST", server.url)
    before = others()
    completed: Any = as_completed([poller])
    completed.close()
    time.sleep(0.1)
    assert not others() - before
    assert server.asked == ["POST /"]
