from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from polling_adapter import PollingPolicy, PollingSession
from polling_adapter._works import Works
from polling_adapter.reference_server import ReferenceServer

from .conftest import Open, both_ways, has_ipv6


@pytest.fixture
def reference() -> Iterator[ReferenceServer]:
    with ReferenceServer() as server:
        yield server


def test_health(reference: ReferenceServer) -> None:
    response = requests.get(f"{reference.url}/health", timeout=5)
    assert (response.status_code, response.json()) == (200, {"status": "UP"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    head = requests.head(f"{reference.url}/health", timeout=5)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == response.headers["Content-Length"]


@both_ways
def test_a_work(reference: ReferenceServer, connect: Open) -> None:
    response = connect(PollingPolicy(jitter=0)).post(f"{reference.url}/start_work?duration=2")
    result = response.json()
    assert result.pop("work_id") in response.url
    assert result == {"duration": 2, "nb_get_call": 1, "nb_early_call": 0}
    assert reference.nb_early_call == 0


def test_a_redirect_says_where_and_when(reference: ReferenceServer) -> None:
    start = f"{reference.url}/start_work?duration=8.9"
    response = requests.post(start, allow_redirects=False, timeout=5)
    assert response.status_code == 303
    assert response.headers["Location"].startswith("/work/")
    assert response.headers["Retry-After"] == "4"
    # without which a script in a browser sees neither
    assert response.headers["Access-Control-Expose-Headers"] == "Location, Retry-After"


def test_the_duration_is_random_where_none_is_asked_for(reference: ReferenceServer) -> None:
    start = f"{reference.url}/start_work"
    with requests.Session() as session:
        waits = {
            int(session.post(start, allow_redirects=False).headers["Retry-After"])
            for _ in range(50)
        }
    assert waits <= set(range(11))
    assert len(waits) > 3


def test_who_comes_early_is_refused(
    reference: ReferenceServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "polling_adapter.reference_server"):
        response = requests.post(f"{reference.url}/start_work?duration=8", timeout=5)
    assert response.status_code == 429
    assert 1 <= int(response.headers["Retry-After"]) <= 4
    assert reference.nb_early_call == 1
    assert "early" in caplog.text


@pytest.mark.parametrize("duration", ["-1", "nan", "inf", "abc", "", "86401"])
def test_a_duration_that_makes_no_sense(reference: ReferenceServer, duration: str) -> None:
    start = f"{reference.url}/start_work?duration={duration}"
    response = requests.post(start, timeout=5)
    assert response.status_code == 400
    assert "from 0 to 86400" in response.json()["error"]


def test_what_is_not_there(reference: ReferenceServer) -> None:
    for path in ("/", "/work/", "/work/42", "/health/x", "//"):
        assert requests.get(reference.url + path, timeout=5).status_code == 404
    assert len(reference.works) == 0


def test_a_method_that_is_not_allowed(reference: ReferenceServer) -> None:
    response = requests.get(f"{reference.url}/start_work", timeout=5)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_a_browser_may_ask(reference: ReferenceServer) -> None:
    response = requests.options(f"{reference.url}/start_work", timeout=5)
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert response.headers["Access-Control-Allow-Headers"] == "*"
    assert "Content-Length" not in response.headers


def test_too_many_works() -> None:
    with ReferenceServer(works=Works(limit=1)) as server:
        url = f"{server.url}/start_work?duration=60"
        assert requests.post(url, allow_redirects=False, timeout=5).status_code == 303
        response = requests.post(url, timeout=5)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "60")


def test_bodies_do_no_harm_to_the_requests_behind_them(reference: ReferenceServer) -> None:
    start = f"{reference.url}/start_work?duration=60"
    chunked = iter([b"GET /work/42 HTTP/1.1\r\n\r\n"])
    with requests.Session() as session:
        for body in (b"x" * 100_000, chunked, b"x" * 2_000_000, "short"):
            response = session.post(start, data=body, allow_redirects=False)
            assert response.status_code == 303
            assert session.get(f"{reference.url}/health").status_code == 200


def test_a_body_of_more_than_a_million_bytes_is_not_waited_for(reference: ReferenceServer) -> None:
    """It costs the connection, and no time: none of it needs to come."""
    head = b"POST /start_work?duration=60 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000001\r\n\r\n"
    with socket.create_connection(("127.0.0.1", reference.port), timeout=5) as connection:
        connection.sendall(head)
        answer = b"".join(iter(lambda: connection.recv(1000), b""))
    assert answer.startswith(b"HTTP/1.1 303 ")
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("POST /start_work HTTP/1.1\r\nContent-Length: -5", 303),
        ("POST /start_work HTTP/1.1\r\nContent-Length: \xb2", 303),
        ("POST /start_work HTTP/1.1\r\nContent-Length: " + "9" * 5000, 303),
        ("GET http://[::1/health HTTP/1.1", 400),
    ],
)
def test_what_cannot_be_read_is_answered(
    reference: ReferenceServer, start: str, status: int
) -> None:
    address = reference.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=5) as connection:
        connection.sendall(f"{start}\r\nHost: x\r\n\r\n".encode("latin-1"))
        assert connection.recv(100).startswith(b"HTTP/1.1 %d " % status)
    assert requests.get(f"{reference.url}/health", timeout=5).status_code == 200


