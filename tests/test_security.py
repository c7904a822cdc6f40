"""What must not happen, whatever a server answers. Each test is named for it, in both ways in."""

from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.exceptions import InvalidSchema, InvalidURL, TooManyRedirects

from polling_adapter import (
    PollingError,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    RetryAfterTooLong,
    TooManyPolls,
    WorkFailed,
)
from polling_adapter._call.read_ahead import BODY_LIMIT
from polling_adapter.pending import accepted, json_field

from .conftest import Open, mixed_in, polling_session
from .fake_clock import FakeClock
from .server import DONE, RESET, Reply, Server, again, poll, serving

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)
SECRETS = ("Authorization", "Proxy-Authorization", "Cookie")


def leaked(server: Server) -> set[str]:
    return {name for seen in server.seen for name in SECRETS if name in seen.headers}


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials for the first host alone, as requests looks them up."""
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("NETRC", str(file))


# credentials


@pytest.mark.parametrize("status", [301, 303, 307])
def test_authorization_never_reaches_another_host(
    server: Server, elsewhere: Server, connect: Open, status: int
) -> None:
    other_host = elsewhere.url.replace("127.0.0.1", "localhost")
    server.script(poll("/work", status=status), poll(f"{other_host}/work", status=status))
    elsewhere.script(poll("/work/2"), poll("/work/3"), again(), DONE)
    session = connect(FAST)
    session.headers["Proxy-Authorization"] = "Basic c2VjcmV0"
    assert session.get(server.url, auth=("user", "secret")).text == "done"
    assert len(elsewhere.seen) == 4
    assert leaked(elsewhere) == set()


def test_authorization_never_reaches_another_port(
    server: Server, elsewhere: Server, connect: Open
) -> None:
    server.script(poll(elsewhere.url))
    elsewhere.script(poll("/work"), DONE)
    connect(FAST).get(server.url, auth=("user", "secret"))
    assert leaked(elsewhere) == set()


def test_authorization_comes_back_to_no_origin_it_has_left(
    server: Server, elsewhere: Server, connect: Open
) -> None:
    server.script(poll(elsewhere.url), poll("/work"), DONE)
    elsewhere.script(poll(server.url))
    connect(FAST).get(server.url, auth=("user", "secret"))
    assert ["Authorization" in seen.headers for seen in server.seen] == [True, False, False]


@pytest.mark.usefixtures("netrc")
def test_netrc_credentials_never_reach_another_host(
    server: Server, elsewhere: Server, connect: Open
) -> None:
    other_host = elsewhere.url.replace("127.0.0.1", "localhost")
    server.script(poll("/work"), poll(other_host))
    elsewhere.script(poll("/work"), DONE)
    connect(FAST).get(server.url)
    assert ["Authorization" in seen.headers for seen in server.seen] == [True, True]
    assert leaked(elsewhere) == set()


def test_cookies_never_reach_another_domain(
    server: Server, elsewhere: Server, connect: Open
) -> None:
    other_host = elsewhere.url.replace("127.0.0.1", "localhost")
    server.script(poll("/work", **{"Set-Cookie": "token=secret; Path=/"}), poll(other_host))
    elsewhere.script(poll("/work", **{"Set-Cookie": "own=1; Path=/"}), DONE)
    session = connect(FAST)
    session.get(server.url)
    assert [seen.headers.get("Cookie") for seen in server.seen] == [None, "token=secret"]
    assert [seen.headers.get("Cookie") for seen in elsewhere.seen] == [None, "own=1"]
    assert session.cookies.get("token", domain="127.0.0.1") == "secret"


def test_credentials_of_a_proxy_never_reach_the_server(server: Server, connect: Open) -> None:
    """Through a proxy each poll carries them, to the proxy; past the proxy none does."""
    with serving() as proxy:
        proxy.script(poll("/work"), poll("/work"), poll(f"{server.url}/past"))
        server.script(poll("/past"), DONE)
        session = connect(FAST)
        session.trust_env = False
        through = proxy.url.replace("//", "//user:secret@")
        proxies = {"http://example.test": through}
        assert session.get("http://example.test/start", proxies=proxies).text == "done"
    assert [seen.headers.get("Proxy-Authorization") for seen in proxy.seen] == [
        "Basic dXNlcjpzZWNyZXQ="
    ] * 3
    assert leaked(server) == set()


def test_credentials_in_a_url_are_never_told(
    server: Server, connect: Open, caplog: pytest.LogCaptureFixture
) -> None:
    secret = server.url.replace("//", "//user:secret@")
    told = []
    with caplog.at_level(logging.DEBUG, "polling_adapter"):
        for last in (poll("/work", "9999"), poll(f"{secret}/work", "9999"), again("9999"), RESET):
            server.script(poll(f"{secret}/work"), last)
            policy = FAST.replace(total_timeout=60, poll_failures=1)
            with pytest.raises(requests.RequestException) as caught:
                connect(policy).get(secret)
            told += [str(caught.value), str(caught.value.__cause__)]
    ours = [record.getMessage() for record in caplog.records]
    assert len(ours) > 4
    assert not any("secret" in text for text in [*told, *ours])


# where a poll leads


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "javascript:alert(1)", "data:text/plain,x"],
)
def test_another_scheme_is_never_followed(
    server: Server, connect: Open, clock: FakeClock, location: str
) -> None:
    for first in ([], [poll("/work")]):
        server.script(*first, poll(location, "5"))
        with pytest.raises(InvalidSchema):
            connect(FAST.replace(clock=clock)).get(server.url)
    assert clock.slept == []


def test_an_endless_chain_ends_by_the_policy(
    server: Server, elsewhere: Server, connect: Open
) -> None:
    server.script(poll(elsewhere.url))
    elsewhere.script(poll(server.url))
    with pytest.raises((TooManyPolls, TooManyRedirects)):
        connect(FAST.replace(max_polls=100)).get(server.url)
    numbers = iter(range(10**9))
    server.answer = lambda _: poll(f"/work/{next(numbers)}")
    with pytest.raises(TooManyPolls, match="max_polls=100"):
        connect(FAST.replace(max_polls=100)).get(server.url)
    with pytest.raises(PollingTimeout):
        connect(FAST.replace(total_timeout=0.3)).get(server.url)
    server.answer = lambda _: again()
    with pytest.raises(PollingTimeout):
        connect(FAST.replace(total_timeout=0.3)).get(server.url)


@pytest.mark.parametrize(
    "value",
    [
        *["9999999999", "1e9", "9" * 400, "9" * 5000, "-5", "nan", "inf", "0x7fffffff", "5;5", ""],
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "\x7f\x80",
    ],
)
@pytest.mark.parametrize("status", [303, 429])
def test_no_value_makes_us_sleep_longer_than_the_policy(
    server: Server, connect: Open, clock: FakeClock, value: str, status: int
) -> None:
    server.script(poll("/work", value, status))
    policy = PollingPolicy(clock=clock, total_timeout=100, retry_after_max=50, jitter=0.5)
    with pytest.raises((PollingTimeout, RetryAfterTooLong)):
        connect(policy).get(server.url)
    assert clock.now <= 1100 + 1e-6  # sums of instants are not exact


# bodies


def zipped_bomb() -> Iterator[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    while True:
        yield packer.compress(b"\0" * 10_000_000)


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


@pytest.mark.parametrize(
    ("body", "encoding"), [(endless, {}), (zipped_bomb, {"Content-Encoding": "gzip"})]
)
@pytest.mark.parametrize("status", [303, 301, 429])
@pytest.mark.parametrize("first", [[], [poll("/work")]], ids=["first", "second"])
def test_no_body_costs_more_than_a_bounded_number_of_bytes(
    server: Server,
    connect: Open,
    body: Any,
    encoding: dict[str, str],
    status: int,
    first: list[Reply],
) -> None:
    """BODY_LIMIT is kept at the most, and the connection is gone."""
    headers = {"Location": "/work", "Retry-After": "0", **encoding}
    waits: list[Any] = []
    server.script(*first, Reply(status, headers, body), DONE)
    response = connect(FAST.replace(on_wait=waits.append)).get(server.url)
    assert response.text == "done"
    assert all(len(wait.response.content) <= BODY_LIMIT for wait in waits)
    assert server.connections == 2
    assert server.sent < 20_000_000  # mostly what the sockets' buffers take


@cache
def zipped_twice(size: int) -> bytes:
    once = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [once.compress(bytes(1_000_000)) for _ in range(size // 1_000_000)]
    return gzip.compress(b"".join([*parts, once.compress(bytes(size % 1_000_000)), once.flush()]))


@cache
def brotli_of(size: int) -> bytes:
    packer = pytest.importorskip("brotli").Compressor(quality=5)
    parts = [packer.process(bytes(1_000_000)) for _ in range(size // 1_000_000)]
    packed: bytes = b"".join([*parts, packer.process(bytes(size % 1_000_000)), packer.finish()])
    return packed


packings = pytest.mark.parametrize(
    ("packed", "coding"), [(zipped_twice, "gzip, gzip"), (brotli_of, "br")]
)


@packings
@pytest.mark.parametrize("status", [303, 429])
def test_a_few_bytes_never_become_more_than_memory_holds(
    server: Server, connect: Open, packed: Any, coding: str, status: int
) -> None:
    body = packed(200_000_000)
    assert len(body) < 2000
    headers = {"Location": "/work", "Retry-After": "0", "Content-Encoding": coding}
    server.script(Reply(status, headers, body), DONE)
    waits: list[Any] = []
    session = connect(FAST.replace(on_wait=waits.append))
    tracemalloc.start()
    try:
        assert session.get(server.url).text == "done"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50_000_000
    assert waits[0].response.content == b""


@packings
@pytest.mark.parametrize("size", [0, 1, 5000, BODY_LIMIT, BODY_LIMIT + 1])
def test_whatever_a_body_is_packed_in_it_can_be_read(
    server: Server, connect: Open, packed: Any, coding: str, size: int
) -> None:
    headers = {"Location": "/work", "Retry-After": "0", "Content-Encoding": coding}
    server.script(Reply(303, headers, packed(size)), again(), DONE)
    waits: list[Any] = []
    assert connect(FAST.replace(on_wait=waits.append)).get(server.url).text == "done"
    assert waits[0].response.content == (bytes(size) if size <= BODY_LIMIT else b"")
    assert server.connections == 1 or size > BODY_LIMIT


def test_a_body_longer_than_it_says_does_not_answer_the_next_request(connect: Open) -> None:
    """What follows a body on a connection would be taken for the next response."""
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        headers = b"Location: /work\r\nRetry-After: 0.2\r\nContent-Length: 2\r\n\r\n"

        def serve() -> None:
            for answer in (
                b"HTTP/1.1 303 See Other\r\n" + headers + b"ok" + evil,
                b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood",
            ):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.settimeout(0.1)
                    with contextlib.suppress(TimeoutError):
                        connection.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        assert connect(FAST).get(url).text == "good"
        thread.join()


@pytest.mark.parametrize(("status", "first"), [(303, True), (303, False), (429, False)])
def test_a_body_that_drips_never_outlasts_the_call(
    server: Server, connect: Open, status: int, first: bool
) -> None:
    """By more than one read, which ends with the socket's timeout."""

    def drip() -> Iterator[bytes]:
        for _ in range(200):
            time.sleep(0.05)
            yield b"x"

    dripping = Reply(status, {"Location": "/work", "Retry-After": "0"}, drip)
    server.script(*([] if first else [poll("/work")]), dripping)
    started = time.monotonic()
    with pytest.raises(PollingError):
        connect(FAST.replace(total_timeout=0.5, min_wait=0.1)).get(server.url)
    assert time.monotonic() - started < 3


