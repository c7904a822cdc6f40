"""A server whose work takes time, and that says by Retry-After when to come back.

``POST /start_work`` begins a work and redirects to it; ``GET /work/{id}`` redirects to itself until
the work is done. A client that comes earlier than it was asked to is refused and counted: so the
server itself shows who is polite.
"""

from __future__ import annotations

import json
import logging
import math
import random
import re
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from ._clock import SystemClock
from ._cutting_server import CuttingServer, Handler
from ._rules.address import authority
from ._works import Done, Pending, Works

_logger = logging.getLogger("polling_adapter.reference_server")

#: The longest work that can be asked for, in seconds.
DURATION_MAX = 86400

_clock = SystemClock()

# So much of a request's body is skipped, in bytes; a longer one costs the connection.
_BODY_LIMIT = 1_000_000


# What a browser asks before it sends what is no simple request (Fetch standard, CORS protocol)
_PREFLIGHT = {"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": "*"}


class _Reply(NamedTuple):
    """What is sent: a status, a content as JSON, and headers."""

    status: HTTPStatus
    content: dict[str, Any] | None = None
    headers: dict[str, str] = {}


def _reply_to(works: Works, method: str, target: str) -> _Reply:
    """The reply to a request for ``target``, its path and query."""
    try:
        url = urlsplit(target)
    except ValueError:  # [ without ]
        return _error(HTTPStatus.BAD_REQUEST, "the target of the request cannot be read")
    for pattern, methods, reply in _ROUTES:
        path = re.fullmatch(pattern, url.path)
        if path is None:
            continue
        if method == "OPTIONS":
            return _Reply(HTTPStatus.NO_CONTENT, None, _PREFLIGHT)
        if method not in methods:
            allowed = ", ".join(methods)
            return _error(HTTPStatus.METHOD_NOT_ALLOWED, f"this takes {allowed}", Allow=allowed)
        return reply(works, path, url.query)
    return _error(HTTPStatus.NOT_FOUND, "there are /health, /start_work and /work/{id}")


def _health(_works: Works, _path: re.Match[str], _query: str) -> _Reply:
    return _Reply(HTTPStatus.OK, {"status": "UP"})


def _start_work(works: Works, _path: re.Match[str], query: str) -> _Reply:
    duration = _duration(query)
    if not 0 <= duration <= DURATION_MAX:
        accepted = f"duration takes a number of seconds from 0 to {DURATION_MAX}"
        return _error(HTTPStatus.BAD_REQUEST, accepted)
    pending = works.start(duration)
    if pending is None:
        too_many = {"Retry-After": "60"}
        return _error(HTTPStatus.SERVICE_UNAVAILABLE, "there are too many works", **too_many)
    return _redirect(pending)


def _work(works: Works, path: re.Match[str], _query: str) -> _Reply:
    answer = works.ask(path["work_id"])
    if answer is None:
        return _error(HTTPStatus.NOT_FOUND, "there is no such work, or no longer")
    if isinstance(answer, Done):
        return _Reply(HTTPStatus.OK, answer._asdict())
    if isinstance(answer, Pending):
        return _redirect(answer)
    _logger.warning("early by %d s: %s", answer.retry_after, path[0])
    asked = {"Retry-After": str(answer.retry_after)}
    return _error(HTTPStatus.TOO_MANY_REQUESTS, "this is earlier than asked for", **asked)


_ROUTES: tuple[tuple[str, tuple[str, ...], Callable[[Works, re.Match[str], str], _Reply]], ...] = (
    ("/health", ("GET", "HEAD"), _health),
    ("/start_work", ("POST",), _start_work),
    ("/work/(?P<work_id>[^/]+)", ("GET", "HEAD"), _work),
)


def _duration(query: str) -> float:
    """The seconds that a work takes; NaN where the query asks for what is no number."""
    asked = parse_qs(query, keep_blank_values=True).get("duration")
    if asked is None:
        return random.uniform(1, 20)
    try:
        return float(asked[-1])
    except ValueError:
        return math.nan


def _redirect(pending: Pending) -> _Reply:
    headers = {
        "Location": f"/work/{pending.work_id}",
        "Retry-After": str(pending.retry_after),
    }
    return _Reply(HTTPStatus.SEE_OTHER, None, headers)


def _error(status: HTTPStatus, message: str, **headers: str) -> _Reply:
    return _Reply(status, {"error": message}, headers)


class _Handler(Handler):
    server: _WorksServer
    timeout = 300  # seconds that an idle connection is kept

    def handle_any(self) -> None:
        started = _clock.monotonic()
        if not self._skip_body():
            return
        reply = _reply_to(self.server.works, self.command, self.path)
        self._send(reply)
        taken = (_clock.monotonic() - started) * 1000
        path = ascii(self.path)[1:-1]  # a terminal takes orders from what is no text
        _logger.info("%s %s %d %.1f ms", self.command, path, reply.status, taken)

    do_GET = do_HEAD = do_POST = do_OPTIONS = do_PUT = do_PATCH = do_DELETE = handle_any

    def _skip_body(self) -> bool:
        """False where the client has hung up before its end: there is nobody to work for."""
        length = self.headers.get("Content-Length", "0")
        readable = re.fullmatch("[0-9]{1,9}", length) and int(length) <= _BODY_LIMIT
        if "Transfer-Encoding" in self.headers or not readable:
            self.close_connection = True  # what follows on it is not the next request
        elif len(self.rfile.read(int(length))) < int(length):
            self.close_connection = True
            return False
        return True

    def _send(self, reply: _Reply) -> None:
        content = b"" if reply.content is None else json.dumps(reply.content).encode() + b"\n"
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Expose-Headers", "Location, Retry-After")
        if content:
            self.send_header("Content-Type", "application/json")
        if reply.status != HTTPStatus.NO_CONTENT:  # RFC 9110 section 8.6
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass  # handle_any() logs, once the reply is sent

    def log_message(self, format: str, *args: Any) -> None:
        _logger.info("%s", ascii(format % args)[1:-1])


class _WorksServer(CuttingServer):
    def __init__(self, address: tuple[str, int], works: Works) -> None:
        self.works = works
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)


class ReferenceServer:
    """The server on a thread of its own, while the ``with`` block lasts.

    :param host: the address to listen on, of IPv4 or IPv6, or a name.
    :param port: the port; 0: a free one.
    :param works: those of another server, to go on with.
    :raises OSError: the port is taken, or the address is not this machine's.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, works: Works | None = None) -> None:
        self.works = Works() if works is None else works
        self._http = _WorksServer((host, port), self.works)
        self.port: int = self._http.server_port
        self.url = f"http://{authority(host, self.port)}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))

    @property
    def nb_early_call(self) -> int:
        """How many requests came earlier than they were asked to."""
        return self.works.nb_early_call

    def __enter__(self) -> ReferenceServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop at once: connections that are open are cut."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
