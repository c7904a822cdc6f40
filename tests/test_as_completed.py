"""Many jobs at once."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from functools import partial
from queue import SimpleQueue
from typing import Any

import pytest
import requests

from polling_adapter import (
    Poller,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    TooManyPolls,
    as_completed,
)
from polling_adapter.reference_server import ReferenceServer

from .fake_clock import FakeClock
from .server import DONE, RESET, Reply, Seen, Server, poll

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


@pytest.fixture
def session() -> Iterator[PollingSession]:
    with PollingSession(policy=FAST) as session:
        yield session


def takes(wait: str, polls: int) -> Any:
    """So many polls of each path, ``wait`` apart."""
    left: dict[str, int] = {}

    def answer(seen: Seen) -> Reply:
        path = seen.path.replace("/start", "/work")
        left[path] = left.get(path, polls + 1) - 1
        return poll(path, wait) if left[path] > 0 else Reply(200, {}, path.encode())

    return answer


def workers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("as_completed")]


def test_all_are_polled_and_each_comes_once(server: Server, session: PollingSession) -> None:
    server.answer = takes("0.01", 3)
    pollers = [session.begin("POST", f"{server.url}/start/{n}") for n in range(50)]
    done = list(as_completed(pollers, max_workers=4))
    assert sorted(map(id, done)) == sorted(map(id, pollers))
    assert {poller.result().text for poller in done} == {f"/work/{n}" for n in range(50)}
    assert len(server.seen) == 50 * 4
    assert workers() == []


def test_P1_never_early_and_in_the_order_of_their_ends() -> None:
    with ReferenceServer() as server, PollingSession() as session:
        pollers = [
            session.begin("POST", f"{server.url}/start_work?duration={duration}")
            for duration in (2.2, 0.1, 1.2, 0.5)
        ]
        durations = [done.result().json()["duration"] for done in as_completed(pollers, 2)]
    assert durations.index(0.1) < durations.index(2.2)
    assert sorted(durations) == [0.1, 0.5, 1.2, 2.2]
    assert server.nb_early_call == 0


def test_those_that_are_due_first_are_polled_first(server: Server, session: PollingSession) -> None:
    waits = iter(["1.5", "0.5", "1"])
    server.answer = lambda seen: (
        poll(f"/work{seen.path}", next(waits)) if "work" not in seen.path else DONE
    )
    pollers = [session.begin("GET", f"{server.url}/{n}") for n in range(3)]
    assert [poller.url[-1] for poller in as_completed(pollers, max_workers=1)] == ["1", "2", "0"]


def test_a_slow_consumer_delays_nobody(server: Server, session: PollingSession) -> None:
    server.answer = lambda seen: poll("/work", "0.2") if seen.path == "/start" else DONE
    done = session.begin("GET", f"{server.url}/now")
    pending = session.begin("POST", f"{server.url}/start")
    for poller in as_completed([done, pending]):
        if poller is done:
            time.sleep(0.6)
            assert pending.done()


def test_an_error_of_one_leaves_the_others_alone(server: Server, session: PollingSession) -> None:
    server.answer = lambda seen: (
        DONE if seen.path == "/work/2" and len(server.seen) > 9 else poll(seen.path)
    )
    policy = FAST.replace(max_polls=5)
    limited = session.begin("GET", f"{server.url}/work/1", polling=policy)
    other = session.begin("GET", f"{server.url}/work/2")
    finished = list(as_completed([limited, other]))
    assert len(finished) == 2
    assert isinstance(limited.exception(), TooManyPolls)
    assert other.result().text == "done"


def test_left_early_it_ends_cleanly_and_the_rest_goes_on(
    server: Server, session: PollingSession
) -> None:
    server.answer = lambda seen: DONE if seen.path == "/now" else poll(seen.path, "30")
    pollers = [session.begin("GET", f"{server.url}/{path}") for path in ("a", "b", "now", "c")]
    started = time.monotonic()
    for poller in as_completed(pollers):
        assert poller.result().text == "done"
        break
    assert time.monotonic() - started < 10
    assert workers() == []
    pending = [poller for poller in pollers if not poller.done()]
    assert len(pending) == 3
    server.answer = lambda seen: DONE
    clock = FakeClock()
    clock.now += time.time() - clock.time()
    policy = FAST.replace(clock=clock)
    for poller in pending:
        resumed = session.resume(poller.continuation_token(), polling=policy)
        assert resumed.result().text == "done"


def test_a_timeout_leaves_the_rest_as_it_is(server: Server, session: PollingSession) -> None:
    server.answer = lambda seen: DONE if seen.path == "/now" else poll(seen.path, "0.4")
    pollers = [session.begin("GET", f"{server.url}/{path}") for path in ("a", "now", "b")]
    completed = as_completed(pollers, timeout=0.1)
    assert next(completed) is pollers[1]
    with pytest.raises(PollingTimeout, match=r"2 \(of 3\) pollers are not done within timeout=0.1"):
        next(completed)
    with pytest.raises(TimeoutError):
        next(as_completed([pollers[0]], timeout=0))
    server.answer = lambda seen: DONE
    assert len(list(as_completed(pollers))) == 3


def test_P8_what_a_timeout_says_of_several_jobs(server: Server) -> None:
    """None of them is the one that it is about; so it says what was done for those that are not
    done, and each has its own address and token."""
    clock = FakeClock()
    server.answer = lambda seen: DONE if seen.path == "/now" else poll(seen.path, "4")
    with PollingSession(policy=FAST.replace(clock=clock)) as session:
        pollers = [session.submit("GET", f"{server.url}/{path}") for path in ("a", "now", "b")]
        clock.now += 1000
        with pytest.raises(PollingTimeout, match=r"as_completed\(pollers\)$") as caught:
            list(as_completed(pollers, timeout=10))
        error = caught.value
        assert error.polls == sum(poller.polls for poller in pollers) > 0
        assert error.elapsed == pytest.approx(10)
        assert (error.url, error.request, error.response) == (None, None, None)
        assert error.continuation_token is None
        server.answer = lambda _: DONE
        for poller in pollers[::2]:
            assert session.resume(poller.continuation_token()).result().text == "done"


def test_a_timeout_is_not_held_up_by_an_answer(server: Server, session: PollingSession) -> None:
    answered = threading.Event()

    def answer(_: Seen) -> Reply:
        if len(server.seen) > 1:
            answered.wait(20)
        return poll("/work", "0")

    server.answer = answer
    poller = session.begin("GET", server.url)
    started = time.monotonic()
    with pytest.raises(PollingTimeout):
        list(as_completed([poller], timeout=0.2))
    assert time.monotonic() - started < 10
    answered.set()


@pytest.mark.parametrize("max_pending", [None, 1])
def test_one_that_is_given_twice_is_yielded_once(
    server: Server, session: PollingSession, max_pending: int | None
) -> None:
    server.answer = takes("0", 1)
    one, other = (session.submit("POST", f"{server.url}/start/{n}") for n in range(2))
    done = list(as_completed([one, one, other, one], max_pending=max_pending))
    assert sorted(map(id, done)) == sorted(map(id, (one, other)))


def test_twice_the_same_none_at_all_and_a_generator(
    server: Server, session: PollingSession
) -> None:
    poller = session.begin("GET", server.url)
    assert list(as_completed([poller, poller])) == [poller]
    assert list(as_completed([])) == []
    assert len(list(as_completed(session.begin("GET", server.url) for _ in range(3)))) == 3
    with pytest.raises(ValueError, match="max_workers=0"):
        as_completed([poller], max_workers=0)


def test_a_cancelled_one_is_done(server: Server, session: PollingSession) -> None:
    server.answer = lambda _: poll("/work", "0.2")
    poller = session.begin("GET", server.url)
    threading.Timer(0.05, poller.cancel).start()
    assert list(as_completed([poller])) == [poller]
    assert poller.cancelled()
    assert len(server.seen) == 1


def test_one_that_is_cancelled_meanwhile_is_done_at_once(
    server: Server, session: PollingSession
) -> None:
    server.answer = lambda seen: poll("/work", "60") if seen.method == "POST" else DONE
    pollers = [session.begin("POST", server.url) for _ in range(3)]
    started = time.monotonic()
    threading.Timer(0.1, lambda: [poller.cancel() for poller in pollers]).start()
    assert set(as_completed(pollers, max_workers=2)) == set(pollers)
    assert time.monotonic() - started < 10
    assert workers() == []


@pytest.mark.parametrize("timeout", [1e10, 1e300])
def test_a_timeout_longer_than_any_wait(
    server: Server, session: PollingSession, timeout: float
) -> None:
    server.script(poll("/work"), DONE)
    poller = session.begin("POST", server.url)
    assert list(as_completed([poller], timeout=timeout)) == [poller]


@pytest.mark.parametrize(
    ("wrong", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError), ("8", TypeError)]
)
def test_a_number_of_workers_that_is_none(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="max_workers=.* is not accepted"):
        as_completed([], max_workers=wrong)


def test_a_timeout_that_is_no_number(server: Server, session: PollingSession) -> None:
    server.script(poll("/work"))
    poller = session.begin("POST", server.url)
    for wait in (poller.result, poller.exception, partial(as_completed, [], 8)):
        with pytest.raises(ValueError, match="timeout=nan is not accepted"):
            wait(float("nan"))
    assert server.asked == ["POST /"]


def test_a_fake_clock_makes_it_instant(server: Server, clock: FakeClock) -> None:
    server.answer = takes("600", 5)
    with PollingSession(policy=FAST.replace(clock=clock, total_timeout=None)) as session:
        pollers = [session.begin("POST", f"{server.url}/start/{n}") for n in range(5)]
        assert len(list(as_completed(pollers, max_workers=1))) == 5
        server.answer = lambda _: poll("/work", "600")
        endless = session.begin("POST", server.url)
        with pytest.raises(PollingTimeout, match="timeout=3000"):
            list(as_completed([endless], timeout=3000))


def test_what_nobody_foresaw_ends_the_loop(
    server: Server, session: PollingSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script(poll("/work", "0"))

    def leave(*_: Any, **__: Any) -> requests.Response:
        raise SystemExit(3)

    poller = session.begin("GET", server.url)
    monkeypatch.setattr(session, "send", leave)
    with pytest.raises(SystemExit):
        list(as_completed([poller]))
    assert workers() == []


# jobs that are started here


def test_P6_submitted_jobs_are_started_in_order(server: Server) -> None:
    started: list[str] = []

    def answer(seen: Any) -> Reply:
        if seen.method == "POST":
            started.append(seen.path)
            return poll(f"/work{seen.path}", "0.01")
        return Reply(200, {}, seen.path.encode())

    server.answer = answer
    with PollingSession(policy=FAST) as session:
        jobs = [session.submit("post", f"{server.url}/{n}", data=b"x") for n in range(20)]
        assert started == []
        assert not jobs[0].done()
        found = {job.result().text for job in as_completed(jobs, max_workers=1)}
    assert started == [f"/{n}" for n in range(20)]
    assert found == {f"/work/{n}" for n in range(20)}


def test_P6_a_start_that_fails_is_that_jobs_error(server: Server) -> None:
    server.answer = lambda seen: RESET if seen.path == "/1" else DONE
    with PollingSession(policy=FAST) as session:
        urls = [f"{server.url}/0", f"{server.url}/1", "ftp://host.test/", f"{server.url}/2"]
        jobs = [session.submit("POST", url) for url in urls]
        list(as_completed(jobs))
    kinds = [type(job.exception()).__name__ for job in jobs]
    assert kinds == ["NoneType", "ConnectionError", "InvalidSchema", "NoneType"]
    assert sorted(server.asked) == ["POST /0", "POST /1", "POST /2"]
    with pytest.raises(ValueError, match="unknown whether the work has begun"):
        jobs[1].continuation_token()


def test_no_more_than_max_pending_are_drawn(server: Server) -> None:
    server.answer = lambda seen: poll("/work", "0.02") if seen.method == "POST" else DONE
    drawn: list[Poller] = []

    def jobs(session: PollingSession) -> Iterator[Poller]:
        for _ in range(30):
            drawn.append(session.submit("POST", server.url))
            yield drawn[-1]

    with PollingSession(policy=FAST) as session:
        for number, job in enumerate(as_completed(jobs(session), max_pending=4), 1):
            assert job.result().text == "done"
            assert len(drawn) <= number + 4
    assert len(drawn) == 30


def test_P2_what_is_drawn_later_is_not_kept_waiting(server: Server) -> None:
    """All workers may be waiting for what is due much later."""
    server.answer = lambda seen: poll("/work", "30") if seen.path == "/slow" else DONE
    with PollingSession(policy=FAST) as session:

        def jobs() -> Iterator[Poller]:
            yield session.submit("POST", f"{server.url}/slow")
            for _ in range(5):
                yield session.submit("POST", server.url)

        started = time.monotonic()
        completed = as_completed(jobs(), max_workers=1, max_pending=2)
        assert all(next(completed).result().text == "done" for _ in range(5))
        completed.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 10


def test_P9_connections_are_kept_of_as_many_workers(
    server: Server, session: PollingSession, caplog: pytest.LogCaptureFixture
) -> None:
    """Each request is held until all of them are under way."""
    together = threading.Barrier(64)

    def answer(seen: Seen) -> Reply:
        together.wait(30)
        return poll("/work", "0.1") if seen.method == "POST" else DONE

    server.answer = answer
    restored = pickle.loads(pickle.dumps(session))
    for opened in (session, restored):
        caplog.clear()
        before = server.connections
        jobs = [opened.submit("POST", server.url) for _ in range(64)]
        with caplog.at_level("WARNING", "urllib3"):
            for job in as_completed(jobs, max_workers=64):
                assert job.result().text == "done"
        assert caplog.messages == []
        assert server.connections - before == 64
    restored.close()


@pytest.mark.parametrize("value", [0, -1, True, 1.5])
def test_max_pending_is_a_number(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="max_pending"):
        as_completed([], max_pending=value)


@pytest.mark.parametrize("max_pending", [None, 1, 2])
def test_P6_what_was_drawn_is_not_lost_where_drawing_fails(
    server: Server, max_pending: int | None
) -> None:
    def jobs() -> Iterator[Poller]:
        yield session.submit("GET", server.url)
        yield session.submit("GET", server.url)
        raise LookupError("no more")

    with PollingSession(policy=FAST) as session:
        completed = as_completed(jobs(), max_pending=max_pending)
        assert [next(completed).result().text for _ in range(2)] == ["done", "done"]
        with pytest.raises(LookupError, match="no more"):
            next(completed)
        assert next(completed, None) is None
    assert workers() == []


def test_what_is_done_can_bring_the_next(server: Server) -> None:
    with PollingSession(policy=FAST) as session:
        jobs = SimpleQueue[Poller]()
        jobs.put(session.submit("GET", server.url))
        drawn = iter(lambda: jobs.get(timeout=5), None)
        for n, poller in enumerate(as_completed(drawn, max_pending=1)):
            assert poller.result().text == "done"
            if n == 3:
                break
            jobs.put(session.submit("GET", server.url))
    assert len(server.seen) == 4


@pytest.mark.parametrize("other", [None, "job"])
def test_what_is_no_poller(server: Server, other: Any) -> None:
    with PollingSession(policy=FAST) as session:
        jobs = as_completed([session.submit("GET", server.url), other])
        assert next(jobs).result().text == "done"
        with pytest.raises(TypeError, match=f"{other!r} is not accepted"):
            next(jobs)
