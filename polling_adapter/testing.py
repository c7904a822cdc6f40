"""For the tests of code that polls: a clock whose waits take no time, and a scripted server.

With pytest, the fixtures ``polling_clock`` and ``polling_server`` give both, ready for use.
"""

from __future__ import annotations

import heapq
import json
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal, NamedTuple, get_args
from urllib.parse import urljoin, urlsplit

from requests.utils import requote_uri

from ._clock import Clock, SystemClock
from ._cutting_server import CuttingServer, Handler
from ._fake_clock import FakeClock
from ._rules.answer import retry_after

__all__ = ["Answer", "FakeClock", "PollingServer", "Request"]

# Instants are sums, and not exact.
_EXACT = 1e-6


class Request(NamedTuple):
    """A request as it arrived; ``at`` is by the monotonic clock of the server. ``early`` says that
    it came before the moment that an answer had named for its address."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    early: bool = False

    def json(self) -> Any:
        """What the body says."""
        return json.loads(self.body)


_Fault = Literal["close", "reset", "cut", "stall"]


@dataclass(frozen=True)
class Answer:
    """What is answered to a request.

    :param status: 100 to 999.
    :param headers: Date, Content-Length and Transfer-Encoding come by themselves.
    :param body: text is sent as UTF-8; of a function, the parts are sent one by one, chunked.
    :param delay: seconds that pass before it is sent, whatever the clock.
    :param fault: ``"close"``: the connection is closed without an answer; ``"reset"``: it is reset;
        ``"cut"``: it is closed before the end of the body, which is sent chunked, as every client
        notices that; ``"stall"``: nothing is sent, and the connection stays open.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | str | Callable[[], Iterable[bytes]] = b""
    delay: float = 0
    fault: _Fault | None = None

    def __post_init__(self) -> None:
        if isinstance(self.status, bool) or not isinstance(self.status, int):
            raise TypeError(f"status={self.status!r} is not accepted: it takes a whole number")
        if not 100 <= self.status <= 999:
            raise ValueError(f"status={self.status!r} is not accepted: it takes 100 to 999")
        is_mapping = isinstance(self.headers, Mapping)
        if not is_mapping or not all(isinstance(one, str) for one in chain(*self.headers.items())):
            raise TypeError(f"headers={self.headers!r} is not accepted: it takes names and text")
        if not isinstance(self.body, (bytes, str)) and not callable(self.body):
            raise TypeError(
                f"body={self.body!r} is not accepted: it takes bytes, text or a function; of JSON, "
                "Answer.json() makes one"
            )
        if isinstance(self.delay, bool) or not isinstance(self.delay, (int, float)):
            raise TypeError(f"delay={self.delay!r} is not accepted: it takes seconds")
        if not 0 <= self.delay <= threading.TIMEOUT_MAX:
            raise ValueError(f"delay={self.delay!r} is not accepted: it takes seconds, 0 or more")
        if self.fault not in (None, *get_args(_Fault)):
            accepted = ", ".join(map(repr, get_args(_Fault)))
            raise ValueError(f"fault={self.fault!r} is not accepted: it takes {accepted} or None")

    @classmethod
    def json(cls, content: Any, status: int = 200) -> Answer:
        """``content`` as JSON."""
        return cls(status, {"Content-Type": "application/json"}, json.dumps(content))

    @classmethod
    def poll(cls, location: str, retry_after: float | str = 1, status: int = 303) -> Answer:
        """A redirect that asks to wait: seconds, or an HTTP-date."""
        return cls(status, {"Location": location, "Retry-After": str(retry_after)})


_Script = Answer | Callable[[Request], Answer]


