"""OGC API - Processes: pygeoapi says 201, then a status in JSON, and keeps the result elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from polling_adapter import PollingPolicy, WorkFailed, continuation_token
from polling_adapter.pending import any_of, created, json_field

from ..wire.ways import Way
from .started import Relay, needs_module, relay, running

CONFIGURATION = """
server:
  bind: {{host: 127.0.0.1, port: {port}}}
  url: {url}
  languages: [en-US]
  gzip: true
  map: {{url: "", attribution: ""}}
  manager: {{name: TinyDB, connection: "{folder}/jobs.db", output_dir: "{folder}"}}
logging: {{level: ERROR}}
metadata:
  identification: {{title: x, description: x, keywords: [x], terms_of_service: x, url: "{url}"}}
  license: {{name: x, url: "{url}"}}
  provider: {{name: x, url: "{url}"}}
  contact: {{name: x, email: x}}
resources:
  echo: {{type: process, processor: {{name: Echo}}}}
"""

OGC = any_of(
    created,
    json_field(
        "status",
        pending=["accepted", "running"],
        failed=["failed", "dismissed"],
        then="/jobs/{jobID}/results",
    ),
)
POLICY = PollingPolicy(pending=OGC, jitter=0, backoff_factor=0.2, backoff_max=0.8)
HEADERS = {"Accept": "application/json"}
ASYNC = {**HEADERS, "Prefer": "respond-async"}
RESULT = {"id": "echoOutput", "value": "42"}


@pytest.fixture(scope="module")
def pygeoapi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    needs_module("pygeoapi")
    folder = tmp_path_factory.mktemp("pygeoapi")
    configuration, document = folder / "configuration.yml", folder / "openapi.yml"
    with relay() as server:
        port = server.upstream
        configuration.write_text(CONFIGURATION.format(port=port, url=server.url, folder=folder))
        document.write_text("{openapi: 3.0.2, info: {title: x, version: x}, paths: {}}")
        env = {"PYGEOAPI_CONFIG": str(configuration), "PYGEOAPI_OPENAPI": str(document)}
        serve = ("flask", "--app", "pygeoapi.flask_app:APP", "run", "--port", str(port))
        log = folder / "log"
        with running(sys.executable, "-m", *serve, log=log, port=port, env=env):
            yield server


@pytest.fixture
def server(pygeoapi: Relay) -> Relay:
    pygeoapi.exchanges.clear()
    return pygeoapi


def execution(server: Relay, **inputs: Any) -> dict[str, Any]:
    return {"url": f"{server.url}/processes/echo/execution", "json": {"inputs": inputs}}


def test_a_job_is_one_call(server: Relay, ask: Way) -> None:
    job = execution(server, echoInput="42", pause=1.0)
    response = ask(POLICY, "POST", **job, headers=ASYNC)
    server.report("pygeoapi, a job")
    assert (response.status_code, response.json()) == (200, RESULT)
    start, *polls, result = server.asked
    assert start == "POST /processes/echo/execution"
    assert len(polls) >= 2
    assert set(polls) == {polls[0]}
    assert polls[0].startswith("GET /jobs/")
    assert result == f"{polls[0]}/results"
    assert server.statuses == [201, *[200] * len(polls), 200]
    backoff = [0.2, 0.4, 0.8, 0.8, 0.8]
    assert all(map(float.__ge__, server.waits[: len(polls)], backoff))
    assert server.waits[-1] < 0.8  # the work is done: there is nothing to wait for
    assert [one.request.headers.get("Cache-Control") for one in server.exchanges] == [
        None,
        None,
        *["no-cache"] * len(polls),
    ]


def test_a_job_that_fails(server: Relay, ask: Way) -> None:
    with pytest.raises(WorkFailed, match="without echo value") as caught:
        ask(POLICY, "POST", **execution(server), headers=ASYNC)
    server.report("pygeoapi, a job that fails")
    assert server.asked[0] == "POST /processes/echo/execution"
    assert set(server.asked[1:]) == {server.asked[1]}
    assert caught.value.response is not None
    assert caught.value.response.json()["status"] == "failed"
    assert caught.value.request is not None
    assert caught.value.request.url == caught.value.url
    assert continuation_token(caught.value) is None


def test_a_synchronous_answer_is_the_result_although_it_has_a_location(
    server: Relay, ask: Way
) -> None:
    response = ask(POLICY, "POST", **execution(server, echoInput="42"), headers=HEADERS)
    server.report("pygeoapi, a synchronous answer")
    assert (response.status_code, response.json()) == (200, RESULT)
    assert response.headers["Location"].startswith(f"{server.url}/jobs/")
    assert server.asked == ["POST /processes/echo/execution"]


def test_a_synchronous_answer_that_fails(server: Relay, ask: Way) -> None:
    response = ask(POLICY, "POST", **execution(server), headers=HEADERS)
    assert response.status_code == 400
    assert "without echo value" in response.json()["description"]
    assert server.asked == ["POST /processes/echo/execution"]


def test_plain_requests_returns_the_201(server: Relay) -> None:
    job = execution(server, echoInput="42", pause=0.1)
    response = requests.post(**job, headers=ASYNC, timeout=30)
    assert (response.status_code, response.json()) == (201, None)
    assert server.asked == ["POST /processes/echo/execution"]
