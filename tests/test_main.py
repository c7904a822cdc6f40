"""The command, as a person calls it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from polling_adapter import __version__
from polling_adapter.__main__ import main
from polling_adapter.reference_server import ReferenceServer

from .server import Reply, Server, again, poll

COMMAND = (sys.executable, "-m", "polling_adapter")


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == __version__


def test_the_demo_shows_each_hop_and_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--duration", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    hops = [re.match(r" +([\d.]+) s (\w+) +(/\S+) -> (.*)", line) for line in lines]
    told = [hop.groups() for hop in hops if hop]
    assert [(method, outcome) for _, method, _, outcome in told] == [
        ("POST", "303 See Other, Retry-After: 1"),
        ("GET", "303 See Other, Retry-After: 1"),
        ("GET", "200 OK"),
    ]
    assert [float(at) // 1 for at, *_ in told] == [0, 1, 2]
    result = json.loads("".join(lines[lines.index("{") : lines.index("}") + 1]))
    assert (result["duration"], result["nb_early_call"]) == (2, 0)
    assert lines[-1].startswith("one call, 3 requests, 2.")
    assert not any("\r" in line for line in lines)


def test_the_demo_against_another_server(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script(poll("/work"), again(), Reply(200, {}, b'{"a": 1}'))
    assert main(["demo", "--url", server.url + "/"]) == 0
    assert server.asked[0] == "POST /start_work"
    out = capsys.readouterr().out
    assert "/work -> 429 with Retry-After: 0" in out
    assert "one call, 4 requests" not in out
    assert "one call, 3 requests" in out


def test_the_demo_says_what_went_wrong(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    for reply in (Reply(404), Reply(200, {}, b"<html>"), again("86400")):
        server.script(reply)
        assert main(["demo", "--url", server.url]) == 1
        assert "no result: " in capsys.readouterr().err
    assert main(["demo", "--url", "http://127.0.0.1:1"]) == 1
    assert "refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--duration", "-1"],
        ["demo", "--duration", "soon"],
        ["demo", "--url", "ftp://x"],
        ["demo", "--url", "x"],
        ["demo", "--url", "http://[::1"],
        ["serve", "--port", "65536"],
        ["serve", "--port", "http"],
        ["serve", "--log-level", "loud"],
        [],
    ],
)
def test_what_makes_no_sense_is_told(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "error: " in told
    assert "invalid _" not in told  # no name of a function


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Ctrl-C is ignored by what runs in the background, and by all that it starts."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("_interruptible")
def test_ctrl_c_ends_the_demo() -> None:
    with running("demo", "--duration", "60") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        time.sleep(0.3)  # now it waits, for half a minute
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.communicate()[1].strip() == "interrupted"


def test_a_terminal_shows_a_countdown() -> None:
    terminal, inner = pty.openpty()
    process = subprocess.Popen([*COMMAND, "demo", "--duration", "2"], stdout=inner)
    os.close(inner)
    shown = b""
    while select.select([terminal], [], [], 20)[0]:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
    os.close(terminal)
    assert process.wait(10) == 0
    assert b"\r         next request in  1.0 s" in shown
    assert b"\r         next request in  0.5 s" in shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_cleanly(number: signal.Signals) -> None:
    with running("serve", "--log-level", "info", APP_PORT="0") as process:
        assert process.stdout is not None
        listening = process.stdout.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+", listening)
        assert url is not None, listening
        assert requests.get(f"{url[0]}/health", timeout=5).status_code == 200
        process.send_signal(number)
        assert process.wait(10) == 0
        err = process.communicate()[1]
        assert "GET /health 200" in err
        assert "Traceback" not in err


def test_serve_says_that_a_port_is_taken() -> None:
    with ReferenceServer() as server, running("serve", "--port", str(server.port)) as process:
        assert process.wait(10) == 1
        err = process.communicate()[1]
    assert err.startswith(f"cannot listen on 127.0.0.1:{server.port}: ")
    assert "in use" in err


def test_serve_reads_the_environment() -> None:
    started = time.monotonic()
    with running("serve", APP_PORT="eighty") as process:
        assert process.wait(10) == 2
        assert "'eighty' is no port" in process.communicate()[1]
    assert time.monotonic() - started < 10
