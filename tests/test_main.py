"""The command, as a person calls it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from polling_adapter import __version__
from polling_adapter.__main__ import main
from polling_adapter.reference_server import DURATION_MAX, ReferenceServer

from .conftest import has_ipv6
from .screen import Screen
from .server import RESET, Reply, Server, again, poll

pytestmark = pytest.mark.slow

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


HTML = Reply(200, {"Content-Type": "text/html"}, b"<html>")
DEEP = Reply(200, {}, b"[" * 100_000)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(202), "was answered with 202 Accepted; the demo takes a server such as"),
        (Reply(404), "was answered with 404 Not Found; "),
        (Reply(500), "was answered with 500 Internal Server Error; "),
        (HTML, "was answered with text/html, which is no JSON; "),
        (DEEP, "was answered with a body without a type, which is no JSON; "),
        (RESET, "does not answer in HTTP: Remote end closed connection without response"),
        (Reply(303, {"Location": "/start_work"}), "Exceeded 30 redirects."),
        (Reply(303, {"Location": "ftp://x"}), "No connection adapters were found for 'ftp://x'"),
        (Reply(303, {"Location": "http://[x"}), "Invalid IPv6 URL"),
        (again("86400"), "the server asks to wait 86400 s"),
    ],
)
def test_the_demo_tells_in_words_what_went_wrong(
    server: Server, reply: Reply, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script(reply)
    assert main(["demo", "--url", server.url]) == 1
    err = capsys.readouterr().err
    assert err.startswith("no result: ")
    assert said in " ".join(err.split())
    assert all(len(line) < 80 for line in err.splitlines())


def test_the_demo_against_what_is_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--url", "http://127.0.0.1:1"]) == 1
    told = "no result: http://127.0.0.1:1/start_work cannot be reached: Connection refused"
    assert capsys.readouterr().err.strip() == told


def test_the_demo_against_what_speaks_another_protocol(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")
                connection.recv(1000)

        pool.submit(greet)
        port = listening.getsockname()[1]
        assert main(["demo", "--url", f"http://127.0.0.1:{port}"]) == 1
    assert "does not answer in HTTP: SSH-2.0-OpenSSH" in " ".join(capsys.readouterr().err.split())


def test_the_lines_fit_a_terminal(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    path = f"/work/{'8f14e45f-' * 9}"
    server.script(
        poll(path, "0"), poll(path, date), again(date), Reply(502), Reply(200, {}, b'{"a": 1}')
    )
    assert main(["demo", "--url", server.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) < 80 for line in lines)
    hops = [line for line in lines if "/work/8f14e45f-8f14e45f-8f1... -> " in line]
    assert len(hops) == 4
    assert main(["demo", "--duration", "0"]) == 0
    assert all(len(line) < 80 for line in capsys.readouterr().out.splitlines())


def test_its_own_server_is_gone_and_nothing_is_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--duration", "86400"]) == 1
    err = capsys.readouterr().err
    assert "no result: the server asks to wait 43200 s" in err
    assert "resume" not in err
    assert "127.0.0.1" not in err


def test_another_server_is_not_gone(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.script(poll("/work/42", "86400"))
    assert main(["demo", "--url", server.url]) == 1
    err = " ".join(capsys.readouterr().err.split())
    assert err.endswith(f"resume with GET {server.url}/work/42")  # and no line of Python


def test_its_own_server_is_no_matter_of_a_proxy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert main(["demo", "--duration", "0"]) == 0
    assert "one call, 2 requests" in capsys.readouterr().out


def test_what_a_server_says_gives_the_terminal_no_orders(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script(poll("/w", "\x1b[2J"), Reply(200, {}, b"{}"))
    assert main(["demo", "--url", server.url]) == 0
    assert "Retry-After: \\x1b[2J" in capsys.readouterr().out


def test_no_password_is_shown(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    url = server.url.replace("http://", "http://me:secret@")
    for reply in (
        Reply(200, {}, b"{}"),
        Reply(404),
        HTML,
        RESET,
        poll(f"{url}/work", "86400"),
        Reply(303, {"Location": "ftp://me:secret@x"}),
        Reply(303, {"Location": "http://me:secret@[x"}),
    ):
        server.script(reply)
        main(["demo", "--url", url])
    assert "Authorization" in server.seen[0].headers
    for arguments in (
        ["--url", "ftp://me:secret@x"],
        ["--url", "http://me:sec/secret@[::1"],
        ["--url", "me:secret@x"],
        ["http://me:secret@x"],
        ["me:secret@x"],
        ["--duration", "http://me:secret@x"],
    ):
        with pytest.raises(SystemExit):
            main(["demo", *arguments])
    shown = capsys.readouterr()
    assert "secret" not in shown.out + shown.err


@pytest.mark.parametrize("merged", [False, True])
def test_a_closed_pipe_ends_it_silently(merged: bool) -> None:
    err = subprocess.STDOUT if merged else subprocess.PIPE
    command = [*COMMAND, "demo", "--duration", "2"]
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}  # Python writes the rest when it ends
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, env=buffered) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"session.post(")
        process.stdout.close()
        assert process.wait(20) == 141
        assert process.stderr is None or process.stderr.read() == b""


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
    assert all(len(line) < 80 for line in told.splitlines())
    assert "invalid _" not in told  # no name of a function


@pytest.mark.parametrize("command", [[], ["demo"], ["serve"]])
def test_the_help_is_for_people(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    told = capsys.readouterr().out
    assert "`" not in told
    assert all(len(line) < 80 for line in told.splitlines())


@pytest.mark.parametrize("arguments", [["--help"], ["--duration", "x"]])
def test_the_duration_says_what_it_takes(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["demo", *arguments])
    shown = capsys.readouterr()
    assert f"from 0 to {DURATION_MAX}" in shown.out + shown.err


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


WITHOUT_TQDM = """
import sys
sys.modules["tqdm"] = None
from polling_adapter.__main__ import main
sys.exit(main())
"""


def on_terminal(*streams: str, command: Sequence[str] = COMMAND) -> str:
    """What the demo writes, where these ``streams`` of it are a terminal."""
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    written: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    written.update(dict.fromkeys(streams, inner))
    process = subprocess.Popen([*command, "demo", "--duration", "2"], **written)
    os.close(inner)
    shown = b""
    while select.select([terminal], [], [], 20)[0]:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
    os.close(terminal)
    assert process.wait(10) == 0
    return shown.decode()


COUNTDOWN = "\r         next request in  0.5 s"


def test_a_terminal_shows_a_countdown() -> None:
    shown = on_terminal("stdout")
    assert "\r         next request in  1.0 s" in shown
    assert COUNTDOWN in shown


def test_a_terminal_shows_a_progress_bar_where_tqdm_is() -> None:
    pytest.importorskip("tqdm")
    shown = on_terminal("stdout", "stderr")
    assert re.search(r"waiting, poll 1 in 0\.\d s, 00:0\d elapsed", shown)
    assert "next request in" not in shown
    screen = Screen()
    screen.write(shown.replace("\r\n", "\n\r"))
    assert screen.shown[0].startswith("session.post(")
    assert screen.shown[-1].startswith("one call, 3 requests, 2.")
    assert len(screen.shown) == 11  # nothing is left of the bar
    assert re.search(r"waiting, poll 1 in 0\.\d s", on_terminal("stderr"))


def test_without_tqdm_it_is_a_countdown() -> None:
    command = (sys.executable, "-c", WITHOUT_TQDM)
    shown = on_terminal("stdout", "stderr", command=command)
    assert COUNTDOWN in shown
    assert "waiting" not in shown


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


def test_serve_on_ipv6() -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with running("serve", "--host", "::1", "--port", "0") as process:
        assert process.stdout is not None
        url = re.search(r"http://\[::1\]:\d+", process.stdout.readline())
        assert url is not None
        assert requests.get(f"{url[0]}/health", timeout=5).json() == {"status": "UP"}


def test_serve_says_what_is_no_address() -> None:
    for host, shown in (("192.0.2.1", "192.0.2.1:0"), ("2001:db8::1", "[2001:db8::1]:0")):
        with running("serve", "--host", host, "--port", "0") as process:
            assert process.wait(10) == 1
            assert process.communicate()[1].startswith(f"cannot listen on {shown}: ")


def test_the_log_of_serve_fits_a_terminal() -> None:
    with running("serve", "--port", "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[2].rstrip(",")
        requests.post(f"{url}/start_work?duration=20", timeout=5)  # follows at once: early
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=10)[1]
    assert re.search(r"WARNING early by 10 s: /work/\S{36}\n", err)
    assert all(len(line) < 80 for line in err.splitlines())


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
    # As docker compose passes on what is not set
    with running("serve", "--port", "0", APP_HOST="", APP_LOG_LEVEL="") as process:
        assert process.stdout is not None
        assert "http://127.0.0.1:" in process.stdout.readline()