def test_who_hangs_up_before_the_end_begins_no_work(reference: ReferenceServer) -> None:
    head = b"POST /start_work?duration=60 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"
    with socket.create_connection(("127.0.0.1", reference.port), timeout=5) as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert requests.get(f"{reference.url}/health", timeout=5).status_code == 200


def test_who_waits_for_a_100_gets_it(reference: ReferenceServer) -> None:
    """RFC 9110 section 10.1.1."""
    head = b"POST /start_work?duration=60 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
    with socket.create_connection(("127.0.0.1", reference.port), timeout=5) as connection:
        connection.sendall(head + b"Expect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"body")
        assert connection.recv(100).startswith(b"HTTP/1.1 303 ")


def test_a_path_gives_the_terminal_no_orders(
    reference: ReferenceServer, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "polling_adapter.reference_server"),
        socket.create_connection(("127.0.0.1", reference.port), timeout=5) as connection,
    ):
        connection.sendall(b"GET /\x1b[2J HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while connection.recv(1000):
            pass
    assert "GET /\\x1b[2J 404" in caplog.text
    assert "\x1b" not in caplog.text


def test_one_line_for_each_request(
    reference: ReferenceServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "polling_adapter.reference_server"):
        requests.get(f"{reference.url}/health", timeout=5)
        requests.get(f"{reference.url}/nothing", timeout=5)
    lines = [record.getMessage().rsplit(" ", 2)[0] for record in caplog.records]
    assert lines == ["GET /health 200", "GET /nothing 404"]


def test_many_at_once(reference: ReferenceServer) -> None:
    with PollingSession() as session, ThreadPoolExecutor(50) as pool:
        url = f"{reference.url}/start_work?duration=1.5"
        results = list(pool.map(lambda _: session.post(url).json(), range(50)))
    assert len({result["work_id"] for result in results}) == 50
    assert reference.nb_early_call == 0


@both_ways
def test_P6_killed_and_started_again_in_the_middle(connect: Open) -> None:
    """The works are kept: the call goes on as if nothing had been."""
    with ReferenceServer() as first, ThreadPoolExecutor(1) as pool:
        session = connect(PollingPolicy(jitter=0))
        url = f"{first.url}/start_work?duration=3"
        result = pool.submit(lambda: session.post(url).json())
        threading.Event().wait(1.5)  # after the first poll
        first.__exit__()
        threading.Event().wait(1.0)  # so that a poll fails
        with ReferenceServer(port=first.port, works=first.works):
            assert result.result()["duration"] == 3
        assert first.nb_early_call == 0


def test_it_leaves_nothing_behind() -> None:
    before = threading.active_count()
    with ReferenceServer() as server:
        idle = socket.create_connection(("127.0.0.1", server.port))
        assert requests.get(f"{server.url}/health", timeout=5).status_code == 200
    with idle:
        assert idle.recv(1) == b""
    assert threading.active_count() == before
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.url}/health", timeout=5)


def test_ipv6() -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with ReferenceServer("::1") as server, PollingSession() as session:
        assert server.url == f"http://[::1]:{server.port}"
        assert session.post(f"{server.url}/start_work?duration=0").json()["duration"] == 0


def test_a_port_that_is_taken(reference: ReferenceServer) -> None:
    with pytest.raises(OSError, match="in use"):
        ReferenceServer(port=reference.port)
