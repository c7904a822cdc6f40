"""Polling handed to Celery and RQ: real workers, a real Redis, and a worker that is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from polling_adapter import PollingPolicy, PollingSession
from polling_adapter.reference_server import ReferenceServer

from . import soak
from .python_path import python_path

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = shutil.which("redis-server")
    if command is None:
        if "CI" in os.environ:
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen([command, *options], stdout=subprocess.DEVNULL)
    try:
        soak.wait_for(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def worker(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=EXAMPLES,
            stdout=output,
            stderr=output,
            env={**os.environ, **python_path(EXAMPLES)},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """The worker and all that it has started, as a machine that is switched off."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def wait_for(text: str, log: Path, times: int = 1) -> None:
    until = time.monotonic() + 30
    while not (log.exists() and log.read_text(errors="replace").count(text) >= times):
        assert time.monotonic() < until, log.read_text(errors="replace")[-3000:]
        time.sleep(0.05)


def tokens(server: ReferenceServer, durations: list[float]) -> list[str]:
    with PollingSession(policy=PollingPolicy(jitter=0)) as session:
        return [
            session.begin(
                "POST", f"{server.url}/start_work", params={"duration": duration}
            ).continuation_token()
            for duration in durations
        ]


# A process of its own asks for the results, as Celery's client outlives the redis of these tests.
CLIENT = """
import json, sys
from celery_tasks import ask
results = [ask.delay(token) for token in json.load(sys.stdin)]
print(json.dumps([result.get(timeout=40)["duration"] for result in results]))
"""


def test_P6_celery_brings_every_result_though_a_worker_is_killed(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("celery")
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("VISIBILITY_TIMEOUT", "2")
    command = ("celery", "-A", "celery_tasks", "worker", "-P", "threads", "-c", "2", "-l", "INFO")
    durations = [6.0 + n / 10 for n in range(20)]  # none is due again within 3 s of its start
    first, second = tmp_path / "first", tmp_path / "second"
    with ReferenceServer() as server, worker(*command, "-n", "first", log=first) as killed:
        wait_for("ready.", first)
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT],
            cwd=EXAMPLES,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert client.stdin is not None
        client.stdin.write(json.dumps(tokens(server, durations)))
        client.stdin.close()
        client.stdin = None
        wait_for("Retry in", first, times=len(durations))
        time.sleep(0.4)  # now the worker holds them all; one that it just takes would be lost
        kill(killed)
        succeeded = first.read_text().count(" succeeded in ")
        time.sleep(2.5)  # a worker takes what another one lost when it starts, and then seldom
        with worker(*command, "-n", "second", log=second):
            output, _ = client.communicate(timeout=60)
        results = json.loads(output)
    print(f"celery: {len(results)} results of {len(durations)} jobs, 1 worker killed, ", end="")
    print(f"{len(durations) - succeeded} were pending")
    assert results == durations
    assert succeeded < 10
    assert server.nb_early_call == 0


def test_whoever_begins_a_job_hands_its_token_over(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("celery")
    monkeypatch.setenv("REDIS_URL", redis_url)
    command = ("celery", "-A", "celery_tasks", "worker", "-P", "threads", "-l", "INFO")
    with ReferenceServer() as server, worker(*command, log=tmp_path / "worker"):
        url = f"{server.url}/start_work?duration=1"
        program = (EXAMPLES / "celery_begin.py").read_text()
        program = program.replace("https://example.org/start_work", url)
        run = [sys.executable, "-c", program]
        done = subprocess.run(run, cwd=EXAMPLES, capture_output=True, text=True, timeout=60)
    assert "'duration': 1.0" in done.stdout, done.stderr
    assert server.nb_early_call == 0


def test_P6_rq_brings_every_result(redis_url: str, tmp_path: Path) -> None:
    rq = pytest.importorskip("rq")
    import redis

    command = ("rq.cli", "worker", "--with-scheduler", "--url", redis_url)
    with ReferenceServer() as server, redis.Redis.from_url(redis_url) as connection:
        queue = rq.Queue(connection=connection)
        for n, token in enumerate(tokens(server, [0.5, 1.0, 1.5])):
            queue.enqueue("rq_tasks.ask", token, str(n))
        with worker(*command, log=tmp_path / "rq"):
            until = time.monotonic() + 40
            while connection.hlen("results") < 3:
                assert time.monotonic() < until, (tmp_path / "rq").read_text()[-3000:]
                time.sleep(0.1)
        result = connection.hget("results", "2")
        queue.delete()
    assert isinstance(result, bytes)
    assert json.loads(result)["duration"] == 1.5
    assert server.nb_early_call == 0
