"""Nothing keeps a response alive that the caller has let go of, and nothing waits for the collector
(P9)."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from urllib3 import Retry

from polling_adapter import (
    Poller,
    PollingAdapter,
    PollingMixin,
    PollingPolicy,
    PollingSession,
    as_completed,
)
from polling_adapter.pending import accepted

from ..conftest import MixedSession, Open
from ..server import DONE, RESET, Reply, Server, again, poll
from .alike import IN_ITS_OWN_HISTORY

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


kinds = pytest.mark.parametrize("kind", [PollingSession, MixedSession])


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Kept:
    """What the caller has had in hand, and what is alive of it once it is let go of."""

    def __init__(self) -> None:
        self.refs: list[weakref.ref[Any]] = []

    def add(self, found: Any) -> None:
        with suppress(TypeError):  # not all errors of Python can be referred to
            self.refs.append(weakref.ref(found))
        last = getattr(found, "response", None) if isinstance(found, Exception) else found
        if last is not None:
            self.refs.extend(map(weakref.ref, [last, *last.history]))

    def hook(self, response: requests.Response, **_: Any) -> None:
        self.refs.append(weakref.ref(response))

    def end(self, call: Callable[[], Any]) -> None:
        try:
            with call() as response:
                self.add(response)
        except Exception as error:
            self.add(error)

    @property
    def alive(self) -> list[Any]:
        return [found for ref in self.refs if (found := ref()) is not None]


def cut_short() -> Iterator[bytes]:
    yield b"do"
    raise ConnectionAbortedError


def hook_raises(response: requests.Response, **_: Any) -> None:
    if response.url.endswith("/w"):
        response.close()
        raise ValueError("own")


ENDS: dict[str, tuple[list[Reply], dict[str, Any], dict[str, Any]]] = {
    # What the server answers, the policy, the arguments of the call. An outage is not among them:
    # urllib3's errors are in a cycle, of plain requests too, and with them all that called it.
    "answered at once": ([DONE], {}, {}),
    "streamed": ([poll("/w"), DONE], {}, {"stream": True}),
    "result": ([again(), poll("/w"), Reply(502), poll("/w"), DONE], {}, {}),
    "ordinary redirect": ([Reply(302, {"Location": "/w"}), DONE], {}, {}),
    "cut short once": ([poll("/w"), Reply(200, {}, cut_short), DONE], {}, {}),
    "404": ([poll("/w"), Reply(404)], {}, {}),
    "nobody follows": ([poll("/w", "60")], {}, {"allow_redirects": False}),
    "nobody follows an ordinary one": (
        [Reply(302, {"Location": "/w"})],
        {},
        {"allow_redirects": False},
    ),
    "empty Location": ([poll("/w"), Reply(303, {"Location": ""})], {}, {}),
    "PollingTimeout": ([poll("/w"), poll("/w", "20000")], {"total_timeout": 5}, {}),
    "PollingTimeout at once": ([poll("/w", "20000")], {"total_timeout": 5}, {}),
    "refused for too long": ([again("86400")], {"total_timeout": None}, {}),
    "RetryAfterTooLong": ([poll("/w", "86400")], {"total_timeout": None}, {}),
    "TooManyPolls": ([poll("/w")], {"max_polls": 3}, {}),
    "502 that stays": ([poll("/w"), Reply(502)], {"poll_failures": 1}, {}),
    "no answer": ([RESET], {}, {}),
    "TooManyRedirects": ([Reply(302, {"Location": "/w"})], {}, {}),
    "InvalidSchema": ([poll("/w"), poll("ftp://host.test/w")], {}, {}),
    "unreadable": ([poll("/w"), poll("http://[")], {}, {}),
    "hook raises": ([poll("/w"), DONE], {}, {"hooks": {"response": hook_raises}}),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("hooked", [False, True])
def test_P9_no_cycle_keeps_a_response(
    server: Server, connect: Open, end: str, hooked: bool
) -> None:
    script, limits, options = ENDS[end]
    server.script(*script)
    kept, session = Kept(), connect(FAST.replace(**limits))
    if IN_ITS_OWN_HISTORY and not isinstance(session, PollingMixin):
        pytest.skip("a redirect that these requests follow is in a cycle of its own")
    if hooked:
        session.hooks["response"].append(kept.hook)
    kept.end(lambda: session.post(server.url, **options))
    assert kept.alive == []


@pytest.mark.parametrize("end", [end for end in ENDS if "nobody follows" not in end])
@pytest.mark.parametrize("hooked", [False, True])
@kinds
def test_P9_nor_does_a_poller(
    server: Server, kind: Callable[..., PollingMixin], end: str, hooked: bool
) -> None:
    script, limits, options = ENDS[end]
    server.script(*script)
    kept = Kept()
    with kind(policy=FAST.replace(**limits)) as session:
        if hooked:
            session.hooks["response"].append(kept.hook)
        kept.end(lambda: session.begin("POST", server.url, **options).result())
    assert kept.alive == []


@pytest.mark.parametrize("script", [[DONE], [Reply(404)], [poll("/w"), DONE]])
def test_P9_a_poller_that_is_done_goes_with_its_result(server: Server, script: list[Reply]) -> None:
    server.script(*script)
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", server.url)
        response = weakref.ref(poller.result())
        kept = weakref.ref(poller)
        del poller
        assert kept() is None
        assert response() is None


def test_P9_a_waiting_job_keeps_no_response(server: Server, connect: Open) -> None:
    seen: list[weakref.ref[requests.Response]] = []
    alive: list[int] = []

    def hook(response: requests.Response, **_: Any) -> None:
        seen.append(weakref.ref(response))
        alive.append(sum(ref() is not None for ref in seen))

    server.script(*[poll("/w")] * 100, DONE)
    connect(FAST).get(f"{server.url}/w", hooks={"response": hook}).close()
    assert max(alive) <= 35  # those of the history, and the one in hand
    assert sum(ref() is not None for ref in seen) == 0


def test_P9_a_request_keeps_no_response(server: Server, connect: Open) -> None:
    """One that is sent again and again, by hand."""
    server.script(poll("/w", "60"))
    session = connect(FAST)
    request = requests.Request("POST", server.url).prepare()
    kept = [weakref.ref(session.send(request, allow_redirects=False)) for _ in range(100)]
    assert sum(ref() is not None for ref in kept) == 0


def test_P9_a_session_keeps_no_request(server: Server, connect: Open) -> None:
    session = connect(FAST)

    def call(allow_redirects: bool) -> list[weakref.ref[Any]]:
        server.script(poll("/w"), poll("/w"), DONE)
        response = session.post(server.url, allow_redirects=allow_redirects)
        hops = [*response.history, response]
        return [weakref.ref(hop.request) for hop in hops]

    for allow_redirects in (True, False):
        assert [ref() for ref in call(allow_redirects) if ref() is not None] == []


@pytest.mark.parametrize("end", ["result", "404", "PollingTimeout", "TooManyPolls", "hook raises"])
def test_P9_connections_go_back(server: Server, connect: Open, end: str) -> None:
    """Whatever ends a call, the next one needs no new connection; a hook that raises costs one."""
    script, limits, options = ENDS[end]
    session = connect(FAST.replace(**limits))
    for _ in range(5):
        server.script(*script)
        with suppress(requests.RequestException, ValueError):
            session.post(server.url, **options).close()
    server.script(DONE)
    assert session.get(server.url).text == "done"
    assert server.connections <= (6 if end == "hook raises" else 1)


def test_P9_a_call_that_waits_holds_no_connection(server: Server, connect: Open) -> None:
    """Of a pool of one, below a server whose answers have bodies."""
    session = connect(FAST)
    kind: Any = HTTPAdapter if isinstance(session, MixedSession) else PollingAdapter
    adapter = kind(pool_connections=1, pool_maxsize=1, pool_block=True)
    inner: list[str] = []

    def tell(_: Any) -> None:
        with requests.Session() as other:
            other.mount("http://", adapter)
            inner.append(other.get(f"{server.url}/inner").text)

    if kind is PollingAdapter:
        adapter.policy = FAST.replace(on_wait=tell)
    if isinstance(session, PollingMixin):
        session.policy = FAST.replace(on_wait=tell)
    session.mount("http://", adapter)
    body = b"not yet" * 1000
    work = Reply(303, {"Location": "/w", "Retry-After": "0"}, body)
    replies = iter([again()._replace(body=body), work, Reply(502, {}, body), work, DONE])
    server.answer = lambda seen: DONE if seen.path == "/inner" else next(replies)
    assert session.post(server.url).text == "done"
    assert inner == ["done"] * 4


def test_P9_challenges_in_a_job(server: Server, connect: Open) -> None:
    replies = iter([Reply(202, {"Location": "/w"}), Reply(202), Reply(202), DONE])
    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
    server.answer = lambda seen: (
        next(replies)
        if f'uri="{seen.path}"' in seen.headers.get("Authorization", "")
        else Reply(401, challenge)
    )
    kept, auth = Kept(), HTTPDigestAuth("u", "p")
    policy = FAST.replace(pending=accepted)
    kept.end(lambda: connect(policy).post(server.url, auth=auth, hooks={"response": kept.hook}))
    assert len(kept.refs) > 4
    assert kept.alive == []


def test_P9_as_completed_whose_iterable_fails(server: Server) -> None:
    kept = Kept()

    def jobs() -> Iterator[Poller]:
        yield session.submit("GET", server.url)
        raise LookupError("no more")

    def all_of_them() -> None:
        for poller in as_completed(jobs()):
            kept.refs.append(weakref.ref(poller))
            kept.add(poller.result())

    with PollingSession(policy=FAST) as session:
        with suppress(LookupError):
            all_of_them()
        assert len(kept.refs) > 1
        assert kept.alive == []


@pytest.mark.parametrize("kind", [requests.Session, PollingSession])
@pytest.mark.parametrize("script", [[DONE], [poll("/w"), Reply(500), DONE]])
def test_P9_nor_do_the_retries_of_urllib3(server: Server, kind: Any, script: list[Reply]) -> None:
    """They are left on the response."""
    kept = Kept()
    with kind() as session:
        retries = Retry(2, status_forcelist=[500])
        session.mount("http://", PollingAdapter(policy=FAST, max_retries=retries))
        server.script(*script)
        kept.end(lambda: session.get(server.url, stream=True))
    assert kept.alive == []
