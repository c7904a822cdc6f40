"""Other libraries that extend requests, each with both features at work, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from io import BytesIO
from typing import Any

import pytest
import requests
from cachecontrol import CacheControlAdapter
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from requests.auth import HTTPDigestAuth
from requests.exceptions import UnrewindableBodyError
from requests_cache import CacheMixin
from requests_futures.sessions import FuturesSession
from requests_oauthlib import OAuth1, OAuth1Session
from requests_ratelimiter import LimiterAdapter, LimiterMixin
from requests_toolbelt import MultipartEncoder, SourceAddressAdapter
from requests_toolbelt.sessions import BaseUrlSession

from polling_adapter import (
    PollingAdapterMixin,
    PollingMixin,
    PollingPolicy,
    PollingSession,
    TooManyPolls,
    as_completed,
)
from polling_adapter.pending import accepted

from .conftest import Open
from .server import DONE, RESET, Reply, Seen, Server, again, poll

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


def mounted(adapter: requests.adapters.HTTPAdapter) -> requests.Session:
    session = requests.Session()
    session.mount("http://", adapter)
    return session


# requests-cache


class CachedPollingSession(PollingMixin, CacheMixin, requests.Session):  # type: ignore[misc]
    pass


def test_requests_cache_keeps_a_result_and_never_a_poll(server: Server) -> None:
    server.script(poll("/work"), poll("/work"), again(), poll("/work"), DONE, Reply(500))
    with CachedPollingSession(backend="memory", policy=FAST) as session:
        response = session.post(f"{server.url}/start")
        assert (response.text, len(server.seen)) == ("done", 5)
        kept = session.get(f"{server.url}/work")
        assert (kept.text, kept.from_cache, len(server.seen)) == ("done", True, 5)


@pytest.mark.parametrize("status", [202, 302, 303, 307])
@pytest.mark.parametrize("ask", ["get", "begin", "tokens"])
def test_requests_cache_that_keeps_what_asks_to_wait(server: Server, status: int, ask: str) -> None:
    server.script(*[poll("/", status=status)] * 3, DONE)
    policy = FAST.replace(pending=accepted)
    with CachedPollingSession(
        backend="memory", policy=policy, allowable_codes=(200, status)
    ) as session:
        if ask == "get":
            response = session.get(server.url)
        else:
            poller = session.begin("GET", server.url)
            while ask == "tokens" and not poller.done():
                poller = session.resume(poller.continuation_token())
                poller.poll()
            response = poller.result()
        assert response.text == "done"
    assert server.asked == ["GET /"] * 4


def test_requests_cache_with_another_policy_for_one_call(server: Server) -> None:
    server.script(poll("/work"))
    with CachedPollingSession(backend="memory") as session, pytest.raises(TooManyPolls):
        session.get(server.url, polling=FAST.replace(max_polls=3), expire_after=60)


# CacheControl


class CacheControlPollingAdapter(PollingAdapterMixin, CacheControlAdapter):
    pass


@pytest.mark.parametrize("status", [301, 303, 308])
@pytest.mark.parametrize("kind", [PollingSession, requests.Session])
def test_cachecontrol_keeps_a_result_and_never_a_poll(
    server: Server, kind: type[requests.Session], status: int
) -> None:
    """It takes 301 and 308 for permanent: polls of one URL would go round in the cache."""
    kept = Reply(200, {"Cache-Control": "max-age=60"}, b"done")
    server.script(*[poll("/work", status=status)] * 5, kept, Reply(500))
    with kind() as session:
        session.mount("http://", CacheControlPollingAdapter(policy=FAST))
        assert session.get(f"{server.url}/work").text == "done"
        assert len(server.seen) == 6
        response = session.get(f"{server.url}/work")
        assert (response.text, len(server.seen)) == ("done", 6)


# requests-ratelimiter


class LimitedPollingSession(PollingMixin, LimiterMixin, requests.Session):  # type: ignore[misc]
    pass


class LimitedPollingAdapter(PollingAdapterMixin, LimiterAdapter):  # type: ignore[misc]
    pass


def limited_session() -> requests.Session:
    return LimitedPollingSession(per_second=2, policy=FAST)


def limited_adapter() -> requests.Session:
    return mounted(LimitedPollingAdapter(per_second=2, policy=FAST))


@pytest.mark.parametrize("limited", [limited_session, limited_adapter])
def test_requests_ratelimiter_counts_polls(server: Server, limited: Any) -> None:
    server.script(poll("/work"), poll("/work"), DONE)
    with limited() as session:
        assert session.get(server.url).text == "done"
    first, _, third = (seen.at for seen in server.seen)
    assert third - first >= 0.9


# requests-toolbelt


class ServiceSession(PollingMixin, BaseUrlSession):  # type: ignore[misc]
    pass


def test_toolbelt_base_url(server: Server) -> None:
    server.script(poll("work"), poll("work"), DONE)
    with ServiceSession(base_url=f"{server.url}/api/", policy=FAST) as session:
        assert session.post("start").text == "done"
    assert server.asked == ["POST /api/start", "GET /api/work", "GET /api/work"]


def test_toolbelt_streamed_multipart(server: Server, connect: Open) -> None:
    def form() -> dict[str, Any]:
        encoder = MultipartEncoder({"file": ("name", BytesIO(b"content"), "text/plain")})
        return {"data": encoder, "headers": {"Content-Type": encoder.content_type}}

    server.script(poll("/work"), poll("/work"), DONE)
    assert connect(FAST).post(server.url, **form()).text == "done"
    assert b"content" in server.seen[0].body
    server.script(again())
    with pytest.raises(UnrewindableBodyError, match="cannot be rewound"):
        connect(FAST).post(server.url, **form())


def test_toolbelt_source_address(server: Server) -> None:
    class Both(PollingAdapterMixin, SourceAddressAdapter):  # type: ignore[misc]
        pass

    server.script(poll("/work"), poll("/work"), DONE)
    adapter = Both("127.0.0.1", policy=FAST)
    with mounted(adapter) as session:
        assert session.get(server.url).text == "done"
    assert adapter.source_address == ("127.0.0.1", 0)


# requests-futures


class FuturePollingSession(PollingMixin, FuturesSession):  # type: ignore[misc]
    pass


def mixed_into_futures() -> FuturesSession:
    return FuturePollingSession(policy=FAST)


def wrapped_in_futures() -> FuturesSession:
    return FuturesSession(session=PollingSession(policy=FAST))


@pytest.mark.parametrize("futures", [mixed_into_futures, wrapped_in_futures])
def test_requests_futures(server: Server, futures: Any) -> None:
    server.script(poll("/work"), poll("/work"), DONE)
    with futures() as session:
        assert session.post(server.url).result().text == "done"
        server.script(poll("/work"))
        refused = session.get(server.url, polling=FAST.replace(max_polls=2))
        with pytest.raises(TooManyPolls, match="max_polls=2"):
            refused.result()


def test_requests_futures_begins_a_job(server: Server) -> None:
    """Its request() promises the response; whoever begins a job waits for the first."""
    server.script(poll("/w/1"), poll("/w/2"), DONE)
    with FuturePollingSession(policy=FAST) as session:
        poller = session.begin("POST", f"{server.url}/start")
        assert (poller.url, poller.done()) == (f"{server.url}/w/1", False)
        assert session.resume(poller.continuation_token()).result().text == "done"
        assert poller.result().text == "done"
        assert server.asked[:2] == ["POST /start", "GET /w/1"]
        server.script(poll("/w"))
        jobs = [session.submit("POST", server.url, polling=FAST.replace(max_polls=2))] * 2
        assert [type(job.exception()) for job in as_completed(jobs)] == [TooManyPolls]
        server.script(RESET)
        with pytest.raises(requests.ConnectionError):
            session.begin("POST", f"{server.url}/unanswered")
    assert server.asked.count("POST /unanswered") == 1


def test_P6_requests_futures_begins_nothing_twice(server: Server) -> None:
    """What waits for a thread is not sent where whoever waits for it is interrupted."""

    class CtrlC(BaseException):
        pass

    class Interrupted(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            raise CtrlC

    waiting = Interrupted()

    class Busy(FuturePollingSession):
        def request(self, *args: Any, **kwargs: Any) -> Any:
            return waiting

    with Busy(policy=FAST) as session, pytest.raises(CtrlC):
        session.begin("POST", server.url)
    assert waiting.cancelled()
    assert server.asked == []


# authentication


def test_requests_oauthlib_signs_each_poll_anew(server: Server) -> None:
    class Both(PollingMixin, OAuth1Session):  # type: ignore[misc]
        pass

    server.script(poll("/work/1"), poll("/work/2"), DONE)
    with Both("key", client_secret="secret", policy=FAST) as session:
        assert session.post(server.url).text == "done"
    signatures = [seen.headers["Authorization"] for seen in server.seen]
    assert all(signature.startswith("OAuth ") for signature in signatures)
    assert len(set(signatures)) == 3


def test_requests_oauthlib_as_auth(server: Server, connect: Open) -> None:
    server.script(poll("/work"), poll("/work"), DONE)
    assert connect(FAST).get(server.url, auth=OAuth1("key", "secret")).text == "done"


def test_digest_auth_answers_the_challenge_of_each_url(server: Server, connect: Open) -> None:
    challenge = Reply(401, {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
    polls = [poll(f"/work/{n}") for n in range(5)]
    remaining: Iterator[Reply] = iter([*polls, DONE])

    def answer(seen: Seen) -> Reply:
        signed = f'uri="{seen.path}"' in seen.headers.get("Authorization", "")
        return next(remaining) if signed else challenge

    server.answer = answer
    response = connect(FAST).get(server.url, auth=HTTPDigestAuth("user", "secret"))
    assert response.text == "done"


# OpenTelemetry


def test_opentelemetry_has_a_span_for_the_call(server: Server) -> None:
    """As it has one for a call with redirects; each request tells it to the server."""
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    RequestsInstrumentor().instrument(tracer_provider=provider)
    try:
        server.script(poll("/work"), poll("/work"), DONE)
        with PollingSession(policy=FAST) as session:
            assert session.post(server.url).text == "done"
    finally:
        RequestsInstrumentor().uninstrument()
    (span,) = spans.get_finished_spans()
    assert span.name == "POST"
    assert span.attributes is not None
    assert 200 in span.attributes.values()
    assert all("traceparent" in seen.headers for seen in server.seen)
