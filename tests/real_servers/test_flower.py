"""Celery Flower's HTTP API: the first answer is a 200 with the id of the task and no result, even
if the task is done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from polling_adapter import PollingPolicy, WorkFailed, continuation_token
from polling_adapter.pending import json_field

from ..python_path import python_path
from ..wire.ways import Way
from .started import Relay, free_port, needs_command, needs_module, relay, running, wait_for

FLOWER = json_field(
    "state",
    until="SUCCESS",
    failed=["FAILURE", "REVOKED"],
    url="/api/task/result/{task-id}",
    then="/api/task/result/{task-id}",
)
POLICY = PollingPolicy(pending=FLOWER, jitter=0, backoff_factor=0.2, backoff_max=0.4)
ALICE = ("alice", "secret")


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    needs_module("celery")
    needs_module("flower")
    redis_server = needs_command("redis-server")
    folder = tmp_path_factory.mktemp("flower")
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
    celery = (sys.executable, "-m", "celery", "-A", "flower_tasks")
    env = {"REDIS_URL": f"redis://127.0.0.1:{port}/0", **python_path(Path(__file__).parent)}
    with running(redis_server, *options, log=folder / "redis", port=port), relay() as server:
        worker = ("worker", "-P", "threads", "-c", "4", "-l", "INFO")
        bind = ("--address=127.0.0.1", f"--port={server.upstream}")
        serve = ("flower", *bind, f"--basic-auth={':'.join(ALICE)}")
        with (
            running(*celery, *worker, log=folder / "worker", env=env),
            running(*celery, *serve, log=folder / "flower", port=server.upstream, env=env),
        ):
            wait_for("ready.", folder / "worker")
            yield server


@pytest.fixture
def server(flower: Relay) -> Relay:
    flower.exchanges.clear()
    return flower


def test_a_task_is_one_call(server: Relay, ask: Way) -> None:
    url, task = f"{server.url}/api/task/async-apply/tasks.add", {"args": [40, 2, 0.8]}
    response = ask(POLICY, "POST", url, json=task, auth=ALICE)
    server.report("flower, a task")
    assert (response.status_code, response.json()["result"]) == (200, 42)
    start, *polls = server.asked
    assert start == "POST /api/task/async-apply/tasks.add"
    assert set(polls) == {f"GET /api/task/result/{response.json()['task-id']}"}
    assert set(server.statuses) == {200}
    assert all(map(float.__ge__, server.waits, [0.2, *[0.4] * len(polls)]))
    assert all("Authorization" in one.request.headers for one in server.exchanges)


def test_tasks_that_are_done_at_once(server: Relay, ask: Way) -> None:
    url, task = f"{server.url}/api/task/async-apply/tasks.add", {"args": [40, 2]}
    for _ in range(10):
        response = ask(POLICY, "POST", url, json=task, auth=ALICE)
        assert response.json()["result"] == 42
    first = [one.body for one in server.exchanges if one.request.method == "POST"]
    done = sum(b"SUCCESS" in body for body in first)
    print(f"flower: of {len(first)} first answers, {done} say SUCCESS, and none has the result")
    assert len(first) == 10
    assert not any(b"result" in body for body in first)


def test_a_task_that_fails(server: Relay, ask: Way) -> None:
    url = f"{server.url}/api/task/async-apply/tasks.fail"
    with pytest.raises(WorkFailed, match="no disk") as caught:
        ask(POLICY, "POST", url, json={"args": [0.5]}, auth=ALICE)
    server.report("flower, a task that fails")
    assert caught.value.response is not None
    assert caught.value.response.json()["state"] == "FAILURE"
    assert "ValueError: no disk" in caught.value.response.json()["traceback"]
    assert continuation_token(caught.value) is None
    assert server.asked.count("POST /api/task/async-apply/tasks.fail") == 1


def test_what_flower_refuses(server: Relay, ask: Way) -> None:
    url = f"{server.url}/api/task/async-apply/tasks.unknown"
    assert ask(POLICY, "POST", url, auth=ALICE).status_code == 404
    assert ask(POLICY, "POST", url).status_code == 401
    assert len(server.asked) == 2


def test_plain_requests_returns_the_id(server: Relay) -> None:
    url = f"{server.url}/api/task/async-apply/tasks.add"
    response = requests.post(url, json={"args": [40, 2]}, auth=ALICE, timeout=30)
    assert response.status_code == 200
    assert "result" not in response.json()
    assert len(server.asked) == 1
