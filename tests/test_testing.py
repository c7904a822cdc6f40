"""What users test their code with."""

from __future__ import annotations

import copy
import json
import pickle
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from functools import partial
from typing import Any

import pytest
import requests
import responses

from polling_adapter import (
    OutageTooLong,
    PollingAdapter,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    Wait,
    _fake_clock,
    as_completed,
)
from polling_adapter._clock import SystemClock, at_work
from polling_adapter.reference_server import ReferenceServer
from polling_adapter.testing import Answer, FakeClock, PollingServer, Request

from .conftest import Open
from .wire.in_time import in_time

URL = "https://mocked.example"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server(clock: FakeClock) -> Iterator[PollingServer]:
    with PollingServer(clock) as server:
        yield server


@pytest.fixture
def plain() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def took(clock: FakeClock, function: Callable[[], object]) -> float:
    """How far ``function`` moves the time."""
    began = clock.monotonic()
    function()
    return clock.monotonic() - began


# the clock


def test_a_wait_takes_no_time_and_is_recorded(clock: FakeClock) -> None:
    started, wall = time.monotonic(), clock.time()
    assert took(clock, lambda: [clock.sleep(seconds) for seconds in (600, 0, -1, 0.5)]) == 600.5
    assert clock.slept == [600, 0.5]
    assert clock.time() - wall == 600.5
    assert time.monotonic() - started < 10


def test_it_begins_now_or_whenever_it_is_told_to(clock: FakeClock) -> None:
    assert 0 <= clock.time() - time.time() + 1 < 10
    assert clock.time() % 1 == clock.monotonic() % 1 == 0
    assert FakeClock(time=784111777).time() == 784111777


def test_time_passes_without_a_wait_too(clock: FakeClock) -> None:
    assert took(clock, lambda: clock.advance(90)) == 90
    assert clock.slept == []
    for seconds in (-1, float("nan")):
        with pytest.raises(ValueError, match="time only goes on"):
            clock.advance(seconds)


def test_who_begins_to_wait_at_one_moment_waits_together(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        _fake_clock, "_MOMENT", 0.5
    )  # a machine that is busy may take long for eight
    together = threading.Barrier(8)

    def wait(_: int) -> None:
        together.wait()
        clock.sleep(10)

    with ThreadPoolExecutor(8) as threads:
        assert took(clock, lambda: list(threads.map(wait, range(8)))) == 10
    assert clock.slept == [10] * 8


def test_who_waits_for_less_goes_on_first(clock: FakeClock) -> None:
    together, began = threading.Barrier(4), clock.monotonic()
    seen = []

    def wait(seconds: float) -> None:
        together.wait()
        clock.sleep(seconds)
        seen.append((seconds, clock.monotonic() - began))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(partial(at_work, clock, wait), [40, 10, 30, 20]))
    assert seen == [(seconds, seconds) for seconds in (10, 20, 30, 40)]


def test_a_copy_has_its_own_time(clock: FakeClock) -> None:
    clock.sleep(5)
    for other in (copy.copy(clock), copy.deepcopy(clock), pickle.loads(pickle.dumps(clock))):
        assert (other.slept, other.time()) == ([5], clock.time())
        other.sleep(1)
        assert took(clock, lambda other=other: other.sleep(1)) == 0  # type: ignore[misc]
    assert clock.slept == [5]
    assert pickle.loads(pickle.dumps(PollingPolicy(clock=clock))).clock.slept == [5]


# the clock, and what goes by it


def test_a_job_of_hours_is_over_at_once(
    server: PollingServer, clock: FakeClock, connect: Open
) -> None:
    url = server.job(polls=4, retry_after=600, result={"answer": 42})
    session = connect(PollingPolicy(clock=clock, jitter=0))
    assert took(clock, lambda: session.post(url).json() == {"answer": 42}) == 2400
    assert clock.slept == [600] * 4
    assert server.early == []


