"""Those who mock requests can go on doing so."""

from __future__ import annotations

import pytest
import requests
import requests_mock
import responses

from polling_adapter import PollingAdapter, PollingPolicy, PollingSession, TooManyPolls

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
