"""Servers of others: each runs on a free port of 127.0.0.1, and a relay notes what it is asked."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import pytest

from ..server import Reply, Seen, serving

_SECONDS = 60  # for a server to start


class Exchange(NamedTuple):
    """A request and its answer; ``answered`` is monotonic, right before the client gets it."""

    request: Seen
    reply: Reply
    answered: float

    @property
    def body(self) -> bytes:
        assert isinstance(self.reply.body, bytes)
        return self.reply.body


class Relay(NamedTuple):
    """What stands before a server, which sees the same ``Host`` as without it.

    :param upstream: the port that the server is to listen on.
    """

    url: str
    upstream: int
    exchanges: list[Exchange]

    @property
    def asked(self) -> list[str]:
        return [f"{one.request.method} {one.request.path}" for one in self.exchanges]

    @property
    def statuses(self) -> list[int]:
        return [one.reply.status for one in self.exchanges]

    @property
    def waits(self) -> list[float]:
        """Seconds from each answer to the request that follows it."""
        pairs = zip(self.exchanges, self.exchanges[1:], strict=False)
        return [later.request.at - earlier.answered for earlier, later in pairs]

    def report(self, title: str) -> None:
        """Print what was asked, and when."""
        print(title)
        for one in self.exchanges:
            at = one.request.at - self.exchanges[0].request.at
            print(f"  {at:6.3f} s  {one.request.method} {one.request.path} -> {one.reply.status}")


@contextmanager
def relay() -> Iterator[Relay]:
    upstream, exchanges = free_port(), list[Exchange]()

    def answer(seen: Seen) -> Reply:
        with contextlib.closing(HTTPConnection("127.0.0.1", upstream, timeout=30)) as server:
            server.request(seen.method, seen.path, seen.body or None, seen.headers)
            came = server.getresponse()
            body = came.read()
        ours = ("transfer-encoding", "connection", "keep-alive")
        headers = {name: value for name, value in came.getheaders() if name.lower() not in ours}
        reply = Reply(came.status, headers, body)
        exchanges.append(Exchange(seen, reply, time.monotonic()))
        return reply

    with serving() as server:
        server.answer = answer
        yield Relay(server.url, upstream, exchanges)


@contextmanager
def running(
    *command: str,
    log: Path,
    port: int | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] = {},
) -> Iterator[None]:
    """``command``, until the end of the block, with all that it starts.

    :param port: wait until it listens there.
    :param env: what is added to the environment.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        if port is not None:
            wait_until_it_listens(port, process, log)
        yield
    finally:
        end(process)


def wait_until_it_listens(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > until:
            pytest.fail(f"nothing listens on port {port}: {last_words(log)}")
        time.sleep(0.05)


def wait_for(text: str, log: Path) -> None:
    until = time.monotonic() + _SECONDS
    while text not in log.read_text(errors="replace"):
        if time.monotonic() > until:
            pytest.fail(f"no {text!r}: {last_words(log)}")
        time.sleep(0.05)


def last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]


def end(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def needs_module(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        _absent(name)


def needs_command(name: str) -> str:
    """Where it is: beside this Python, or on the path."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    return found or _absent(name)


def _absent(name: str) -> str:
    """Skip, but not where all that is needed has been installed: a skip would go unnoticed."""
    reason = f"{name} is not installed: see real-servers in setup.cfg"
    if "REAL_SERVERS" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)