def test_limits_go_by_it(server: PollingServer, clock: FakeClock, connect: Open) -> None:
    session = connect(PollingPolicy(clock=clock, jitter=0, total_timeout=100))
    with pytest.raises(PollingTimeout):
        session.post(server.job(polls=9, retry_after=30))
    assert clock.slept == [30] * 3
    start = server.answers("/lost", Answer.poll("/gone", 30))
    server.answers("/gone", Answer(fault="close"))
    with pytest.raises(OutageTooLong):
        connect(PollingPolicy(clock=clock, outage_max=300)).post(start)


@pytest.mark.parametrize("jitter", [0, 0.1])
@pytest.mark.parametrize("begin", ["begin", "submit"])
def test_P1_P2_many_jobs_at_once_take_as_long_as_the_longest(
    server: PollingServer, clock: FakeClock, jitter: float, begin: str
) -> None:
    """100 jobs, 8 workers: each poll is asked when it is due, neither earlier nor later."""
    policy = PollingPolicy(clock=clock, jitter=jitter)

    def run() -> None:
        with PollingSession(policy=policy) as session:
            jobs = [
                getattr(session, begin)(
                    "POST", server.job(f"/{n}", polls=5, retry_after=10 * (n % 7) + 1, result=n)
                )
                for n in range(100)
            ]
            done = {job.result().json() for job in as_completed(jobs, max_workers=8)}
            assert done == set(range(100))

    longest = 5 * 61
    assert longest <= took(clock, run) <= longest * (1 + jitter)
    assert len(server.requests) == 600
    assert server.early == []


def test_many_jobs_by_a_clock_that_knows_nothing_of_threads(server: PollingServer) -> None:
    """What one writes by oneself: whoever sleeps adds to the time."""

    class Simple:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

        time = monotonic

        def sleep(self, seconds: float) -> None:
            before = self.now
            time.sleep(0.001)  # other threads do something now
            self.now = before + seconds

    simple = Simple()
    server.clock = simple
    with PollingSession(policy=PollingPolicy(clock=simple, jitter=0)) as session:
        urls = [server.job(f"/{n}", polls=4, retry_after=600) for n in range(20)]
        for job in as_completed([session.submit("POST", url) for url in urls]):
            assert job.result().ok
    assert simple.now == 2400
    assert server.early == []


def test_P1_P2_a_clock_of_others_that_goes_is_none_of_these() -> None:
    """Nobody waits for the requests of others, and whoever wakes early looks again."""

    class Other:
        monotonic, time = staticmethod(time.monotonic), staticmethod(time.time)

        def sleep(self, seconds: float) -> None:
            time.sleep(seconds / 2)

    answered = threading.Event()

    def slow(_: Request) -> Answer:
        assert answered.wait(20)
        return Answer()

    def quick(_: Request) -> Answer:
        answered.set()
        return Answer()

    with (
        PollingServer() as server,
        PollingSession(policy=PollingPolicy(clock=Other(), jitter=0)) as session,
    ):
        first = [server.answers("/1", slow), server.answers("/2", Answer.poll("/3", 0.1))]
        server.answers("/3", quick)
        jobs = [session.submit("GET", url) for url in first]
        assert all(job.result().ok for job in as_completed(jobs, max_workers=2))
        alone = session.submit("POST", server.job(polls=1, retry_after=0.2))
        assert [job.result().ok for job in as_completed([alone])] == [True]
    assert server.early == []


def test_many_jobs_by_a_clock_that_never_goes() -> None:
    """Where waits are mocked away: each counts as waited for, once."""

    class Stopped:
        def __init__(self) -> None:
            self.slept: list[float] = []

        def monotonic(self) -> float:
            return 1000.0

        time = monotonic

        def sleep(self, seconds: float) -> None:
            assert len(self.slept) < 100, "it loops"
            self.slept.append(seconds)

    stopped = Stopped()
    policy = PollingPolicy(clock=stopped, jitter=0)
    with PollingServer() as server, PollingSession(policy) as session:
        jobs = [session.submit("POST", server.job(polls=3, retry_after=60)) for _ in range(4)]
        assert all(job.result().ok for job in as_completed(jobs))
    assert stopped.slept == [60] * 12


