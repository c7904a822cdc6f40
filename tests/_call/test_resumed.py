"""What a token, and whoever goes on by it, give to the request that comes next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from polling_adapter import PollingPolicy
from polling_adapter._call.call import Call
from polling_adapter._call.parcel import Unprepared
from polling_adapter._call.resumed import resumed
from polling_adapter._rules.token import Token

from ..fake_clock import FakeClock
from .made import TOKEN


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def policy(clock: FakeClock) -> PollingPolicy:
    return PollingPolicy(clock=clock, total_timeout=None)


def left(call: Call) -> float | None:
    return call.job.progress.left(call.clock.monotonic())


def sent(session: requests.Session, call: Call) -> requests.PreparedRequest:
    """What ``session`` makes of what comes next."""
    upcoming = call.job.upcoming
    assert isinstance(upcoming, Unprepared)
    given = {name: upcoming.kwargs[name] for name in upcoming.kwargs if name != "hooks"}
    return session.prepare_request(requests.Request(upcoming.method, upcoming.given, **given))


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (TOKEN._replace(method="POST", has_body=True), "has a body, which the continuation token"),
        (TOKEN._replace(pending=True), "give a policy with the same pending="),
        (TOKEN._replace(method="POST", needs_key=True), "give the Idempotency-Key that it had"),
    ],
)
def test_what_a_token_does_not_hold_is_asked_for(
    session: requests.Session, policy: PollingPolicy, token: Token, text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        resumed(session, str(token), policy, None, {})
    policy = policy.replace(pending=lambda _: False)
    given = {"json": {}, "headers": {"Idempotency-Key": "7"}}
    assert resumed(session, str(token), policy, None, given).job.upcoming.url == TOKEN.url


def test_no_more_than_the_time_that_was_left(
    session: requests.Session, policy: PollingPolicy
) -> None:
    """But another policy, which the caller gives, is taken as it is."""
    text = str(TOKEN)
    assert left(resumed(session, text, policy, None, {})) == 40
    assert left(resumed(session, text, policy.replace(total_timeout=50), None, {})) == 30
    assert left(resumed(session, text, policy, policy.replace(total_timeout=500), {})) == 480
    assert left(resumed(session, text, policy, policy, {})) is None


def test_what_is_for_the_origin_of_the_job_goes_nowhere_else(
    session: requests.Session, policy: PollingPolicy
) -> None:
    session.auth = ("me", "secret")
    session.headers["Proxy-Authorization"] = "secret"
    given: dict[str, Any] = {
        "cookies": {"own": "secret"},
        "headers": {"authorization": "secret", "X-Own": "1"},
    }
    here = sent(session, resumed(session, str(TOKEN), policy, None, dict(given)))
    assert "Basic " in str(here.headers["Authorization"])
    assert here.headers["Proxy-Authorization"] == "secret"
    elsewhere = str(TOKEN._replace(url="http://elsewhere.org/work"))
    there = sent(session, resumed(session, elsewhere, policy, None, dict(given)))
    assert there.headers["X-Own"] == "1"
    for name in ("Authorization", "Proxy-Authorization", "Cookie"):
        assert name not in there.headers


def test_no_cache_may_answer_where_one_may_have_stored_the_poll(
    session: requests.Session, policy: PollingPolicy
) -> None:
    for token, given, found in [
        (TOKEN, {}, None),
        (TOKEN._replace(no_cache=True), {}, "no-cache"),
        (TOKEN._replace(no_cache=True), {"headers": {"cache-control": "max-age=0"}}, "max-age=0"),
    ]:
        call = resumed(session, str(token), policy, None, dict(given))
        assert sent(session, call).headers.get("Cache-Control") == found


def test_P7_what_follows_a_redirect_has_no_parameters_and_no_body_of_the_start(
    session: requests.Session, policy: PollingPolicy
) -> None:
    session.params = {"key": "1"}
    given = {"data": b"body", "headers": {"Content-Type": "a/b"}}
    made = sent(session, resumed(session, str(TOKEN), policy, None, given))
    assert (made.url, made.body) == (TOKEN.url, None)
    assert "Content-Type" not in made.headers
