"""``response.elapsed`` of a session is that of the last request, without its waits (P7)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from polling_adapter import PollingMixin, PollingPolicy, PollingSession

from ..conftest import MixedSession, Open
from ..server import DONE, Reply, Server, again, poll

WAIT = 0.3
FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=WAIT, backoff_max=WAIT)


def cut_short() -> Iterator[bytes]:
    yield b"do"
    raise ConnectionAbortedError


@pytest.mark.parametrize(
    "script",
    [
        [again(str(WAIT)), DONE],
        [poll("/w"), again(str(WAIT)), DONE],
        [poll("/w", str(WAIT)), DONE],
        [poll("/w"), Reply(502), DONE],
        [poll("/w"), Reply(200, {}, cut_short), DONE],
    ],
    ids=["429", "poll, 429", "poll", "502", "cut short"],
)
@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
@pytest.mark.parametrize("how", ["post", "begin"])
def test_P7_no_wait_is_in_it(
    server: Server, kind: Callable[..., PollingMixin], script: list[Reply], how: str
) -> None:
    server.script(*script)
    with kind(policy=FAST) as session:
        began = time.monotonic()
        if how == "post":
            response = session.post(server.url)
        else:
            response = session.begin("POST", server.url).result()
        assert time.monotonic() - began >= WAIT
        assert response.text == "done"
    assert response.elapsed.total_seconds() < WAIT - 0.05


def test_P7_hooks_see_that_of_each_poll(server: Server, connect: Open) -> None:
    """As requests sets it before it shows an answer to them."""
    server.script(*[poll("/w")._replace(delay=0.02)] * 3, DONE._replace(delay=0.02))
    seen: list[float] = []

    def hook(response: requests.Response, **_: Any) -> None:
        seen.append(response.elapsed.total_seconds())

    connect(FAST).get(server.url, hooks={"response": hook})
    assert len(seen) == 4
    assert min(seen) >= 0.02


@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_P7_the_time_of_the_last_request_is_in_it(
    server: Server, kind: Callable[..., PollingMixin]
) -> None:
    replies = iter([poll("/w"), again(), poll("/w"), DONE])

    def answer(_: Any) -> Reply:
        reply = next(replies)
        if reply is DONE:
            time.sleep(0.2)
        return reply

    server.answer = answer
    with kind(policy=FAST) as session:
        response = session.post(server.url)
    assert response.elapsed.total_seconds() >= 0.2
    assert all(hop.elapsed.total_seconds() < 0.2 for hop in response.history)