class Slow(FakeClock):
    """Whose threads are not there at once."""

    def sleep(self, seconds: float) -> None:
        time.sleep(random.choice((0, 0.02)))
        super().sleep(seconds)


@pytest.mark.parametrize("way", ["post", "result"])
def test_P2_each_of_many_threads_takes_as_long_as_it_is_asked_to(
    server: PollingServer, way: str
) -> None:
    """A start and its polls take no time, so none of them may be out of time."""
    server.clock = clock = Slow()

    def run(n: int) -> Any:
        seconds = 10 * (n % 5) + 10
        url = server.job(f"/{n}", polls=6, retry_after=seconds, result=n)
        policy = PollingPolicy(clock=clock, jitter=0, total_timeout=6 * seconds + 5)
        if way == "post":
            return session.post(url, polling=policy).json()
        return session.submit("POST", url, polling=policy).result().json()

    with PollingSession() as session, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(run, range(16))) == list(range(16))
    assert server.early == []


def test_P1_below_mounted_adapters_nobody_is_early(server: PollingServer, clock: FakeClock) -> None:
    def run(n: int) -> Any:
        return session.post(server.job(f"/{n}", polls=4, retry_after=n % 5, result=n)).json()

    with requests.Session() as session, ThreadPoolExecutor(8) as threads:
        session.mount("http://", PollingAdapter(policy=PollingPolicy(clock=clock)))
        assert list(threads.map(run, range(40))) == list(range(40))
    assert server.early == []


def test_no_time_passes_while_another_request_is_under_way(
    server: PollingServer, clock: FakeClock
) -> None:
    under_way, began = threading.Event(), clock.monotonic()

    def slow(_: Request) -> Answer:
        under_way.set()
        time.sleep(0.2)
        return Answer.json(clock.monotonic() - began)

    slow_one, quick_one = server.answers("/slow", slow), server.job(polls=3, retry_after=600)
    with (
        PollingSession(policy=PollingPolicy(clock=clock)) as session,
        ThreadPoolExecutor(1) as thread,
    ):
        answer = thread.submit(session.get, slow_one)
        assert under_way.wait(10)
        session.post(quick_one)
        assert answer.result().json() == 0
    assert clock.monotonic() - began >= 1800


def test_a_call_that_waits_for_that_of_another_thread_ends(
    server: PollingServer, clock: FakeClock
) -> None:
    url, other = server.job(polls=1), server.job("/other", polls=1, retry_after=60, result="other")
    session = PollingSession()

    def ask(_: Wait) -> None:
        with ThreadPoolExecutor(1) as thread:
            policy = PollingPolicy(clock=clock)
            asked = thread.submit(session.post, other, polling=policy)
            assert asked.result(20).json() == "other"

    with session:
        policy = PollingPolicy(clock=clock, on_wait=ask)
        assert in_time(lambda: session.post(url, polling=policy), 20).ok


# the clock in the place of this machine's


def mocked(mock: responses.RequestsMock, wait: str = "600") -> None:
    mock.post(f"{URL}/start", status=303, headers={"Location": "/work", "Retry-After": wait})
    mock.get(f"{URL}/work", json=42)


def test_sessions_that_others_make_wait_by_it() -> None:
    with FakeClock() as clock, responses.RequestsMock() as mock:
        mocked(mock)
        assert PollingSession(PollingPolicy(jitter=0)).post(f"{URL}/start").json() == 42
    assert clock.slept == [600]


def test_pollers_and_adapters_of_others_wait_by_it() -> None:
    with FakeClock() as clock, PollingServer() as server:
        url = server.job(polls=2, retry_after=600)
        with PollingSession() as session:
            assert session.submit("POST", url).result().ok
            assert [job.result().ok for job in as_completed([session.begin("POST", url)])] == [True]
        with requests.Session() as plain:
            plain.mount("http://", PollingAdapter())
            assert plain.post(url).ok
    assert len(clock.slept) == 6
    assert server.early == []


