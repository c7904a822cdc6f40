"""A server in a process of its own that does as little as it can, so that clients are measured.

``/KIND/N``: after N answers that ask to poll, 200. KIND is

- ``same``: a redirect to the same address;
- ``kept``: and the first sets a cookie; ``each``: and each sets one;
- ``accepted``: a 202 in its place; ``json``: a 200 whose status says it;
- ``moving``: a redirect to a new address each;
- ``work``: ``POST /work/S`` redirects to a job that is done after S seconds.

They are counted by connection and by what is after a ``?``.
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


def _answer(method: str, path: str, left: dict[str, int]) -> bytes:
    kind, rest = path.strip("/").split("/", 1)
    if kind == "work":
        return _redirect(f"/job/{next(_numbers)}", rest) if method == "POST" else _DONE
    if kind == "job":
        return _DONE
    number = int(rest.partition("?")[0])
    if kind == "moving":
        return _redirect(path.replace(f"/{number}", f"/{number - 1}")) if number else _DONE
    before = left.setdefault(path, number)
    left[path] -= 1
    if before == 0:
        del left[path]
        return _DONE
    sets = kind == "each" or (kind == "kept" and before == number)
    cookie = f"Set-Cookie: a={before}; Path=/\r\n" if sets else ""
    if kind in _PENDING:
        return _PENDING[kind]
    return _redirect(path, more=cookie)


def _redirect(location: str, retry_after: str = "0", more: str = "") -> bytes:
    lines = f"Location: {location}\r\nRetry-After: {retry_after}\r\n{more}Content-Length: 0\r\n\r\n"
    return b"HTTP/1.1 303 See Other\r\n" + _HEADERS + lines.encode()


def _pending(status: str, body: bytes) -> bytes:
    lines = (
        f"Retry-After: 0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return f"HTTP/1.1 {status}\r\n".encode() + _HEADERS + lines.encode() + body


_PENDING = {
    "accepted": _pending("202 Accepted", b""),
    "json": _pending("200 OK", b'{"status": "running"}'),
}


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
