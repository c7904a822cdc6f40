"""Clients that follow redirects themselves, at once, and the session that leaves them none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from azure.core import PipelineClient
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.policies import RedirectPolicy, RetryPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest
from keystoneauth1.exceptions import ConnectTimeout
from keystoneauth1.session import Session as Keystone

from polling_adapter import PollingPolicy, PollingSession, continuation_token

from ..fake_clock import FakeClock
from ..server import Reply, Server, again, poll

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)
DONE = Reply(200, {"Content-Type": "application/json"}, b'{"answer": 42}')


class FollowingSession(PollingSession):
    def request(self, method: str, url: str | bytes, *args: Any, **kwargs: Any) -> Any:
        return super().request(method, url, *args, **{**kwargs, "allow_redirects": True})


def by_azure(session: requests.Session, url: str) -> Any:
    transport = RequestsTransport(session=session)
    policies = [RedirectPolicy(), RetryPolicy()]
    with PipelineClient(url, transport=transport, policies=policies) as client:
        return client.send_request(HttpRequest("POST", f"{url}/start", json={})).json()


def by_keystone(session: requests.Session, url: str) -> Any:
    keystone = Keystone(session=session)
    return keystone.post(f"{url}/start", json={}, authenticated=False).json()


Ask = Callable[[requests.Session, str], Any]
clients = pytest.mark.parametrize("ask", [by_azure, by_keystone])


@clients
def test_they_ask_for_the_first_answer_and_wait_for_nothing(
    server: Server, clock: FakeClock, ask: Ask
) -> None:
    server.script(poll(f"{server.url}/w", "5"), poll(f"{server.url}/w", "6"), DONE)
    with PollingSession(policy=FAST.replace(clock=clock)) as session:
        assert ask(session, server.url) == {"answer": 42}
    assert len(server.seen) == 3
    assert clock.slept == []


@clients
def test_they_get_the_result_of_a_session_that_follows_all(
    server: Server, clock: FakeClock, ask: Ask
) -> None:
    server.script(again("3"), poll("/w", "5"), Reply(502), poll("/w", "6"), DONE)
    with FollowingSession(policy=FAST.replace(clock=clock)) as session:
        assert ask(session, server.url) == {"answer": 42}
    assert server.asked == [*["POST /start"] * 2, *["GET /w"] * 3]
    assert clock.slept == [3, 5, 0.001, 6]


def test_azure_keeps_what_ended_a_job(server: Server) -> None:
    server.script(poll("/w", "600"), DONE)
    with FollowingSession(policy=FAST.replace(total_timeout=1)) as session:
        with pytest.raises(ServiceResponseError) as caught:
            by_azure(session, server.url)
        assert caught.value.inner_exception is not None
        assert continuation_token(caught.value.inner_exception) is not None
    assert server.asked == ["POST /start"]


def test_keystoneauth_takes_a_limit_for_no_connection(server: Server) -> None:
    """So it would begin the job again, where it is told to: connect_retries is 0 by itself."""
    server.script(poll("/w", "600"), DONE)
    with FollowingSession(policy=FAST.replace(total_timeout=1)) as session:
        with pytest.raises(ConnectTimeout) as caught:
            by_keystone(session, server.url)
        assert caught.value.__context__ is not None
        assert continuation_token(caught.value.__context__) is not None
    assert server.asked == ["POST /start"]