def test_it_is_put_back_however_the_block_ends() -> None:
    machine = SystemClock()
    with pytest.raises(KeyError), FakeClock() as outer:  # noqa: PT012
        with FakeClock() as inner:
            machine.sleep(5)
        machine.sleep(7)
        raise KeyError
    assert (inner.slept, outer.slept) == ([5], [7])
    started = time.monotonic()
    machine.sleep(0.01)
    assert time.monotonic() - started >= 0.01
    assert abs(machine.monotonic() - time.monotonic()) < 5


def test_who_has_a_clock_keeps_it() -> None:
    own = FakeClock()
    with FakeClock() as clock, responses.RequestsMock() as mock:
        mocked(mock)
        PollingSession(PollingPolicy(clock=own, jitter=0)).post(f"{URL}/start")
    assert (own.slept, clock.slept) == ([600], [])


def test_a_job_that_was_begun_before_goes_on() -> None:
    with PollingServer() as server, PollingSession(PollingPolicy(jitter=0)) as session:
        job = session.begin("POST", server.job(polls=1, retry_after=600))
        with FakeClock() as clock:
            assert 590 < job.wait_seconds <= 600
            assert job.result().ok
        assert sum(clock.slept) <= 600


def test_the_reference_server_goes_by_it() -> None:
    with FakeClock() as clock, ReferenceServer() as server, PollingSession() as session:
        result = session.post(f"{server.url}/start_work?duration=300").json()
    assert result["nb_early_call"] == server.nb_early_call == 0
    assert sum(clock.slept) >= 300


# the server


def test_it_notes_what_came(server: PollingServer, clock: FakeClock) -> None:
    url = server.job("/start?priority=1", polls=1, retry_after=2, result=[1])
    with PollingSession(PollingPolicy(clock=clock, jitter=0)) as session:
        assert session.post(url, json={"a": 1}, headers={"X-Id": "7"}).json() == [1]
    start, work = server.requests
    assert server.asked == ["POST /start?priority=1", "GET /work/1"]
    assert start.json() == {"a": 1}
    assert start.headers["X-Id"] == "7"
    assert work.at - start.at == 2
    assert server.connections == 1


def test_each_start_is_a_work_of_its_own(server: PollingServer, clock: FakeClock) -> None:
    url = server.job(polls=2, result="done")
    with PollingSession(PollingPolicy(clock=clock)) as session:
        assert [session.post(url).json() for _ in range(2)] == ["done"] * 2
        assert session.get(f"{server.url}/work/2").json() == "done"
        assert session.post(server.job(polls=0, result=Answer(410))).status_code == 410
    first, second = ([f"GET /work/{n}"] * 2 for n in (1, 2))
    start = ["POST /start"]
    assert server.asked == [*start, *first, *start, *second, "GET /work/2", *start]


def test_answers_come_in_turn_and_the_last_stays(
    plain: requests.Session, server: PollingServer
) -> None:
    url = server.answers("/x", Answer(201), lambda request: Answer(202, {}, request.body), Answer())
    assert [plain.get(url).status_code for _ in range(2)] == [201, 202]
    assert [plain.get(f"{url}?any=1").status_code for _ in range(2)] == [200, 200]
    missing = plain.get(f"{server.url}/else")
    assert (missing.status_code, missing.text) == (404, "nothing is scripted for /else\n")


def test_a_subclass_decides_by_itself(plain: requests.Session) -> None:
    class Echo(PollingServer):
        def answer(self, request: Request) -> Answer:
            return Answer.json([request.method, request.path])

    with Echo() as server:
        assert plain.put(f"{server.url}/x?y").json() == ["PUT", "/x?y"]


