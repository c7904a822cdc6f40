"""A redirect without Retry-After is requests' own: its body, its connection, its errors (P3)."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from polling_adapter import PollingError, PollingPolicy, PollingSession, Wait

from ..conftest import Open, mixed_in, mounted_adapter, polling_session
from ..server import RESET, Reply, Server, poll
from .alike import IN_ITS_OWN_HISTORY, record
from .ways import Way

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)
#: A Date of their own, so that two runs of a script give the same headers.
DATE = {"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}
END = Reply(200, DATE, b"done")


def to(location: str, body: Any = b"", status: int = 302, **headers: str) -> Reply:
    return Reply(status, {**DATE, "Location": location, **headers}, body)


def cut_short() -> Iterator[bytes]:
    yield b"y" * 100
    raise ConnectionAbortedError


def as_requests(
    server: Server,
    session: requests.Session,
    script: list[Reply],
    call: Callable[[requests.Session, str], requests.Response] = lambda session, url: session.get(
        url
    ),
    max_redirects: int = 30,
) -> dict[str, Any]:
    """The record of ours, which is that of requests."""
    with requests.Session() as stock:
        stock.max_redirects = max_redirects
        server.script(*script)
        expected = record(server, lambda: call(stock, server.url))
    session.max_redirects = max_redirects
    server.script(*script)
    ours = record(server, lambda: call(session, server.url))
    assert ours == expected
    return ours


LARGE = b"y" * 70_000


@pytest.mark.parametrize(
    "redirect",
    [
        to("/x", LARGE),
        to("/x", b"y" * 1_000_000, 307),
        to("/x", gzip.compress(LARGE), **{"Content-Encoding": "gzip"}),
        to("/x", lambda: [b"y" * 50_000] * 3),
        to("/x", b"no gzip", **{"Content-Encoding": "gzip"}),
        to("/x", cut_short),
    ],
    ids=["large", "1 MB", "gzip", "chunked", "undecodable", "cut short"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_P3_its_body_and_its_connection(
    server: Server, connect: Open, redirect: Reply, stream: bool
) -> None:
    def call(session: requests.Session, url: str) -> requests.Response:
        return session.get(url, stream=stream)

    as_requests(server, connect(FAST), [redirect, END], call)


@pytest.mark.parametrize("stream", [False, True])
def test_P3_the_body_of_one_that_nobody_follows(
    server: Server, connect: Open, stream: bool
) -> None:
    def call(session: requests.Session, url: str) -> requests.Response:
        return session.get(url, stream=stream, allow_redirects=False)

    as_requests(server, connect(FAST), [to("/x", LARGE), END], call)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
def test_P3_its_method_and_its_body(
    server: Server, connect: Open, method: str, status: int
) -> None:
    def call(session: requests.Session, url: str) -> requests.Response:
        return session.request(method, url, data=b"body", headers={"Content-Type": "text/x"})

    as_requests(server, connect(FAST), [to("/x", status=status), to("/y", status=307), END], call)


@pytest.mark.parametrize(
    "location",
    [
        "x",
        "/x?a=b%20c d#part",
        "//127.0.0.1:1/x",
        "/caf\xc3\xa9",
        "",
        "?q",
        "ftp://127.0.0.1/x",
        "http://[",
        "/\xff\xfe",
        "http://127.0.0.1:99999/x",
        "http:///x",
        "mailto:joe@example.org",
    ],
)
def test_P3_P7_where_it_leads(server: Server, connect: Open, location: str) -> None:
    """Nothing has been polled, so that even what is no RequestException stays what it is."""
    as_requests(server, connect(FAST), [to(location), END])


@pytest.mark.parametrize("reply", [Reply(304), Reply(300), Reply(302), to("/x", status=201)])
def test_P3_what_is_no_redirect(server: Server, connect: Open, reply: Reply) -> None:
    as_requests(server, connect(FAST), [Reply(reply.status, {**DATE, **reply.headers}), END])


# the order of errors


@pytest.mark.parametrize(
    "location", ["ftp://127.0.0.1/x", "http://[", "http://127.0.0.1:99999/x", "/\xff\xfe", "/x"]
)
@pytest.mark.parametrize("max_redirects", [0, 1, 2])
def test_P3_too_many_redirects_come_before_a_location_that_leads_nowhere(
    server: Server, connect: Open, location: str, max_redirects: int
) -> None:
    script = [to("/a", LARGE), to("/b", b"two"), to(location, b"three"), END]
    script = script[2 - max_redirects :]
    ours = as_requests(server, connect(FAST), script, max_redirects=max_redirects)
    # Of what cannot be read requests says so first, where it looks ahead or reads it as text.
    if location in ("ftp://127.0.0.1/x", "http://127.0.0.1:99999/x", "/x"):
        assert ours["error"] is requests.TooManyRedirects
        assert ours["its response"][5] == b"three"
        assert IN_ITS_OWN_HISTORY or len(ours["its response"][6]) == max_redirects


@pytest.mark.skipif(IN_ITS_OWN_HISTORY, reason="these requests have another history")
def test_P3_P8_the_error_of_too_many_has_its_history(server: Server, connect: Open) -> None:
    script = [to(f"/{n}", b"%d" % n) for n in range(32)]
    ours = as_requests(server, connect(FAST), script)
    assert ours["error"] is requests.TooManyRedirects
    assert [content for _, _, content, _ in ours["its response"][6]] == [
        b"%d" % n for n in range(30)
    ]


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "http://["])
@pytest.mark.parametrize("open_session", [polling_session, mixed_in])
def test_P3_they_do_after_polls_too(server: Server, open_session: Open, location: str) -> None:
    """A poll does not count, and changes nothing in the order."""
    server.script(poll("/work"), poll("/work"), to(location, b"three"))
    with open_session(FAST) as session:
        session.max_redirects = 0
        with pytest.raises(requests.TooManyRedirects) as caught:
            session.get(server.url)
    assert not isinstance(caught.value, PollingError)
    assert caught.value.response.content == b"three"
    assert server.asked == ["GET /", "GET /work", "GET /work"]


def test_P3_they_do_after_inner_polls_too(server: Server) -> None:
    """Of a plain session, which counts the first poll."""
    server.script(poll("/work"), poll("/work"), to("ftp://127.0.0.1/x", b"three"))
    with mounted_adapter(FAST) as session:
        session.max_redirects = 1
        with pytest.raises(requests.TooManyRedirects) as caught:
            session.get(server.url)
    assert not isinstance(caught.value, PollingError)
    assert caught.value.response.content == b"three"
    assert server.asked == ["GET /", "GET /work", "GET /work"]


@pytest.mark.parametrize("script", [[RESET], [to("/x"), RESET], [to("/x"), Reply(500, DATE), END]])
def test_P3_P6_a_request_that_fails_where_nothing_is_polled(
    server: Server, connect: Open, script: list[Reply]
) -> None:
    def call(session: requests.Session, url: str) -> requests.Response:
        return session.post(url, data=b"body")

    as_requests(server, connect(FAST), script, call)


@pytest.mark.parametrize("status", [302, 303, 307])
def test_P3_P7_a_file_is_rewound(server: Server, connect: Open, status: int) -> None:
    def call(session: requests.Session, url: str) -> requests.Response:
        return session.put(url, data=BytesIO(b"body"))

    as_requests(server, connect(FAST), [to("/x", status=status), END], call)


# over adapters of others


class InMemory(HTTPAdapter):
    """Its ``raw`` is what tests have at hand."""

    def send(self, request: Any, **_: Any) -> requests.Response:  # type: ignore[override]
        response = requests.Response()
        response.request, response.url = request, request.url
        response.raw = BytesIO(b"half done")
        response.status_code = 303 if request.url.endswith("/start") else 200
        if response.status_code == 303:
            response.headers.update({"Location": "/work", "Retry-After": "0"})
        return response


def test_P7_a_body_that_is_any_file_is_kept() -> None:
    seen: list[bytes] = []

    def tell(wait: Wait) -> None:
        seen.append(wait.response.content)

    with mixed_in(FAST.replace(on_wait=tell)) as session:
        session.mount("http://", InMemory())
        response = session.get("http://host.test/start")
    assert seen == [b"half done"]
    assert response.history[0].content == b"half done"
    assert response.content == b"half done"


def test_P3_chains_of_all_kinds(server: Server, elsewhere: Server, connect: Open) -> None:
    """Ordinary ones and polls in any order: what is sent where is what requests sends."""
    session = connect(FAST)
    with requests.Session() as stock:
        for statuses in itertools.product((302, 307), repeat=3):
            for polls in itertools.product((False, True), repeat=3):
                sent = []
                for one in (stock, session):
                    server.seen.clear()
                    elsewhere.seen.clear()
                    places = ["/a", f"{elsewhere.url}/b".replace("127.0.0.1", "localhost"), "/c"]
                    hops = [
                        poll(place, status=status)
                        if polled and one is session
                        else to(place, status=status)
                        for place, status, polled in zip(places, statuses, polls, strict=True)
                    ]
                    server.script(*hops[:2])
                    elsewhere.script(hops[2], END)
                    response = one.put(server.url, data=b"body", auth=("user", "secret"))
                    kept = ("Authorization", "Content-Type", "Content-Length")
                    sent.append(
                        [
                            (seen.method, seen.path, seen.body, [seen.headers.get(k) for k in kept])
                            for seen in (*server.seen, *elsewhere.seen)
                        ]
                    )
                    assert response.text == "done"
                assert sent[0] == sent[1], (statuses, polls)


@pytest.mark.parametrize("retry_after", [None, "0"])
@pytest.mark.parametrize("broken", ["cut short", "no gzip"])
def test_P6_the_body_of_the_redirect_that_begins_a_job_does_not_matter(
    server: Server, ask: Way, broken: str, retry_after: str | None
) -> None:
    headers = {"Location": "/w"} | ({} if retry_after is None else {"Retry-After": retry_after})
    if broken == "no gzip":
        headers["Content-Encoding"] = "gzip"
    server.script(Reply(303, headers, b"see", fault="cut" if broken == "cut short" else None), END)
    assert ask(FAST, "POST", server.url).text == "done"
    assert server.asked == ["POST /", "GET /w"]


def test_P3_the_body_of_one_too_many_is_whole_for_a_poller_too(server: Server) -> None:
    server.script(to("/w", b"y" * 300_000))
    with PollingSession(policy=FAST) as session:
        session.max_redirects = 0
        with pytest.raises(requests.TooManyRedirects) as caught:
            session.begin("GET", server.url).result()
    assert caught.value.response is not None
    assert len(caught.value.response.content) == 300_000


@pytest.mark.parametrize("stream", [True, False])
def test_P3_P9_a_redirect_to_itself_keeps_one_connection(
    server: Server, connect: Open, stream: bool
) -> None:
    server.script(*[Reply(302, {"Location": "/"}, b"moved")] * 4, Reply(200))
    session = connect(PollingPolicy())
    response = session.get(f"{server.url}/", stream=stream)
    assert response.status_code == 200
    assert [one.content for one in response.history] == [b"moved"] * 4
    assert server.connections == 1