class PollingServer:
    """A scripted HTTP server on 127.0.0.1, on a thread of its own while the ``with`` block lasts.

    It knows what to answer by :meth:`job` and :meth:`answers`; whatever else is asked for is not
    found. What a function of the script raises is answered by 500, and raised again where the
    block ends.

    :param clock: its ``monotonic()`` and ``time()`` count; default: this machine's, or the clock
        that has taken its place.
    :param port: the port; 0: a free one.
    :raises OSError: the port is taken.
    """

    def __init__(self, clock: Clock | None = None, port: int = 0) -> None:
        self.clock = SystemClock() if clock is None else clock
        #: The requests that came, in order.
        self.requests: list[Request] = []
        #: How many connections were opened.
        self.connections = 0
        self._scripts: dict[str, list[_Script]] = {}
        self._due: defaultdict[str, list[float]] = defaultdict(list)  # instants that were named
        self._works = 0
        self._lock = threading.Lock()
        self._raised: Exception | None = None
        self._closing = threading.Event()
        self._http = _Listening(("127.0.0.1", port), self)
        self.port: int = self._http.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    def job(
        self,
        path: str = "/start",
        *,
        polls: int = 3,
        retry_after: float | str = 1,
        result: Any = None,
    ) -> str:
        """Each request to ``path`` starts a work, which has an address of its own.

        :param polls: so many times in all it is asked to wait, before the result is there.
        :param retry_after: seconds, or an HTTP-date.
        :param result: an :class:`Answer`, or what is answered as JSON.
        :return: the URL that starts it.
        """
        last = result if isinstance(result, Answer) else Answer.json(result)

        def start(_: Request) -> Answer:
            with self._lock:
                self._works += 1
                work = f"/work/{self._works}"
            waits = [Answer.poll(work, retry_after)] * polls
            first, *others = (*waits, last)
            self.answers(work, *others or [last])
            return first

        return self.answers(path, start)

    def answers(self, path: str, *script: _Script) -> str:
        """Answer to ``path`` by what the ``script`` says, in turn; the last stays.

        :param script: each an :class:`Answer`, or a function that makes one of a :class:`Request`.
        :return: the URL of ``path``.
        """
        if not script:
            raise ValueError(f"nothing is to be answered to {path}: give one answer or more")
        for step in script:
            if not isinstance(step, Answer) and not callable(step):
                raise TypeError(f"{step!r} is not accepted: it takes answers, and functions of one")
        if not path.startswith("/"):
            raise ValueError(f"path={path!r} is not accepted: it begins with /")
        with self._lock:
            self._scripts[self._path("/", path) or path] = list(script)
        return self.url + path

    @property
    def asked(self) -> list[str]:
        """Method and path of each request."""
        return [f"{request.method} {request.path}" for request in self.requests]

    @property
    def early(self) -> list[Request]:
        """The requests that came before the moment that an answer had named for their address, by
        its Retry-After. Addresses are known here, and no clients: of many who ask for the same one,
        each uses up a moment."""
        return [request for request in self.requests if request.early]

    def answer(self, request: Request) -> Answer:
        """What is answered to ``request``: a subclass may decide by itself."""
        with self._lock:
            script = self._scripts.get(request.path)
            if script is None:
                script = self._scripts.get(request.path.partition("?")[0])
            if script is None:
                return Answer(404, {}, f"nothing is scripted for {request.path}\n")
            step = script.pop(0) if len(script) > 1 else script[0]
        return step if isinstance(step, Answer) else step(request)

    def __enter__(self) -> PollingServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop at once: connections that are open are cut."""
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        if self._raised is not None and kind is None:
            raise self._raised

    def _asked_for(self, request: Request) -> tuple[Request, Answer]:
        """Note a ``request``, and decide what is answered."""
        with self._lock:
            due = self._due[request.path]
            if due and heapq.heappop(due) > request.at + _EXACT:
                request = request._replace(early=True)
            self.requests.append(request)
        try:
            return request, self.answer(request)
        except Exception as error:
            self._note(error)
            return request, Answer(500, {}, f"{error!r}\n")

    def _note(self, error: Exception) -> None:
        """A function of the script has raised it."""
        self._raised = self._raised or error

    def _note_due(self, request: Request, answer: Answer) -> None:
        """From now on, the client may know when to come again, as ``answer`` says it."""
        headers = {name.title(): value for name, value in answer.headers.items()}
        seconds = retry_after(headers, self.clock.time())
        path = self._path(request.path, headers.get("Location", ""))
        if seconds is not None and path is not None:
            with self._lock:
                heapq.heappush(self._due[path], self.clock.monotonic() + seconds)

    def _path(self, path: str, location: str) -> str | None:
        """What is asked next, as a request names it; None where it is not asked here."""
        try:
            url = urlsplit(requote_uri(urljoin(self.url + path, location)))
            here = url.port == self.port
        except ValueError:  # whoever follows it will say so
            return None
        return url._replace(scheme="", netloc="", fragment="").geturl() if here else None


class _Handler(Handler):
    server: _Listening

    def setup(self) -> None:
        super().setup()
        self.server.owner.connections += 1

    def handle_any(self) -> None:
        server = self.server.owner
        body = self._body()
        came = Request(self.command, self.path, dict(self.headers), body, server.clock.monotonic())
        request, answer = server._asked_for(came)
        server._closing.wait(answer.delay)
        if answer.fault in ("close", "reset", "stall"):
            self._send_nothing(answer.fault)
        else:
            server._note_due(request, answer)
            self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while length := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(length))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(parts)

    def _send(self, answer: Answer) -> None:
        given = {name.lower() for name in answer.headers}
        self.send_response_only(answer.status)
        if "date" not in given:
            now = int(self.server.owner.clock.time())
            self.send_header("Date", self.date_time_string(now))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        if callable(body):
            self._send_parts(body, ends=answer.fault is None)
        elif answer.fault == "cut":
            self._send_parts(lambda: [body], ends=False)
        else:
            if "content-length" not in given and answer.status not in (204, 304):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def _send_parts(self, parts: Callable[[], Iterable[bytes]], ends: bool) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for part in filter(None, parts()):  # an empty one would be the last
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
        except OSError:  # the client has hung up, or the parts end it
            ends = False
        except Exception as error:
            self.server.owner._note(error)
            ends = False
        if ends:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True

    def _send_nothing(self, fault: _Fault) -> None:
        self.close_connection = True
        if fault == "stall":
            while self.rfile.read(1):  # until either side hangs up
                pass
        elif fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.close(self.connection.detach())  # now, and without a FIN before

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Listening(CuttingServer):
    def __init__(self, address: tuple[str, int], owner: PollingServer) -> None:
        self.owner = owner
        super().__init__(address, _Handler)
