"""When a poll need not be prepared again, and when it must."""

from __future__ import annotations

import pytest
import requests

from polling_adapter import PollingMixin, PollingSession
from polling_adapter._call.next_request import (
    decide_alike,
    keeps_credentials,
    next_request,
    repeats,
    repetition,
)

from ..conftest import MixedSession
from ..server import DONE, Reply, Server
from .made import URL, answer, request, response


def test_the_second_time_the_same_leads_to_the_same() -> None:
    before = repetition(response(), request(), request())
    assert repeats(before, response(), request(), cookies=())


def test_not_the_first_time() -> None:
    assert not repeats(None, response(), request(), cookies=())


@pytest.mark.parametrize(
    ("then", "asked", "cookies"),
    [
        (response(status=307), request(), ()),
        (response(location="/work/"), request(), ()),
        (response(**{"Set-Cookie": "a=1"}), request(), ()),
        (response(url=f"{URL}#part"), request(f"{URL}#part"), ()),
        (response(url=f"{URL}?made=ready"), request(), ()),
        (response(), request(data=b"body"), ()),
        (response(), request(cookies={"a": "1"}), ()),
        (response(), request(), ("a",)),
    ],
)
def test_not_where_anything_is_different(
    then: requests.Response, asked: requests.PreparedRequest, cookies: tuple[str, ...]
) -> None:
    before = repetition(response(), request(), request())
    assert not repeats(before, then, asked, cookies)


def test_what_leads_elsewhere_is_not_remembered() -> None:
    assert repetition(response(), request(), request(f"{URL}/2")) is None
    assert repetition(response(), request(method="POST"), request()) is None


@pytest.mark.parametrize(
    "decision",
    ["get_redirect_target", "rebuild_auth", "rebuild_method", "rebuild_proxies"],
)
def test_whether_a_class_has_a_say_of_its_own(decision: str) -> None:
    class Plain(PollingMixin, requests.Session):
        pass

    own = type("Own", (PollingSession,), {decision: lambda *_: None})
    assert decide_alike(Plain(), PollingSession)
    assert not decide_alike(own(), PollingSession)
    session = PollingSession()
    setattr(session, decision, lambda *_: None)
    assert not decide_alike(session, PollingSession)


def test_a_target_that_is_named_elsewhere(server: Server) -> None:
    class Elsewhere(MixedSession):
        def get_redirect_target(self, resp: requests.Response) -> str | None:
            return resp.headers.get("X-Location")

    server.script(*[Reply(303, {"X-Location": "/"})] * 3, DONE)
    with Elsewhere() as session:
        assert session.get(f"{server.url}/").text == "done"


def test_the_next_request_is_that_of_requests_and_the_response_stays_as_it_is() -> None:
    first = request(method="POST", data=b"body", headers={"X-Own": "1"})
    found = answer(first, location="/other#part")
    upcoming = next_request(found, first)
    assert upcoming is not None
    assert (upcoming.method, upcoming.url) == ("GET", "http://example.org/other#part")
    assert upcoming.body is None
    assert upcoming.headers["X-Own"] == "1"
    assert found._content is False
    assert next_request(response(status=200), first) is None


@pytest.mark.parametrize(
    ("other", "keeps"),
    [
        ("http://example.org:80/other", True),
        ("https://example.org/work", True),  # as requests has it, which goes over to TLS
        ("https://example.org:8443/work", False),
        ("http://example.org:8080/work", False),
        ("http://www.example.org/work", False),
    ],
)
def test_P7_where_credentials_go_requests_decides(other: str, keeps: bool) -> None:
    assert keeps_credentials(URL, other) is keeps
    assert not keeps_credentials("https://example.org/", URL)


@pytest.mark.parametrize("url", ["http://example.org:99999/", "http://example.org:x/", "http://["])
def test_and_nowhere_that_cannot_be_read(url: str) -> None:
    assert not keeps_credentials(URL, url)