# what requests says


def said(error: BaseException | None) -> list[str]:
    """By an error and all that is shown of what it comes of."""
    if error is None:
        return []
    context = None if error.__suppress_context__ else error.__context__
    return [str(error), *said(error.__cause__), *said(context)]


@contextlib.contextmanager
def nobody_listens() -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


in_a_session = pytest.mark.parametrize("connect", [polling_session, mixed_in], indirect=True)


@in_a_session
@pytest.mark.parametrize("userinfo", ["joe:s3cret@", "s3cret@", "joe:s3'c\"s3cret@", ""])
@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("ftp://{}host.test/x?sig=s3cret", "ftp://host.test/x?..."),
        ("http://{}127.0.0.1:99999/x?sig=s3cret", ""),  # urllib3 says what it likes
        ("http://{}[/x?sig=s3cret", "to 'http://[/x', which cannot be read: Invalid IPv6 URL"),
        ("http://{}h\xe2\x84\x80.test/x?sig=s3cret", r"to 'http://h\xe2\x84\x80.test/x', which"),
        ("/\xff?sig=s3cret", r"to '/\xff', which cannot be read"),
        ("http://{}:80?sig=s3cret", ""),
    ],
)
def test_requests_shows_no_secret_of_a_location(
    server: Server, connect: Open, location: str, shown: str, userinfo: str
) -> None:
    """In the middle of a job, where it is of no use to anybody but the server."""
    server.script(poll("/w"), poll(location.format(userinfo)))
    with pytest.raises(requests.RequestException) as caught:
        connect(FAST.replace(poll_failures=0)).get(server.url)
    told = said(caught.value)
    assert shown in told[0]
    assert not [text for text in told if "s3cret" in text]


