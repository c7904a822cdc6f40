"""A server in a process of its own that does as little as it can, so that clients are measured.

``/KIND/N``: after N redirects, 200. KIND is ``same`` (a poll of the same address, counted by
connection), ``moving`` (polls, a new address each), ``cookie`` (``same``, and the first sets a
cookie), ``redirect`` (no polls), or ``work`` (``POST /work/S`` redirects to a job that is done
after S seconds).
"""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_HEADERS = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: benchmark\r\n"
_DONE = b"HTTP/1.1 200 OK\r\n" + _HEADERS + b"Content-Length: 4\r\n\r\ndone"
_numbers = itertools.count()


@contextmanager
def serving() -> Iterator[str]:
    """The address of a server, while the ``with`` block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.server"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _redirect(location: str, retry_after: str | None, more: str = "") -> bytes:
    asked = "" if retry_after is None else f"Retry-After: {retry_after}\r\n"
    lines = f"Location: {location}\r\n{asked}{more}Content-Length: 0\r\n\r\n"
    return b"HTTP/1.1 303 See Other\r\n" + _HEADERS + lines.encode()


def _answer(method: str, path: str, left: dict[str, int]) -> bytes:
    kind, rest = path.strip("/").split("/", 1)
    if kind == "work":
        return _redirect(f"/job/{next(_numbers)}", rest) if method == "POST" else _DONE
    if kind == "job":
        return _DONE
    number = int(rest)
    if kind in ("same", "cookie"):
        left[path] = left.get(path, number + 1) - 1
        if left[path] == 0:
            del left[path]
            return _DONE
        return _redirect(path, "0", "Set-Cookie: a=b; Path=/\r\n" if kind == "cookie" else "")
    if number == 0:
        return _DONE
    return _redirect(f"/{kind}/{number - 1}", None if kind == "redirect" else "0")


def _serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    left: dict[str, int] = {}
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            try:
                part = connection.recv(65536)
            except OSError:
                return
            if not part:
                return
            received += part
        head, _, received = received.partition(b"\r\n\r\n")
        method, path, _ = head.decode().split(" ", 2)
        connection.sendall(_answer(method, path, left))


def main() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
