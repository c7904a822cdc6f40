"""A little of the soak, so that it stays as good as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from polling_adapter import PollingPolicy, PollingSession

from . import outage, soak
from .fake_clock import FakeClock
from .server import DONE, RESET, Reply, Seen, Server, poll
from .wire.ways import WAYS

pytestmark = pytest.mark.slow


@pytest.fixture
def servers() -> Iterator[soak.Servers]:
    servers = soak.Servers()
    yield servers
    servers.stop()


def test_P6_nothing_is_lost(servers: soak.Servers) -> None:
    figures = soak.soak(servers, servers.url, works=40, threads=20, restarts=1)
    assert not soak.failed("smoke", figures), figures
    assert figures["results"] == 40
    assert figures["restarts"] == 1


def test_who_was_cut_off_before_an_answer_is_not_early(
    servers: soak.Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_asked = threading.Event()

    class Slow(soak.Faulty):
        def end_headers(self) -> None:
            super().end_headers()
            if self.command == "GET" and not is_asked.is_set():
                is_asked.set()
                time.sleep(0.3)  # until it is cut, before it has sent anything

    servers.server._http.RequestHandlerClass = Slow
    monkeypatch.setattr(soak.Faulty, "chances", {})
    policy = PollingPolicy(backoff_factor=0.1)
    with PollingSession(policy=policy) as session, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(session.post, f"{servers.url}/start_work?duration=2.5")
        assert is_asked.wait(10)
        servers.restart()
        assert asked.result().json()["nb_get_call"] > 0
    assert servers.server.nb_early_call == 0


def test_what_is_not_as_it_must_be_fails() -> None:
    good = dict.fromkeys(["lost", "doubled", "early", "sockets left", "threads left"], 0)
    good.update(works=3, results=3)
    assert not soak.failed("good", good)
    for name in ("lost", "doubled", "early", "sockets left", "threads left"):
        assert soak.failed("bad", {**good, name: 1})
    assert soak.failed("bad", {**good, "results": 2})


def test_what_never_happened_fails() -> None:
    assert not soak.absent({"429 seen": 1}, "429 seen")
    assert soak.absent({"429 seen": 0}, "429 seen")
    assert soak.absent({}, "fault reset")


def test_P6_a_server_that_is_killed_loses_no_job() -> None:
    figures = outage.outage(1, works=20, threads=10)
    assert not outage.failed(figures), figures


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("reply", [RESET, Reply(502), Reply(429)], ids=["reset", "502", "429"])
def test_P6_three_minutes_of_outage(
    server: Server, clock: FakeClock, way: str, reply: Reply
) -> None:
    began = clock.now

    def answer(seen: Seen) -> Reply:
        passed = clock.now - began
        if seen.path == "/start" or passed < 10:
            return poll("/w", "2")
        return reply if passed < 190 else DONE

    server.answer = answer
    response = WAYS[way](PollingPolicy(clock=clock), "POST", f"{server.url}/start")
    assert response.content == b"done"
    assert [seen.method for seen in server.seen].count("POST") == 1
    assert 190 < clock.now - began < 190 + 35