@pytest.mark.parametrize("failures", [0, 1])
def test_requests_shows_no_secret_of_an_address_that_is_not_there(
    server: Server, connect: Open, failures: int
) -> None:
    with nobody_listens() as url:
        server.script(poll(f"{url}/w?sig=s3cret", "0"))
        with pytest.raises(requests.ConnectionError) as caught:
            connect(FAST.replace(poll_failures=failures)).get(server.url)
    assert not [text for text in said(caught.value) if "s3cret" in text]
    cause: Any = caught.value.__cause__
    assert "Max retries exceeded with url: /w?... (Caused by" in str(cause)
    assert type(cause.args[0].reason).__name__ == "NewConnectionError"  # what it was
    assert cause.request.url.endswith("?sig=s3cret")


@pytest.mark.parametrize("kind", [requests.Session, PollingSession])
def test_outside_of_a_job_requests_says_what_it_says(kind: type[requests.Session]) -> None:
    told = pytest.raises(requests.ConnectionError, match=r"url: /w\?sig=x \(Caused by")
    with nobody_listens() as url, kind() as session, told:
        session.get(f"{url}/w?sig=x")


@in_a_session
def test_a_hook_shows_no_secret(server: Server, connect: Open) -> None:
    def hook(response: requests.Response, **_: Any) -> None:
        response.close()
        response.raise_for_status()

    server.script(poll("/w?sig=s3cret"), poll("/w?sig=s3cret"), Reply(404))
    with pytest.raises(requests.HTTPError) as caught:
        connect(FAST).get(server.url, hooks={"response": hook})
    assert str(caught.value).endswith(f"for url: {server.url}/w?...")