@pytest.mark.parametrize(
    ("fault", "error", "cause"),
    [
        ("close", requests.ConnectionError, "RemoteDisconnected"),
        ("reset", requests.ConnectionError, "ConnectionResetError"),
        ("cut", requests.exceptions.ChunkedEncodingError, "prematurely|broken"),
        ("stall", requests.ReadTimeout, "timed out"),
    ],
)
def test_faults(server: PollingServer, fault: Any, error: type[Exception], cause: str) -> None:
    url = server.answers("/", Answer(200, {}, b"some", fault=fault), Answer.json("well"))
    with requests.Session() as session:
        with pytest.raises(error, match=cause):
            session.get(url, timeout=0.3)
        assert session.get(url).json() == "well"


@pytest.mark.parametrize("fault", ["close", "reset", "cut"])
def test_a_poll_that_fails_is_asked_again(
    server: PollingServer, clock: FakeClock, fault: Any, connect: Open
) -> None:
    url = server.answers("/start", Answer.poll("/work", 30))
    server.answers("/work", Answer(fault=fault), Answer(503), Answer.json("done"))
    assert connect(PollingPolicy(clock=clock)).post(url).json() == "done"
    assert server.asked == ["POST /start", *["GET /work"] * 3]
    assert server.early == []


def test_an_answer_takes_its_time_and_ends_with_the_server(plain: requests.Session) -> None:
    with PollingServer() as server:
        url = server.answers("/", Answer(delay=0.2), Answer(delay=3600))
        stalls = server.answers("/stalls", Answer(fault="stall"))
        started = time.monotonic()
        plain.get(url)
        assert time.monotonic() - started >= 0.2
        for asked in (url, stalls):
            with pytest.raises(requests.ReadTimeout):
                plain.get(asked, timeout=0.1)
    assert time.monotonic() - started < 10


def test_bodies_of_all_kinds(plain: requests.Session, server: PollingServer) -> None:
    echo = server.answers("/echo", lambda request: Answer(200, {}, request.body))
    assert plain.post(echo, data=iter([b"in ", b"parts"])).text == "in parts"
    assert plain.post(echo, data="grüß".encode()).content == "grüß".encode()
    assert plain.get(server.answers("/text", Answer(200, {}, "grüß"))).content.decode() == "grüß"
    parts = server.answers("/parts", Answer(200, {}, lambda: [b"in ", b"", b"parts"]))
    assert plain.get(parts).text == "in parts"
    cut = server.answers("/cut", Answer(200, {}, lambda: [b"some"], fault="cut"))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        plain.get(cut)
    with requests.Session() as session:  # on one connection: each ends where the next begins
        before = server.connections
        for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 200)):
            url = server.answers("/last", Answer(status, {}, b"" if status > 200 else b"body"))
            assert session.request(method, url).status_code == status
        assert server.connections - before == 1


def after(seconds: float) -> Callable[[FakeClock], str]:
    return lambda clock: formatdate(clock.time() + seconds, usegmt=True)


@pytest.mark.parametrize("retry_after", ["5", "4.5", after(5), "soon"])
@pytest.mark.parametrize("waits", [0, 4.4, 4.6, 5])
def test_who_comes_early_is_told_of(
    plain: requests.Session, server: PollingServer, clock: FakeClock, retry_after: Any, waits: float
) -> None:
    asked = retry_after if isinstance(retry_after, str) else retry_after(clock)
    url = server.answers("/start", Answer(303, {"location": "work?x=1", "retry-after": asked}))
    server.answers("/work", Answer(), Answer())
    response = plain.post(url, allow_redirects=False)
    clock.advance(waits)
    plain.get(response.next.url)  # type: ignore[union-attr]
    plain.get(response.next.url)  # type: ignore[union-attr]
    least = {"soon": 0, "4.5": 4.5}.get(asked, 5)
    assert [request.path for request in server.early] == ["/work?x=1"] * (waits < least)


def test_a_refusal_is_of_its_own_address(
    plain: requests.Session, server: PollingServer, clock: FakeClock
) -> None:
    refusal = Answer(429, {"Retry-After": "5"})
    elsewhere = Answer(303, {"Location": "http://127.0.0.1:1/", "Retry-After": "5"})
    url = server.answers("/x", refusal, elsewhere, Answer())
    for early in (0, 1, 1):
        plain.get(url, allow_redirects=False)
        assert len(server.early) == early
    assert [request.early for request in server.requests] == [False, True, False]


