"""The recipe of the documentation for event loops."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
import requests

from polling_adapter import Poller, PollingPolicy, PollingSession

from ..server import DONE, RESET, Reply, Seen, Server, again, poll
from ..test_docs import TOP, examples

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)

documented: dict[str, Any] = {}
exec(examples(TOP / "docs" / "asyncio.rst")[0], documented)  # noqa: S102
result_of: Callable[[Poller], Awaitable[requests.Response]] = documented["result_of"]


def test_it_waits_as_the_server_asks(server: Server) -> None:
    server.script(again("0.1"), poll("/w", "0.1"), Reply(502), poll("/w", "0.2"), DONE)
    with PollingSession(policy=FAST) as session:
        response = asyncio.run(result_of(session.submit("POST", server.url)))  # type: ignore[arg-type]
    assert response.text == "done"
    times = [seen.at for seen in server.seen]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert all(waited >= asked for waited, asked in zip(waits, [0.1, 0.1, 0, 0.2], strict=True))
    assert sum(waits) < 2


def test_no_thread_is_held_while_a_job_waits(server: Server) -> None:
    """Twenty jobs of half a second, and one thread."""
    server.answer = lambda seen: poll("/w", "0.5") if seen.method == "POST" else DONE

    async def all_results(session: PollingSession) -> list[requests.Response]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        pollers = [session.submit("POST", server.url) for _ in range(20)]
        return await asyncio.gather(*map(result_of, pollers))

    began = time.monotonic()
    with PollingSession(policy=FAST) as session:
        assert [response.text for response in asyncio.run(all_results(session))] == ["done"] * 20
    assert 0.5 <= time.monotonic() - began < 5  # one after the other, they would take ten seconds


def test_the_loop_goes_on_while_a_request_is_under_way(server: Server) -> None:
    answers = threading.Event()
    server.answer = lambda _: DONE if answers.wait(5) else RESET

    async def beside(session: PollingSession) -> str:
        task = asyncio.ensure_future(result_of(session.submit("POST", server.url)))
        await asyncio.sleep(0.05)
        assert not task.done()
        answers.set()
        return (await task).text

    with PollingSession(policy=FAST) as session:
        assert asyncio.run(beside(session)) == "done"


def test_an_error_is_raised_where_the_result_is_awaited(server: Server) -> None:
    server.answer = lambda seen: poll("/w") if seen.path == "/fine" else RESET

    async def both(session: PollingSession) -> list[object]:
        paths = ("/fine", "/broken")
        pollers = [session.submit("POST", server.url + path) for path in paths]
        return await asyncio.gather(*map(result_of, pollers), return_exceptions=True)

    with PollingSession(policy=FAST.replace(max_polls=0)) as session:
        fine, broken = asyncio.run(both(session))
    assert getattr(fine, "continuation_token", None) is not None
    assert isinstance(broken, requests.ConnectionError)


async def cancelled(task: asyncio.Future[requests.Response]) -> float:
    """Seconds until it is."""
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.monotonic() - began


def test_a_job_that_waits_is_cancelled_at_once(server: Server) -> None:
    server.script(poll("/w", "600"), DONE)

    async def left(session: PollingSession) -> str:
        poller = session.submit("POST", server.url)
        task = asyncio.ensure_future(result_of(poller))
        while poller.wait_seconds < 1:  # it is yet to be sent, or answered
            await asyncio.sleep(0.01)
        assert await cancelled(task) < 0.5
        return poller.continuation_token()

    began = time.monotonic()
    with PollingSession(policy=FAST) as session:
        assert session.resume(asyncio.run(left(session))).wait_seconds > 590
    assert time.monotonic() - began < 5


def test_a_request_that_is_under_way_is_answered_to_the_poller(server: Server) -> None:
    """Its task is cancelled at once, the thread goes on, and nothing is sent twice."""
    asked, answers = threading.Event(), threading.Event()

    def answer(seen: Seen) -> Reply:
        if seen.method == "POST":
            return poll("/w")
        asked.set()
        answers.wait(5)
        return DONE

    server.answer = answer

    async def left(session: PollingSession) -> Poller:
        poller = session.submit("POST", server.url)
        task = asyncio.ensure_future(result_of(poller))
        while not asked.is_set():
            await asyncio.sleep(0.01)
        assert await cancelled(task) < 0.5
        assert session.resume(poller.continuation_token()).url == f"{server.url}/w"
        answers.set()
        return poller

    with PollingSession(policy=FAST) as session:
        poller = asyncio.run(left(session))  # which waits for its threads
        assert poller.done()
        assert poller.result().text == "done"
    assert server.asked == ["POST /", "GET /w"]


def test_a_start_that_is_under_way_has_no_token_until_it_is_answered(server: Server) -> None:
    asked, answers = threading.Event(), threading.Event()

    def answer(_: Seen) -> Reply:
        asked.set()
        answers.wait(5)
        return poll("/w")

    server.answer = answer

    async def left(session: PollingSession) -> Poller:
        poller = session.submit("POST", server.url)
        task = asyncio.ensure_future(result_of(poller))
        while not asked.is_set():
            await asyncio.sleep(0.01)
        await cancelled(task)
        with pytest.raises(ValueError, match="unknown whether the work has begun"):
            poller.continuation_token()
        answers.set()
        return poller

    with PollingSession(policy=FAST) as session:
        poller = asyncio.run(left(session))
        assert session.resume(poller.continuation_token()).url == f"{server.url}/w"
    assert server.asked == ["POST /"]
