"""docker-py, which speaks HTTP over a unix socket, with its own adapter and its own client."""

from __future__ import annotations

import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import requests
from docker import APIClient
from docker.transport import UnixHTTPAdapter

from polling_adapter import PollingAdapterMixin, PollingMixin, PollingPolicy, PollingSession

from ..fake_clock import FakeClock
from ..server import DONE, Reply, again, poll

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no unix sockets")


class Daemon:
    """A scripted server on a unix socket; the last of its replies is given for ever."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.replies: list[Reply] = [DONE]
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"unix://{self.path}"


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("d") / "s")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            daemon.asked.append(f"{self.command} {self.path}")
            replies = daemon.replies
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
            assert isinstance(reply.body, bytes)
            self.send_response_only(reply.status)
            length = {"Content-Length": str(len(reply.body))}
            for name, value in {**reply.headers, **length}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = answer

    class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """The client has closed its session."""

    with UnixServer(str(daemon.path), Handler) as http:
        serving = threading.Thread(target=http.serve_forever, args=(0.01,))
        serving.start()
        yield daemon
        http.shutdown()
        serving.join()


class PollingUnixAdapter(PollingAdapterMixin, UnixHTTPAdapter):  # type: ignore[misc]
    pass


class PollingAPIClient(PollingMixin, APIClient):  # type: ignore[misc]
    pass


Client = Callable[[Daemon, PollingPolicy], APIClient]


def mixed(daemon: Daemon, policy: PollingPolicy) -> APIClient:
    return PollingAPIClient(daemon.url, version="1.44", policy=policy)


def mounted(daemon: Daemon, policy: PollingPolicy) -> APIClient:
    client = APIClient(daemon.url, version="1.44")
    client._custom_adapter = PollingUnixAdapter(daemon.url[5:], policy=policy)  # for "/w", too
    client.mount("http+docker://", client._custom_adapter)
    return client


JOB = [again("3"), poll("http+docker://localhost/w", "5"), Reply(502), poll("/w", "6"), DONE]


@pytest.mark.parametrize("client", [mixed, mounted])
def test_docker_py_polls_over_its_socket(daemon: Daemon, client: Client, clock: FakeClock) -> None:
    daemon.replies = [*JOB]
    with client(daemon, PollingPolicy(jitter=0, clock=clock)) as docker:
        assert docker.post("http+docker://localhost/start", data=b"body").text == "done"
        assert daemon.asked == [*["POST /start"] * 2, *["GET /w"] * 3]
        assert clock.slept == [3, 5, 0.5, 6]
        daemon.replies = [again("7"), Reply(200, {}, b'{"Containers": 42}')]
        assert docker.info() == {"Containers": 42}
    assert clock.slept[4:] == [7]


def unix_session(daemon: Daemon, policy: PollingPolicy) -> requests.Session:
    session = PollingSession(policy=policy)
    session.mount("http://daemon/", UnixHTTPAdapter(daemon.url[5:]))
    return session


def unix_mounted(daemon: Daemon, policy: PollingPolicy) -> requests.Session:
    session = requests.Session()
    session.mount("http://daemon/", PollingUnixAdapter(daemon.url[5:], policy=policy))
    return session


@pytest.mark.parametrize("connect", [unix_session, unix_mounted])
def test_docker_py_lends_its_adapter_to_any_service(
    daemon: Daemon,
    connect: Callable[[Daemon, PollingPolicy], requests.Session],
    clock: FakeClock,
) -> None:
    """Below an http:// address, where requests resolves a Location that is a path."""
    daemon.replies = [poll("/w/1", "5"), poll("/w/2", "6"), DONE]
    with connect(daemon, PollingPolicy(jitter=0, clock=clock)) as session:
        assert session.post("http://daemon/start").text == "done"
    assert daemon.asked == ["POST /start", "GET /w/1", "GET /w/2"]
    assert clock.slept == [5, 6]


def test_docker_py_by_tokens(daemon: Daemon, clock: FakeClock) -> None:
    daemon.replies = [poll("/w", "5"), poll("/w", "6"), DONE]
    with unix_session(daemon, PollingPolicy(jitter=0, clock=clock)) as session:
        assert isinstance(session, PollingSession)
        token = session.begin("POST", "http://daemon/start").continuation_token()
        assert session.resume(token).result().text == "done"
    assert [round(seconds) for seconds in clock.slept] == [5, 6]
