"""A chain of redirects as a session follows it, hop by hop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from polling_adapter import PollingPolicy
from polling_adapter._call.call import Call
from polling_adapter._call.exchange import attempt
from polling_adapter._call.following import HISTORY_POLLS, Following, leads_on

from ..fake_clock import FakeClock
from .made import answer, request, response

Step = tuple[int, str | None, str | None]
RESULT: Step = (200, None, None)


def poll(location: str = "/work") -> Step:
    return 303, location, "1"


def moved(location: str) -> Step:
    return 302, location, None


class Answering(requests.Session):
    """Answers what a call sends by a status, a Location and a Retry-After, in turn."""

    def __init__(self, call: Call, *script: Step) -> None:
        super().__init__()
        self.trust_env = False
        self._call, self._script = call, list(script)

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        self._call.sends(request)
        self._call.goes_out()
        status, location, wait = self._script.pop(0)
        return answer(request, status, location, **({} if wait is None else {"Retry-After": wait}))


def begun(call: Call, *script: Step) -> tuple[Answering, Any, requests.PreparedRequest]:
    """A session, and the first answer that it has in ``call``."""
    session, start = Answering(call, *script), call.owns(request(method="POST"))
    return session, attempt(call, lambda: session.send(start), reads=True), start


@pytest.fixture
def call(clock: FakeClock) -> Call:
    return Call(PollingPolicy(clock=clock, jitter=0))


def test_P1_each_hop_when_it_is_due_and_in_order(call: Call, clock: FakeClock) -> None:
    session, first, start = begun(call, moved("/a"), poll("/b"), moved("/c"), poll("/d"), RESULT)
    hops = list(Following(session, {}, repeats=False).responses(call, first, start))
    assert [hop.url.rpartition("/")[2] for hop in hops] == ["a", "b", "c", "d"]
    assert [hop.status_code for hop in hops] == [303, 302, 303, 200]
    assert clock.slept == [1, 1]


def test_of_polls_in_a_row_the_newest_are_kept(call: Call) -> None:
    polls = [poll(f"/work/{number}") for number in range(100)]
    session, first, start = begun(call, *polls, RESULT)
    hops = list(Following(session, {}, repeats=False).responses(call, first, start))
    numbers = [int(hop.url.rpartition("/")[2]) for hop in hops]
    assert numbers == list(range(100 - HISTORY_POLLS - 1, 100))
    assert hops[-1].status_code == 200


def test_P3_polls_do_not_count_against_max_redirects(call: Call) -> None:
    session, first, start = begun(call, *[poll()] * 5, moved("/a"), moved("/b"), RESULT)
    session.max_redirects = 1
    with pytest.raises(requests.TooManyRedirects, match="Exceeded 1 redirects") as caught:
        list(Following(session, {}, repeats=False).responses(call, first, start))
    assert caught.value.response is not None
    assert caught.value.response.url == "http://example.org/a"
    assert call.job.progress.polls == 5


def test_where_there_is_no_adapter_it_is_said_before_any_wait(call: Call, clock: FakeClock) -> None:
    session, first, start = begun(call, poll("ftp://example.org/work"))
    with pytest.raises(requests.exceptions.InvalidSchema):
        list(Following(session, {}, repeats=False).responses(call, first, start))
    assert clock.slept == []


def test_P8_what_cannot_be_read_is_an_error_of_requests_in_the_middle_of_a_job(
    clock: FakeClock,
) -> None:
    no_latin_1 = response(303, "/w\u4e00")
    with requests.Session() as session:
        call = Call(PollingPolicy(clock=clock))
        with pytest.raises(UnicodeEncodeError):
            leads_on(session, call, no_latin_1)
        begun(call, poll())
        with pytest.raises(requests.exceptions.InvalidURL, match="cannot be read"):
            leads_on(session, call, no_latin_1)


def test_P7_the_environment_is_asked_for_proxies_once_for_an_origin() -> None:
    asked: list[str] = []

    def found(name: str) -> Callable[[], dict[str, str]]:
        def stock() -> dict[str, str]:
            asked.append(name)
            return {"http": name}

        return stock

    with requests.Session() as session:
        following = Following(session, {}, repeats=True)
        for url, name, proxy in [
            ("http://one/1", "a", "a"),
            ("http://one/2", "b", "a"),
            ("http://two/", "c", "c"),
            ("https://two/", "d", "d"),
            ("http://one/1", "e", "e"),
        ]:
            assert following.proxies(request(url), found(name)) == {"http": proxy}
    assert asked == ["a", "c", "d", "e"]
