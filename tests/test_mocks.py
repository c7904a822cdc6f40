"""Those who mock requests can go on doing so."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any
from unittest.mock import MagicMock, Mock, create_autospec, patch

import pytest
import requests
import requests_mock
import responses

from polling_adapter import PollingAdapter, PollingPolicy, PollingSession, TooManyPolls
from polling_adapter.pending import accepted

from .conftest import Open
from .fake_clock import FakeClock

URL = "http://example.org"
WORK = {"Location": "/work", "Retry-After": "3"}


def test_requests_mock(requests_mock: requests_mock.Mocker, clock: FakeClock) -> None:
    """It takes the adapters' place, so the session polls alone."""
    requests_mock.post(
        f"{URL}/start",
        [
            {"status_code": 429, "headers": {"Retry-After": "2"}},
            {"status_code": 303, "headers": WORK},
        ],
    )
    requests_mock.get(
        f"{URL}/work",
        [
            {"status_code": 303, "headers": WORK, "json": {"progress": 40}},
            {"status_code": 502},
            {"exc": requests.ConnectTimeout},
            {"json": {"result": 42}},
        ],
    )
    progress = []
    policy = PollingPolicy(
        jitter=0, clock=clock, on_wait=lambda wait: progress.append(wait.response)
    )
    response = PollingSession(policy=policy).post(f"{URL}/start", json={})
    assert response.json() == {"result": 42}
    assert clock.slept == [2, 3, 3, 0.5, 1]
    assert progress[2].json() == {"progress": 40}
    assert [request.method for request in requests_mock.request_history] == [
        *["POST"] * 2,
        *["GET"] * 4,
    ]


def test_requests_mock_as_an_adapter(clock: FakeClock) -> None:
    session = PollingSession(policy=PollingPolicy(jitter=0, clock=clock, max_polls=3))
    mock = requests_mock.Adapter()
    mock.register_uri("GET", f"{URL}/work", status_code=303, headers=WORK)
    session.mount("http://", mock)
    with pytest.raises(TooManyPolls):
        session.get(f"{URL}/work")
    assert clock.slept == [3, 3, 3]


@responses.activate
def test_responses(connect: Open, clock: FakeClock) -> None:
    responses.post(f"{URL}/start", status=429, headers={"Retry-After": "2"})
    responses.post(f"{URL}/start", status=303, headers=WORK)
    responses.get(f"{URL}/work", status=303, headers=WORK, body="not yet")
    responses.get(f"{URL}/work", body=requests.ConnectionError())
    responses.get(f"{URL}/work", json={"result": 42})
    session = connect(PollingPolicy(jitter=0, clock=clock))
    assert session.post(f"{URL}/start").json() == {"result": 42}
    assert clock.slept == [2, 3, 3, 0.5]


@responses.activate
def test_responses_below_a_mounted_adapter(clock: FakeClock) -> None:
    responses.get(f"{URL}/work", status=303, headers=WORK)
    session = requests.Session()
    session.mount(URL, PollingAdapter(policy=PollingPolicy(jitter=0, clock=clock, max_polls=50)))
    with pytest.raises(TooManyPolls):
        session.get(f"{URL}/work")
    assert len(clock.slept) == 50


def a_response(**kept: object) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content, response.url = 200, b"body", URL
    vars(response).update(kept)
    return response


def of_spec() -> Any:
    response = create_autospec(requests.Response, instance=True)
    more = {"history": [], "headers": {}, "is_redirect": False, "raw": None}
    response.configure_mock(status_code=200, text="body", **more)
    return response


SEND = "requests.adapters.HTTPAdapter.send"
URLOPEN = "urllib3.connectionpool.HTTPConnectionPool.urlopen"


@pytest.mark.parametrize(
    ("target", "mocked"),
    [
        (SEND, lambda: MagicMock(status_code=200, text="body", is_redirect=False)),
        (SEND, of_spec),
        (SEND, a_response),
        (SEND, lambda: a_response(raw=MagicMock())),
        (SEND, lambda: a_response(raw=BytesIO(b"body"), _content=False)),
        (URLOPEN, lambda: MagicMock(status=200, reason="", stream=lambda *_, **__: [b"body"])),
        ("requests.Session.send", lambda: Mock(status_code=200, text="body")),
        ("requests.Session.request", lambda: Mock(status_code=200, text="body")),
    ],
)
@pytest.mark.parametrize("kwargs", [{}, {"stream": True}, {"allow_redirects": False}])
def test_P7_what_requests_takes_of_a_mock(
    connect: Open, target: str, mocked: Callable[[], object], kwargs: Any
) -> None:
    with patch(target, return_value=mocked()), requests.Session() as stock:
        assert stock.get(URL, **kwargs).text == "body"
    with patch(target, return_value=mocked()):
        assert connect(PollingPolicy()).get(URL, **kwargs).text == "body"


def test_a_mock_without_a_request_is_looked_into(connect: Open) -> None:
    with patch(SEND, return_value=a_response(request=None)):
        assert connect(PollingPolicy(pending=accepted)).get(URL).text == "body"


def test_a_mocks_body_is_looked_into_as_far_as_any(connect: Open) -> None:
    """Where a predicate asks for more than 64 KiB, the answer is the result."""
    long = a_response(status_code=202, _content=bytes(65_537))
    with patch(SEND, return_value=long):
        policy = PollingPolicy(pending=lambda response: bool(response.content), max_polls=0)
        assert connect(policy).get(URL).content == bytes(65_537)