def test_a_password_is_not_in_the_address_of_a_work_that_failed(server: Server) -> None:
    server.script(Reply(200, {"Content-Type": "application/json"}, b'{"state": "failed"}'))
    pending = json_field("state", until="done", failed=["failed"])
    session = polling_session(FAST.replace(pending=pending))
    with session, pytest.raises(WorkFailed) as caught:
        session.get(server.url.replace("//", "//user:secret@"))
    assert caught.value.url == f"{server.url}/"


def test_a_session_keeps_its_proxys_credential_from_another_origin_by_a_token(
    server: Server, elsewhere: Server
) -> None:
    server.script(poll(elsewhere.url))
    elsewhere.script(DONE)
    with PollingSession(policy=FAST) as session:
        token = session.begin("POST", server.url).continuation_token()
        session.headers["Proxy-Authorization"] = "Basic c2VjcmV0"
        session.resume(token, headers={"proxy-authorization": "secret"}).result()
    assert "Proxy-Authorization" not in elsewhere.seen[0].headers


class Guarded(PollingSession):
    """What docs/security.rst advises where a server must not choose what is asked."""

    def get_adapter(self, url: Any) -> Any:
        if "/private" in str(url):
            raise InvalidURL(f"{url} is not asked")
        return super().get_adapter(url)


@pytest.mark.parametrize("begin", [False, True])
@pytest.mark.parametrize(
    "named",
    [
        Reply(302, {"Location": "/private"}),
        poll("/private"),
        Reply(202, {"Location": "/private"}),
    ],
)
def test_an_address_that_the_session_refuses_is_never_asked(
    server: Server, named: Reply, begin: bool
) -> None:
    server.script(poll("/w"), *[named] * 30)
    with Guarded(policy=FAST.replace(pending=accepted, poll_failures=1)) as session:
        ask: Any = session.submit if begin else session.request
        with pytest.raises(requests.RequestException):
            ask("POST", server.url).result()
    assert not any("/private" in asked for asked in server.asked)
