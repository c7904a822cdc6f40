"""What signs in: once a connection, once a request, or again in the middle of a job."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
import spnego
from freezegun import freeze_time
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.credentials import Credentials
from requests_aws4auth import AWS4Auth
from requests_ntlm import HttpNtlmAuth

from polling_adapter import PollingMixin, PollingPolicy, PollingSession, continuation_token

from ..conftest import Open
from ..fake_clock import FakeClock
from ..server import DONE, Reply, Seen, Server, poll

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


# requests-ntlm


class NtlmServer:
    """Speaks NTLM, by the acceptor of pyspnego, before each of its answers."""

    def __init__(self, server: Server, *replies: Reply) -> None:
        self.asked: list[str] = []
        self._replies = list(replies)
        self._context: Any = None
        server.answer = self._answer

    def _answer(self, seen: Seen) -> Reply:
        message = base64.b64decode(seen.headers.get("Authorization", "NTLM ")[5:])
        kind = message[8:9]
        if kind == b"\1":  # negotiate
            options = spnego.NegotiateOptions.use_ntlm
            self._context = spnego.server(protocol="ntlm", options=options)
            challenge = base64.b64encode(self._context.step(message)).decode()
            return Reply(401, {"WWW-Authenticate": f"NTLM {challenge}"})
        if kind == b"\3" and not self._context.complete:  # authenticate, which is good for once
            self._context.step(message)
            who = self._context.client_principal
            self.asked.append(f"{who}: {seen.method} {seen.path} {seen.body.decode()}".strip())
            return self._replies.pop(0)
        return Reply(401, {"WWW-Authenticate": "NTLM"}, b"who are you?")


@pytest.fixture
def ntlm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HttpNtlmAuth:
    users = tmp_path / "users"
    users.write_text("DOMAIN:user:secret\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    return HttpNtlmAuth("DOMAIN\\user", "secret")


def test_requests_ntlm_signs_in_for_each_poll(
    server: Server, connect: Open, clock: FakeClock, ntlm: HttpNtlmAuth
) -> None:
    """On one connection, as stock requests has it for redirects; the mounted adapter too."""
    asking = NtlmServer(server, poll("/w/1", "5"), poll("/w/2", "6"), poll("/w/2", "7"), DONE)
    session = connect(FAST.replace(clock=clock))
    assert session.post(server.url, data=b"body", auth=ntlm).text == "done"
    assert asking.asked == [
        r"DOMAIN\user: POST / body",
        r"DOMAIN\user: GET /w/1",
        r"DOMAIN\user: GET /w/2",
        r"DOMAIN\user: GET /w/2",
    ]
    assert clock.slept == [5, 6, 7]
    assert server.connections == 1


def test_requests_ntlm_in_a_job_that_another_process_goes_on_with(
    server: Server, clock: FakeClock, ntlm: HttpNtlmAuth
) -> None:
    asking = NtlmServer(server, poll("/w", "5"), poll("/w", "6"), DONE)
    policy = FAST.replace(clock=clock)
    with PollingSession(policy=policy) as session:
        token = session.begin("POST", server.url, data=b"body", auth=ntlm).continuation_token()
    with PollingSession(policy=policy) as session:
        assert session.resume(token, auth=ntlm).result().text == "done"
    assert len(asking.asked) == 3
    assert [round(seconds) for seconds in clock.slept] == [5, 6]


# google-auth


class GooglePollingSession(PollingMixin, AuthorizedSession):  # type: ignore[misc]
    pass


def credentials(tokens: Server, expires_in: int) -> Credentials:
    """Tokens 1, 2, 3..., which :class:`AuthorizedSession` fetches and renews."""

    def answer(_: Seen) -> Reply:
        token = {"access_token": str(len(tokens.seen)), "expires_in": expires_in}
        return Reply(200, {"Content-Type": "application/json"}, json.dumps(token).encode())

    tokens.answer = answer
    return Credentials(
        None, refresh_token="r", token_uri=tokens.url, client_id="id", client_secret="secret"
    )


def job(server: Server, polls: int, uses: int) -> None:
    """A job of so many polls, for bearer tokens that are good for so many requests."""
    left = ["not yet"] * (polls - 1)

    def answer(seen: Seen) -> Reply:
        given = [earlier.headers.get("authorization") for earlier in server.seen]
        if given[-1] is None or given.count(given[-1]) > uses:
            return Reply(401)
        return poll("/w") if seen.method == "POST" or (left and left.pop()) else DONE

    server.answer = answer


def test_google_auth_polls_with_its_token(server: Server, elsewhere: Server) -> None:
    job(server, polls=3, uses=4)
    with GooglePollingSession(credentials(elsewhere, 3600), policy=FAST) as session:
        assert session.post(f"{server.url}/start", json={}).text == "done"
    assert server.asked == ["POST /start", *["GET /w"] * 3]
    assert {seen.headers["authorization"] for seen in server.seen} == {"Bearer 1"}


@pytest.mark.parametrize("kind", [AuthorizedSession, GooglePollingSession])
def test_google_auth_posts_again_where_a_token_expires(
    server: Server, elsewhere: Server, kind: Callable[..., requests.Session]
) -> None:
    """What it sends again after a 401 is the request of the call, whatever has come of it."""
    job(server, polls=2, uses=2)
    with kind(credentials(elsewhere, 3600)) as session:
        assert session.post(f"{server.url}/start", json={}).text == "done"
    assert server.asked == ["POST /start", "GET /w", "GET /w", "POST /start", "GET /w"]


def test_google_auth_posts_once_where_before_poll_renews(server: Server, elsewhere: Server) -> None:
    job(server, polls=3, uses=1)
    google = credentials(elsewhere, expires_in=1)  # it renews some minutes before, so each time

    def renewed(request: requests.PreparedRequest) -> None:
        google.before_request(Request(), request.method, request.url, request.headers)

    policy = FAST.replace(before_poll=renewed)
    with GooglePollingSession(google, refresh_status_codes=(), policy=policy) as session:
        assert session.post(f"{server.url}/start", json={}).text == "done"
    assert server.asked == ["POST /start", *["GET /w"] * 3]
    assert [seen.headers["authorization"][-1] for seen in server.seen] == ["1", "2", "3", "4"]


def test_google_auth_does_not_post_again_where_refresh_is_left_to_before_poll(
    server: Server, elsewhere: Server
) -> None:
    """A 401 is then an answer, with which the job can go on."""
    job(server, polls=2, uses=2)
    google = credentials(elsewhere, 3600)
    with GooglePollingSession(google, refresh_status_codes=(), policy=FAST) as session:
        response = session.post(f"{server.url}/start", json={})
        assert response.status_code == 401
        google.refresh(Request())
        token = continuation_token(response)
        assert token is not None
        policy = FAST.replace(before_poll=lambda request: google.apply(request.headers))
        assert session.resume(token, polling=policy).result().text == "done"
    assert server.asked == ["POST /start", *["GET /w"] * 3]


# requests-aws4auth


def aws() -> AWS4Auth:
    return AWS4Auth("id", "secret", "eu-west-1", "execute-api")


def is_signed(server: Server, seen: Seen) -> bool:
    """Whether the signature is that of this request, made with its own date."""
    signed = ("x-amz-date", "content-type")
    headers = {name: value for name, value in seen.headers.items() if name.lower() in signed}
    request = requests.Request(seen.method, server.url + seen.path, headers, data=seen.body)
    again: Any = aws()(request.prepare())
    return seen.headers.get("Authorization") == again.headers["Authorization"]


@pytest.mark.parametrize("renews", [False, True])
def test_aws4auth_signs_each_poll_by_before_poll(
    server: Server, connect: Open, clock: FakeClock, renews: bool
) -> None:
    """As auth= it signs the start alone. Unless its header is taken off, it signs for that date."""
    auth, began = aws(), datetime(2027, 1, 1, tzinfo=timezone.utc)

    class Frozen(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            frozen.tick(timedelta(seconds=seconds))

    def signed(request: requests.PreparedRequest) -> None:
        request.headers.pop("x-amz-date")
        auth(request)

    server.script(poll("/w", "600"), poll("/w", "600"), DONE)
    with freeze_time(began) as frozen:
        policy = FAST.replace(clock=Frozen(), before_poll=signed if renews else auth)
        assert connect(policy).post(f"{server.url}/start", json={"a": 1}, auth=auth).text == "done"
    dates = [seen.headers["x-amz-date"][9:13] for seen in server.seen]
    assert dates == (["0000", "0010", "0020"] if renews else ["0000"] * 3)
    assert all(is_signed(server, seen) for seen in server.seen)


def test_aws4auth_alone_signs_no_poll(server: Server, connect: Open) -> None:
    server.script(poll("/w"), DONE)
    connect(FAST).post(f"{server.url}/start", json={"a": 1}, auth=aws())
    assert [is_signed(server, seen) for seen in server.seen] == [True, False]


# a hook that replaces the response


def renewing_by_adapter(session: requests.Session, response: requests.Response, kwargs: Any) -> Any:
    _ = response.content
    response.raw.release_conn()
    request = response.request.copy()
    request.headers["Authorization"] = "new"
    return response.connection.send(request, **kwargs)  # type: ignore[attr-defined]


def renewing_by_session(session: requests.Session, response: requests.Response, kwargs: Any) -> Any:
    session.headers["Authorization"] = response.request.headers["Authorization"] = "new"
    return session.send(response.request)


def asking_again(session: requests.Session, response: requests.Response, kwargs: Any) -> Any:
    session.headers["Authorization"] = "new"
    return session.request(response.request.method or "", response.request.url or "")


@pytest.mark.parametrize("renew", [renewing_by_adapter, renewing_by_session, asking_again])
def test_a_hook_replaces_a_401_in_the_middle_of_a_job(
    server: Server, connect: Open, clock: FakeClock, renew: Callable[..., Any]
) -> None:
    """As programs do that renew a token by themselves: what it brings is polled on, once."""
    left = [poll("/w", "5"), poll("/w", "6"), poll("/x", "7"), DONE]

    def answer(seen: Seen) -> Reply:
        old = seen.headers["Authorization"] == "old" and seen.method != "POST"
        return Reply(401, {}, b"expired") if old else left.pop(0)

    server.answer = answer
    session = connect(FAST.replace(clock=clock))
    session.headers["Authorization"] = "old"

    def hook(response: requests.Response, **kwargs: Any) -> Any:
        return renew(session, response, kwargs) if response.status_code == 401 else None

    assert session.post(server.url, hooks={"response": hook}).text == "done"
    answered = [seen.path for seen in server.seen if seen.headers["Authorization"] == "new"]
    assert answered == ["/w", "/w", "/x"]
    assert server.asked.count("POST /") == 1
    assert clock.slept == [5, 6, 7]