def test_stock_requests_comes_early(plain: requests.Session, server: PollingServer) -> None:
    plain.post(server.job(polls=3))
    assert len(server.early) == 3


def test_by_this_machines_clock_nobody_is_early() -> None:
    with PollingServer() as server, PollingSession(PollingPolicy(jitter=0)) as session:
        assert session.post(server.job(polls=3, retry_after=0.1)).ok
    assert server.early == []


def test_many_may_ask_for_one_address(
    plain: requests.Session, server: PollingServer, clock: FakeClock
) -> None:
    """Who is asked to wait until 3 is not early because another one is asked to until 5."""
    server.answers("/work", Answer())
    for seconds in (3, 5):
        start = server.answers("/start", Answer.poll("/work", seconds))
        plain.post(start, allow_redirects=False)
    for seconds in (3, 2):
        clock.advance(seconds)
        plain.get(f"{server.url}/work")
    assert server.early == []


def test_addresses_are_asked_for_in_quotes(plain: requests.Session, server: PollingServer) -> None:
    url = server.answers("/a work", Answer.poll("/its result?of=a work", 60))
    server.answers("/its result", Answer.json("done"))
    assert plain.get(url).json() == "done"
    assert server.asked == ["GET /a%20work", "GET /its%20result?of=a%20work"]
    assert len(server.early) == 1


def test_what_the_script_raises_is_raised_in_the_end(plain: requests.Session) -> None:
    def wrong(request: Request) -> Answer:
        raise AssertionError(f"nobody shall ask for {request.path}")

    with pytest.raises(AssertionError, match="nobody shall ask for /x"), PollingServer() as server:
        assert plain.get(server.answers("/x", wrong)).status_code == 500
    with pytest.raises(KeyError), PollingServer() as server:  # noqa: PT012
        plain.get(server.answers("/x", wrong))
        raise KeyError  # the test's own error comes first


def test_a_server_that_was_down_comes_back_on_its_port() -> None:
    with PollingServer() as server:
        start = server.answers("/start", Answer.poll("/work", 0.1))
        policy = PollingPolicy(backoff_factor=0.05)
        session = PollingSession(policy)
        job = session.begin("POST", start)
    with session, PollingServer(port=server.port) as back:
        back.answers("/work", Answer.json("done"))
        assert job.result().json() == "done"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"status": 99}, ValueError),
        ({"status": "200"}, TypeError),
        ({"status": True}, TypeError),
        ({"headers": {"Retry-After": 1}}, TypeError),
        ({"fault": "crash"}, ValueError),
        ({"delay": -1}, ValueError),
        ({"delay": "1"}, TypeError),
        ({"headers": None}, TypeError),
        ({"body": {"rows": 7}}, TypeError),
        ({"body": None}, TypeError),
    ],
)
def test_an_answer_that_cannot_be(wrong: dict[str, Any], error: type[Exception]) -> None:
    (name,) = wrong
    with pytest.raises(error, match=f"{name}=.* is not accepted"):
        Answer(**wrong)


def test_what_a_body_raises_is_raised_where_the_block_ends() -> None:
    def body() -> Iterator[bytes]:
        yield b"half"
        assert not "well"

    with pytest.raises(AssertionError, match="well"), PollingServer() as server:  # noqa: PT012
        url = server.answers("/", Answer(200, {}, body))
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.get(url, timeout=5)


def test_a_script_that_cannot_be(server: PollingServer) -> None:
    with pytest.raises(ValueError, match="give one answer or more"):
        server.answers("/x")
    with pytest.raises(ValueError, match="path='x' is not accepted"):
        server.answers("x", Answer())
    with pytest.raises(TypeError, match="'text' is not accepted: it takes answers"):
        server.answers("/x", Answer(), "text")  # type: ignore[arg-type]
    assert json.loads(Answer.json({"a": 1}).body) == {"a": 1}  # type: ignore[arg-type]
