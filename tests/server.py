"""A scripted HTTP server on real sockets: each test says what it answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple

from polling_adapter.reference_server import CuttingServer


class Seen(NamedTuple):
    """A request as it arrived; ``at`` is monotonic."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


class Reply(NamedTuple):
    """``body``: what is sent at once, or parts that are sent one by one, chunked."""

    status: int
    headers: dict[str, str] = {}
    body: bytes | Callable[[], Iterable[bytes]] = b""


RESET = Reply(0)  # the server closes the connection without an answer


@dataclass
class Server:
    url: str
    answer: Callable[[Seen], Reply]
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    sent: int = 0  # bytes of the bodies that are sent in parts

    def script(self, *replies: Reply) -> None:
        """Answer with ``replies`` in turn, the last one for ever."""
        remaining = list(replies)
        self.answer = lambda _: remaining.pop(0) if len(remaining) > 1 else remaining[0]

    @property
    def asked(self) -> list[str]:
        return [f"{seen.method} {seen.path}" for seen in self.seen]


def poll(location: str, retry_after: str = "0", status: int = 303, **headers: str) -> Reply:
    return Reply(status, {"Location": location, "Retry-After": retry_after, **headers})


def again(retry_after: str = "0", status: int = 429) -> Reply:
    return Reply(status, {"Retry-After": retry_after})


DONE = Reply(200, {}, b"done")


@contextmanager
def serving(port: int = 0) -> Iterator[Server]:
    server: Server

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            server.connections += 1

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen = Seen(self.command, self.path, dict(self.headers), body, time.monotonic())
            server.seen.append(seen)
            reply = server.answer(seen)
            if reply is RESET:
                self.close_connection = True
                return
            self.send_response_only(reply.status)
            if "Date" not in reply.headers:
                self.send_header("Date", self.date_time_string())
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if isinstance(reply.body, bytes):
                if "Content-Length" not in reply.headers:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.body)
            else:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.send_parts(reply.body())

        def send_parts(self, parts: Iterable[bytes]) -> None:
            try:
                for part in filter(None, parts):  # an empty one would be the last
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                    self.wfile.flush()
                    server.sent += len(part)
                self.wfile.write(b"0\r\n\r\n")
            except OSError:  # the client has hung up, or the parts end it
                self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = CuttingServer(("127.0.0.1", port), Handler)
    server = Server(f"http://127.0.0.1:{http.server_port}", lambda _: DONE)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
