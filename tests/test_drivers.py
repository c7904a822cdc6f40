"""What holds on the wire, for both ways in."""

from __future__ import annotations

import time

import pytest
import requests

from polling_adapter import PollingPolicy, PollingTimeout, TooManyPolls

from .conftest import Open
from .server import DONE, RESET, Reply, Server, again, poll

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


def test_P1_never_early(server: Server, connect: Open) -> None:
    server.script(poll("/work", "0.2"), poll("/work", "0.3"), DONE)
    assert connect(FAST).post(server.url).text == "done"
    first, second, third = (seen.at for seen in server.seen)
    assert second - first >= 0.2
    assert third - second >= 0.3


def test_P3_two_hundred_polls_where_requests_gives_up(server: Server, connect: Open) -> None:
    server.script(*[poll(f"/work/{n}") for n in range(200)], DONE)
    assert connect(FAST).post(server.url).text == "done"
    assert len(server.seen) == 201
    server.script(*[poll(f"/work/{n}") for n in range(200)], DONE)
    with requests.Session() as plain, pytest.raises(requests.TooManyRedirects):
        plain.post(server.url)


def test_P4_refused_requests_are_sent_again(server: Server, connect: Open) -> None:
    server.script(again(), again(status=503), DONE)
    assert connect(FAST).post(server.url, data=b"body").text == "done"
    assert [seen.body for seen in server.seen] == [b"body"] * 3


def test_P4_a_refused_poll_asks_for_its_own_url(server: Server, connect: Open) -> None:
    server.script(poll("/work"), again(), DONE)
    assert connect(FAST).post(server.url).text == "done"
    assert server.asked == ["POST /", "GET /work", "GET /work"]


def test_P5_without_redirects_the_first_is_returned_at_once(server: Server, connect: Open) -> None:
    server.script(poll("/work", "86400"))
    started = time.monotonic()
    response = connect(FAST).post(server.url, allow_redirects=False)
    assert response.status_code == 303
    assert time.monotonic() - started < 2
    assert len(server.seen) == 1


def test_P6_failed_polls_are_survived(server: Server, connect: Open) -> None:
    server.script(poll("/work"), RESET, Reply(502), poll("/work"), Reply(500), DONE)
    assert connect(FAST).post(server.url).text == "done"
    assert server.asked[0] == "POST /"
    assert set(server.asked[1:]) == {"GET /work"}


def test_P6_the_request_that_starts_the_work_is_sent_once(server: Server, connect: Open) -> None:
    server.script(RESET, DONE)
    with pytest.raises(requests.ConnectionError):
        connect(FAST).post(server.url)
    assert len(server.seen) == 1


def test_P8_a_wait_past_the_deadline_raises_unslept(server: Server, connect: Open) -> None:
    server.script(poll("/work/1", "86400"))
    started = time.monotonic()
    with pytest.raises(PollingTimeout) as caught:
        connect(FAST.replace(total_timeout=3)).post(server.url)
    assert time.monotonic() - started < 2
    assert caught.value.url == server.url + "/work/1"
    assert isinstance(caught.value, requests.Timeout)


def test_P8_too_many_polls(server: Server, connect: Open) -> None:
    server.script(poll("/work"))
    with pytest.raises(TooManyPolls) as caught:
        connect(FAST.replace(max_polls=5)).post(server.url)
    assert caught.value.polls == 5
    assert isinstance(caught.value, requests.TooManyRedirects)


def test_cookies_set_by_a_poll_reach_the_next(server: Server, connect: Open) -> None:
    polls = [poll(f"/work/{n}", **{"Set-Cookie": f"c{n}=1; Path=/"}) for n in range(3)]
    server.script(*polls, DONE)
    session = connect(FAST)
    session.post(server.url)
    assert server.seen[-1].headers["Cookie"] == "c0=1; c1=1; c2=1"
    assert set(session.cookies.keys()) == {"c0", "c1", "c2"}
