"""urllib3's retries below ours, against a real server."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from polling_adapter import (
    OutageTooLong,
    PollingAdapter,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    RetryAfterTooLong,
    Wait,
    continuation_token,
)
from polling_adapter._call.below import sent_in, within_call
from polling_adapter._call.call import Call

from ..conftest import MixedSession
from ..fake_clock import FakeClock
from ..server import DONE, RESET, Reply, Server, again, poll

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


def retrying(policy: PollingPolicy, retries: Retry | int) -> requests.Session:
    session = requests.Session()
    session.mount("http://", PollingAdapter(policy=policy, max_retries=retries))
    return session


def test_its_backoff_goes_by_the_clock_of_the_call(server: Server, clock: FakeClock) -> None:
    server.script(RESET, RESET, Reply(500), poll("/work", "1"), Reply(500), DONE)
    retries = Retry(5, backoff_factor=2, status_forcelist=[500])
    with retrying(FAST.replace(clock=clock), retries) as session:
        assert session.get(server.url).text == "done"
    assert clock.slept == [4, 8, 1]


def test_it_leaves_to_the_call_what_the_call_asks_again(server: Server, clock: FakeClock) -> None:
    server.script(again("7"), again("8", 503), Reply(503), DONE)
    retries = Retry(5, status_forcelist=[429, 503])
    with retrying(FAST.replace(clock=clock), retries) as session:
        assert session.get(server.url).text == "done"
    assert clock.slept == [7, 8]
    assert len(server.seen) == 4


def test_it_honours_what_the_call_does_not_ask_again(server: Server, clock: FakeClock) -> None:
    server.script(again("7", 413), DONE)
    with retrying(FAST.replace(clock=clock), Retry(5)) as session:
        assert session.get(server.url).text == "done"
    assert clock.slept == [7]


def test_P1_also_where_it_shall_not_respect_that(server: Server, clock: FakeClock) -> None:
    server.script(poll("/work"), again("7", 502), again("8", 502), DONE)
    retries = Retry(5, status_forcelist=[502], respect_retry_after_header=False)
    with retrying(FAST.replace(clock=clock), retries) as session:
        assert session.get(server.url).text == "done"
    assert [seconds for seconds in clock.slept if seconds > 0] == [7, 8]


@pytest.mark.parametrize("raises", [True, False])
def test_P6_a_poll_that_it_gives_up_is_a_failed_poll(
    server: Server, clock: FakeClock, raises: bool
) -> None:
    retries = Retry(1, status_forcelist=[502], raise_on_status=raises)
    server.script(poll("/work"), *[Reply(502)] * 20, DONE)
    with retrying(FAST.replace(clock=clock), retries) as session:
        assert session.post(server.url).text == "done"


@pytest.mark.parametrize("raises", [True, False])
def test_P6_five_500_in_a_row_are_the_answer_below_it_too(
    server: Server, clock: FakeClock, raises: bool
) -> None:
    retries = Retry(1, status_forcelist=[500], raise_on_status=raises)
    server.script(poll("/work"), *[Reply(500)] * 10)
    with retrying(FAST.replace(clock=clock), retries) as session:
        if raises:
            with pytest.raises(OutageTooLong, match="status 500 came 5 times.* 500 x 5") as caught:
                session.post(server.url)
            assert isinstance(caught.value.__cause__, requests.exceptions.RetryError)
            assert continuation_token(caught.value)
        else:
            assert session.post(server.url).status_code == 500
    assert len(server.seen) == 11


def test_what_it_retries_is_named(server: Server, clock: FakeClock) -> None:
    waits: list[Wait] = []
    policy = FAST.replace(clock=clock, total_timeout=60, on_wait=waits.append)
    retries = Retry(9, backoff_factor=8, status_forcelist=[502], allowed_methods=None)
    server.script(poll("/w", "1"), Reply(502))
    told = pytest.raises(PollingTimeout, match="seen so far: 303 x 1, 502 x 1;")
    with retrying(policy, retries) as session, told:
        session.post(server.url)
    reasons = [wait.reason for wait in waits]
    assert reasons[0] == "303 with Retry-After: 1"
    assert set(reasons[1:]) == {"status 502, retried by max_retries"}


def test_P8_it_never_sleeps_past_the_deadline(server: Server, clock: FakeClock) -> None:
    server.script(RESET, RESET, DONE)
    policy = FAST.replace(clock=clock, total_timeout=3)
    with retrying(policy, Retry(5, backoff_factor=2)) as session:
        why = r"due in 4 s \(ProtocolError, retried by max_retries\), 3 s are left"
        with pytest.raises(PollingTimeout, match=why):
            session.get(server.url)
        server.script(poll("/work", "1"), RESET)
        with pytest.raises(PollingTimeout, match=r"resume with GET .*/work"):
            session.get(server.url)
    assert clock.slept == [1]


def test_it_can_be_set_later_and_pickled(server: Server, clock: FakeClock) -> None:
    adapter = PollingAdapter()
    adapter.max_retries = Retry(3, backoff_factor=2)
    adapter = pickle.loads(pickle.dumps(adapter))
    assert (adapter.max_retries.total, adapter.max_retries.backoff_factor) == (3, 2)
    assert adapter.policy == PollingPolicy()
    adapter.policy = FAST.replace(clock=clock)
    server.script(RESET, RESET, DONE)
    with requests.Session() as session:
        session.mount("http://", adapter)
        assert session.get(server.url).text == "done"
    assert clock.slept == [4]


def test_a_number_of_retries(server: Server) -> None:
    server.script(RESET, RESET, DONE)
    with retrying(FAST, 2) as session:
        assert session.get(server.url).text == "done"


def test_a_subclass_of_the_users_is_left_as_it_is() -> None:
    class Mine(Retry):
        pass

    assert type(PollingAdapter(max_retries=Mine(2)).max_retries) is Mine


def test_outside_of_a_call_it_is_what_it_was() -> None:
    retries = PollingAdapter(max_retries=Retry(3, backoff_factor=0.01)).max_retries
    retries.increment("GET", "/", error=urllib3.exceptions.ProtocolError("broken")).sleep()


@pytest.mark.parametrize("total", [0, 1])
@pytest.mark.parametrize("status", [429, 502])
def test_P1_what_an_answer_asks_for_that_it_keeps_to_itself_counts(
    server: Server, clock: FakeClock, status: int, total: int
) -> None:
    """Its error says the status, and nothing else."""
    server.script(poll("/work"), *[again("30", status)] * 4, DONE)
    retries = Retry(total, status_forcelist=[429, 502])
    with retrying(FAST.replace(clock=clock), retries) as session:
        assert session.post(server.url).text == "done"
    assert [seconds for seconds in clock.slept if seconds > 0] == [30] * 4


@pytest.mark.parametrize("adapter", [PollingAdapter, HTTPAdapter])
@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_P1_nor_below_an_adapter_of_others(
    server: Server, clock: FakeClock, kind: Any, adapter: type[HTTPAdapter]
) -> None:
    server.script(poll("/work"), again("30", 502), again("20", 502), DONE)
    with kind(policy=FAST.replace(clock=clock)) as session:
        session.mount("http://", adapter(max_retries=Retry(0, status_forcelist=[502])))
        assert session.post(server.url).text == "done"
    assert [seconds for seconds in clock.slept if seconds > 0] == [30, 20]


def test_P4_it_refuses_nothing_that_the_call_asks_again(server: Server, clock: FakeClock) -> None:
    server.script(again("7"), DONE)
    with retrying(FAST.replace(clock=clock), Retry(0, status_forcelist=[429])) as session:
        assert session.get(server.url).text == "done"


def test_P9_a_call_that_is_dead_bounds_nothing(server: Server, clock: FakeClock) -> None:
    """Ctrl-C may come when it has just been named, and leave it there."""
    server.script(Reply(500), DONE)
    dead = Call(FAST.replace(clock=clock, total_timeout=1))
    clock.now += 100
    with sent_in(dead), requests.Session() as session:
        policy = FAST.replace(clock=clock)
        retries = Retry(2, status_forcelist=[500])
        session.mount("http://", PollingAdapter(policy=policy, max_retries=retries))
        assert within_call(retries) is retries
        assert session.get(server.url).text == "done"


@pytest.mark.parametrize("limit", ["total_timeout", "retry_after_max"])
def test_P1_what_it_has_no_time_for_is_due_when_the_server_says(
    server: Server, clock: FakeClock, limit: str
) -> None:
    server.script(poll("/work"), again("7000", 502), DONE)
    policy = FAST.replace(clock=clock, total_timeout=None).replace(**{limit: 600})
    with retrying(policy, Retry(3, status_forcelist=[502])) as session:
        kind = PollingTimeout if limit == "total_timeout" else RetryAfterTooLong
        with pytest.raises(kind) as caught:
            session.post(server.url)
    assert len(server.seen) == 2
    with PollingSession(policy=FAST.replace(clock=clock)) as session:
        poller = session.resume(caught.value.continuation_token or "")
        assert poller.wait_seconds >= 7000


def test_P10_what_it_would_survive_is_no_failed_poll_when_a_result_is_not_there_in_time(
    server: Server,
) -> None:
    server.script(poll("/work"), *[Reply(500)] * 2, DONE)
    policy = FAST.replace(poll_failures=0)
    with PollingSession(policy=policy) as session:
        retries = Retry(3, status_forcelist=[500], backoff_factor=1)
        session.mount("http://", PollingAdapter(policy=policy, max_retries=retries))
        poller = session.begin("POST", server.url)
        with pytest.raises(PollingTimeout, match="no result within timeout"):
            poller.result(timeout=0.5)
        assert 1 < poller.wait_seconds <= 2
        assert poller.result().text == "done"
    assert server.asked == ["POST /", *["GET /work"] * 3]


def test_P7_polling_false_while_it_waits_is_nothing_of_that_call(
    server: Server, elsewhere: Server, clock: FakeClock
) -> None:
    replies = itertools.cycle([again("4000", 502), DONE])
    elsewhere.answer = lambda _: next(replies)
    found: list[int] = []
    other = PollingSession(policy=FAST)
    never = Retry(1, status_forcelist=[502], respect_retry_after_header=False)
    other.mount("http://", PollingAdapter(max_retries=never))

    def on_wait(_: object) -> None:
        found.append(other.get(elsewhere.url, polling=False).status_code)

    server.script(poll("/work"), Reply(502), Reply(502), DONE)  # the first of its waits is none
    policy = FAST.replace(clock=clock, on_wait=on_wait)
    with other, retrying(policy, Retry(3, status_forcelist=[502], backoff_factor=2)) as session:
        assert session.post(server.url).text == "done"
    assert set(found) == {200}
