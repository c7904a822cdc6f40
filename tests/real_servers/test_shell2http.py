"""flask-shell2http gives a result once: whoever asks again is told that there never was a job."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from polling_adapter import PollingPolicy, WorkFailed
from polling_adapter.pending import any_of, json_field

from ..wire.ways import Way
from .started import Relay, needs_module, relay, running

SHELL2HTTP = any_of(
    json_field("status", pending="running", url="{result_url}"),
    json_field("returncode", pending=[], failed=1),
)
POLICY = PollingPolicy(pending=SHELL2HTTP, jitter=0, backoff_factor=0.2, backoff_max=0.4)


@pytest.fixture(scope="module")
def shell2http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    needs_module("flask_shell2http")
    log = tmp_path_factory.mktemp("shell2http") / "log"
    with relay() as server:
        port = server.upstream
        serve = ("flask", "--app", "shell2http_app", "run", "--port", str(port))
        folder = Path(__file__).parent
        with running(sys.executable, "-m", *serve, log=log, port=port, cwd=folder):
            yield server


@pytest.fixture
def server(shell2http: Relay) -> Relay:
    shell2http.exchanges.clear()
    return shell2http


def test_a_result_that_is_given_once_is_fetched_once(server: Relay, ask: Way) -> None:
    response = ask(POLICY, "POST", f"{server.url}/commands/sleep", json={"args": ["0.8"]})
    server.report("flask-shell2http, a command")
    assert (response.status_code, response.json()["returncode"]) == (200, 0)
    start, *polls = server.asked
    assert start == "POST /commands/sleep"
    assert set(polls) == {polls[0]}
    assert polls[0] == f"GET /commands/sleep?key={response.json()['key']}&wait=false"
    assert server.statuses == [202, *[200] * len(polls)]
    given = [b"returncode" in one.body for one in server.exchanges]
    assert given == [False] * len(polls) + [True]
    assert all(map(float.__ge__, server.waits, [0.2, *[0.4] * len(polls)]))
    again = requests.get(response.url, timeout=30)
    assert (again.status_code, "No report exists" in again.text) == (404, True)


def test_the_report_of_a_command_that_failed_is_with_the_error(server: Relay, ask: Way) -> None:
    with pytest.raises(WorkFailed, match="invalid time interval") as caught:
        ask(POLICY, "POST", f"{server.url}/commands/sleep", json={"args": ["x"]})
    server.report("flask-shell2http, a command that fails")
    assert caught.value.response is not None
    assert caught.value.response.json()["returncode"] == 1
    assert requests.get(caught.value.url or "", timeout=30).status_code == 404


def test_plain_requests_returns_the_202(server: Relay) -> None:
    url = f"{server.url}/commands/sleep"
    response = requests.post(url, json={"args": ["0"]}, timeout=30)
    assert (response.status_code, response.json()["status"]) == (202, "running")
    assert "Location" not in response.headers
    assert len(server.asked) == 1
