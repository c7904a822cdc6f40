"""A start with an Idempotency-Key may be sent again, by whoever decides to (P6)."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
import requests

from polling_adapter import (
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    as_completed,
    continuation_token,
)

from ..conftest import Open
from ..server import DONE, RESET, Reply, Seen, Server, again, poll

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)
KEY = {"Idempotency-Key": "8e03978e"}
WORK = b"work"


class CtrlC(BaseException):
    """As KeyboardInterrupt, which no test should leave to pytest."""


def never(_: Seen) -> Reply:
    time.sleep(0.5)
    return DONE


def inside(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def goes_on(server: Server, token: str, **options: Any) -> None:
    server.seen.clear()
    server.script(poll("/w"), DONE)
    with PollingSession(policy=FAST) as session:
        assert session.resume(token, data=WORK, **options).result().text == "done"
    assert server.asked == ["POST /start", "GET /w"]
    assert server.seen[0].headers["Idempotency-Key"] == "8e03978e"
    assert server.seen[0].body == WORK


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key"])
def test_a_start_without_an_answer_has_a_token(server: Server, connect: Open, name: str) -> None:
    server.script(RESET)
    with pytest.raises(requests.ConnectionError) as caught:
        connect(FAST).post(f"{server.url}/start", data=WORK, headers={name: KEY["Idempotency-Key"]})
    assert server.asked == ["POST /start"]  # nothing of ours sends it again
    token = continuation_token(caught.value)
    assert token is not None
    assert b"8e03978e" not in inside(token)
    goes_on(server, token, headers=KEY)


def test_nor_an_answer_in_time(server: Server, connect: Open) -> None:
    server.answer = never
    with pytest.raises(PollingTimeout) as caught:
        connect(FAST.replace(total_timeout=0.1)).post(f"{server.url}/start", data=WORK, headers=KEY)
    goes_on(server, caught.value.continuation_token or "", headers=KEY)


def test_nor_when_it_is_interrupted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> requests.Response:
        raise CtrlC

    with PollingSession(policy=FAST) as session:
        with monkeypatch.context() as patch:
            patch.setattr(requests.adapters.HTTPAdapter, "send", interrupted)
            with pytest.raises(CtrlC) as caught:
                session.post(f"{server.url}/start", data=WORK, headers=KEY)
            poller = session.submit("POST", f"{server.url}/start", data=WORK, headers=KEY)
            with pytest.raises(CtrlC):
                poller.poll()
        goes_on(server, continuation_token(caught.value) or "", headers=KEY)
        goes_on(server, poller.continuation_token(headers=["Idempotency-Key"]))
        server.script(poll("/w"), DONE)
        assert poller.result().text == "done"  # whoever asks again has decided


@pytest.mark.parametrize(
    "headers", [None, {}, {"Idempotency-Key": None}, {"Idempotency-Key": ""}, {"X": "1"}]
)
def test_without_the_key_it_is_not_sent_again(server: Server, headers: Any) -> None:
    server.script(RESET)
    with PollingSession(policy=FAST) as session:
        with pytest.raises(requests.ConnectionError) as caught:
            session.post(f"{server.url}/start", data=WORK, headers=KEY)
        token = continuation_token(caught.value) or ""
        with pytest.raises(ValueError, match=r"POST .*/start got no answer.*Idempotency-Key"):
            session.resume(token, data=WORK, headers=headers)
        with pytest.raises(ValueError, match="has a body"):
            session.resume(token, headers=KEY)
    assert server.asked == ["POST /start"]


def test_an_empty_key_is_none(server: Server) -> None:
    server.script(RESET)
    with PollingSession(policy=FAST) as session, pytest.raises(requests.ConnectionError) as caught:
        session.post(f"{server.url}/start", headers={"Idempotency-Key": ""})
    assert continuation_token(caught.value) is None


def test_the_tokens_of_what_is_resumed_need_it_too(server: Server) -> None:
    server.script(RESET)
    with PollingSession(policy=FAST) as session:
        job = session.submit("POST", f"{server.url}/start", data=WORK, headers=KEY)
        list(as_completed([job]))
        assert isinstance(job.exception(), requests.ConnectionError)
        token = job.continuation_token(headers=["Idempotency-Key"])
        for _ in range(3):
            resumed = session.resume(token, data=WORK)
            with pytest.raises(ValueError, match="Idempotency-Key"):
                session.resume(resumed.continuation_token(), data=WORK)
            token = resumed.continuation_token(headers=["Idempotency-Key"])
        assert isinstance(resumed.exception(), requests.ConnectionError)
        goes_on(server, resumed.continuation_token(headers=["Idempotency-Key"]))


def test_what_was_refused_or_answered_needs_no_key(server: Server) -> None:
    server.script(RESET)
    with PollingSession(policy=FAST) as session:
        with pytest.raises(requests.ConnectionError) as caught:
            session.post(f"{server.url}/start", headers=KEY)
        for answer, asked in ((again("0"), "POST /start"), (poll("/w"), "GET /w")):
            server.script(answer)
            resumed = session.resume(continuation_token(caught.value) or "", headers=KEY)
            resumed.poll()
            server.script(DONE)
            session.resume(resumed.continuation_token()).result()
            assert server.asked[-1] == asked


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
def test_a_start_by_an_idempotent_method_has_a_token(
    server: Server, connect: Open, method: str
) -> None:
    server.script(RESET)
    with pytest.raises(requests.ConnectionError) as caught:
        connect(FAST).request(method, f"{server.url}/start")
    assert server.asked == [f"{method} /start"]
    server.script(poll("/w"), DONE)
    with PollingSession(policy=FAST) as session:
        token = continuation_token(caught.value) or ""
        assert session.resume(token).result().text == "done"


def test_any_other_has_none(server: Server, connect: Open) -> None:
    server.script(RESET)
    with pytest.raises(requests.ConnectionError) as caught:
        connect(FAST).post(server.url)
    assert continuation_token(caught.value) is None
    server.script(DONE)
    with pytest.raises(requests.exceptions.InvalidURL) as unsent:
        connect(FAST).get("http://[")
    assert continuation_token(unsent.value) is None
