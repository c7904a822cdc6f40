"""What the documentation says of services that say "not yet" in other ways than by a redirect: its
policies, against the services that they are for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from polling_adapter import (
    OutageTooLong,
    PollingAdapter,
    PollingMixin,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    WorkFailed,
    continuation_token,
)
from polling_adapter.pending import accepted, any_of, json_field
from polling_adapter.reference_server import ReferenceServer

from .conftest import mounted_adapter, polling_session
from .dialects import services
from .fake_clock import FakeClock
from .pages import TOP, run
from .server import DONE, RESET, Reply, Server
from .wire.ways import WAYS

pytestmark = pytest.mark.slow

Names = dict[str, Any]
Servers = dict[str, Server]

# Every way in which a session, a mounted adapter or a poller is the owner.
ways = pytest.mark.parametrize("way", ["session", "mounted", "begin"])


@pytest.fixture(scope="module")
def names() -> Iterator[Names]:
    """Those that the examples of two pages make."""
    with services() as servers, ReferenceServer() as reference:
        urls = {url: server.url for url, server in servers.items()}
        urls["https://example.org/start_work"] = f"{reference.url}/start_work?duration=0"
        made = [run(TOP / "docs" / page, urls) for page in ("other_ways.rst", "rate_limits.rst")]
        yield {**made[0], "github": made[1]["github"]}


@pytest.fixture
def servers() -> Iterator[Servers]:
    with services() as servers:
        yield servers


def policy_of(names: Names, name: str, clock: FakeClock) -> PollingPolicy:
    value = names[name]
    policy: PollingPolicy = PollingPolicy(pending=value) if callable(value) else value
    return policy.replace(clock=clock, jitter=0)


# The policy's name, the start, what is asked after it, and what the result is
CALLS: list[tuple[str, str, str, list[str], Any]] = [
    (
        "fhir",
        "GET https://fhir.example",
        "/Patient/$export",
        3 * ["GET /status/7"],
        lambda response: response.json()["output"][0]["type"] == "Patient",
    ),
    (
        "processes",
        "POST https://ogc.example",
        "/processes/buffer/execution",
        [*3 * ["GET /jobs/7"], "GET /jobs/7/results"],
        lambda response: response.json()["area"] == 78.5,
    ),
    (
        "azure",
        "PUT https://azure.example",
        "/machines/a?api-version=1",
        2 * ["GET /operations/7?api-version=1"],
        lambda response: response.json() == {"status": "Succeeded"},
    ),
    (
        "azure",
        "PUT https://azure.example",
        "/disks/a",
        2 * ["GET /disks/a"],
        lambda response: response.json()["size"] == 8,
    ),
    (
        "azure",
        "POST https://azure.example",
        "/machines/a/start",
        2 * ["GET /results/7"],
        lambda response: response.json() == {"size": 8},
    ),
    (
        "jobs",
        "POST https://jobs.example",
        "/sum",
        2 * ["GET /jobs/7"],
        lambda response: response.json()["sum"] == 42,
    ),
    (
        "uws",
        "POST https://tap.example",
        "/async",
        [*3 * ["GET /async/7"], "GET /async/7/results/result", "GET /files/7"],
        lambda response: response.content == b"<VOTABLE/>",
    ),
    (
        "github",
        "GET https://api.github.com",
        "/repos/psf/requests",
        2 * ["GET /repos/psf/requests"],
        lambda response: response.json()["name"] == "requests",
    ),
]


@pytest.mark.parametrize("call", CALLS, ids=[f"{call[0]} {call[2]}" for call in CALLS])
@ways
def test_each_service_is_one_call(
    names: Names, servers: Servers, clock: FakeClock, call: tuple[Any, ...], way: str
) -> None:
    name, start, path, then, is_result = call
    method, url = start.split()
    server = servers[url]
    response = WAYS[way](policy_of(names, name, clock), method, server.url + path)
    assert response.status_code == 200
    assert is_result(response)
    assert server.asked == [f"{method} {path}", *then]


FAILURES = [
    ("jobs", "POST", "https://jobs.example", "/divide", "division by zero"),
    ("azure", "DELETE", "https://azure.example", "/machines/a", "Failed"),
    ("uws", "POST", "https://tap.example", "/failing", "ERROR"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=[failure[0] for failure in FAILURES])
@ways
def test_work_that_fails(
    names: Names, servers: Servers, clock: FakeClock, failure: tuple[str, ...], way: str
) -> None:
    name, method, url, path, words = failure
    with pytest.raises(WorkFailed, match=words) as caught:
        WAYS[way](policy_of(names, name, clock), method, servers[url].url + path)
    assert caught.value.response is not None
    assert words in caught.value.response.text
    assert continuation_token(caught.value) is None


def test_what_the_page_prints(names: Names, servers: Servers, clock: FakeClock) -> None:
    assert names["why"] == "division by zero"
    server = servers["https://jobs.example"]
    policy = policy_of(names, "jobs", clock)
    with PollingSession(policy=policy) as session, pytest.raises(WorkFailed) as caught:
        session.post(f"{server.url}/divide")
    printed = str(caught.value).replace(server.url, "https://jobs.example")
    assert printed in " ".join((TOP / "docs" / "other_ways.rst").read_text().split())


def test_what_a_synchronous_answer_is(names: Names, server: Server, clock: FakeClock) -> None:
    server.script(Reply(200, {"Location": "/jobs/7"}, b'{"area": 78.5}'))
    with PollingSession(policy=policy_of(names, "processes", clock)) as session:
        assert session.post(server.url).json() == {"area": 78.5}
    assert len(server.seen) == 1


def test_a_literal_address_of_the_result(names: Names, servers: Servers, clock: FakeClock) -> None:
    """Azure's PUT ends with a status; what it has made has the address that was put to."""
    server = servers["https://azure.example"]
    then = json_field("status", **names["ends"], then="/disks/a")
    policy = policy_of(names, "azure", clock).replace(pending=any_of(names["monitor"], then))
    with PollingSession(policy=policy) as session:
        session.put(f"{server.url}/machines/a?api-version=1")
    assert server.asked[-1] == "GET /disks/a"


def test_a_job_that_was_never_told_to_run(names: Names, server: Server, clock: FakeClock) -> None:
    server.script(Reply(200, {}, b"<uws:phase>PENDING</uws:phase>"))
    policy = policy_of(names, "uws", clock)
    with PollingSession(policy=policy) as session, pytest.raises(PollingTimeout):
        session.get(server.url)


# Rate limits


@pytest.mark.parametrize("path", ["/forbidden", "/secondary"])
def test_a_refusal_that_is_none_of_a_limit(
    names: Names, servers: Servers, clock: FakeClock, path: str
) -> None:
    server = servers["https://api.github.com"]
    with PollingSession(policy=policy_of(names, "github", clock)) as session:
        assert session.get(server.url + path).status_code == 403
    assert server.asked == [f"GET {path}"]


def test_a_limit_that_is_over_too_late(names: Names, server: Server, clock: FakeClock) -> None:
    over = str(int(clock.time()) + 3000)
    date = "Tue, 14 Nov 2023 22:30:00 GMT"  # the clock's time, 1,700,001,000
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": over, "Date": date}
    server.script(Reply(403, headers), DONE)
    policy = policy_of(names, "github", clock)
    with PollingSession(policy=policy) as session:
        with pytest.raises(PollingTimeout) as caught:
            session.post(server.url, polling=policy.replace(total_timeout=2999))
        assert caught.value.continuation_token
        assert clock.slept == []
        mine = policy.replace(retry_methods={"GET"})
        server.script(Reply(403, headers), DONE)
        assert session.post(server.url, polling=mine).status_code == 403
        server.script(Reply(403, headers), DONE)
        assert session.post(server.url).content == b"done"
    assert 3000 <= sum(clock.slept) < 3001


# Why it is off by default


def test_an_upload_to_a_registry(servers: Servers, clock: FakeClock) -> None:
    server = servers["https://registry.example"]
    start, told = f"{server.url}/v2/image/blobs/uploads/", "/v2/image/blobs/uploads/7"
    with PollingSession() as session:
        assert session.post(start).headers["Location"] == told
        policy = PollingPolicy(pending=accepted, clock=clock)
        lost = session.post(start, polling=policy)
        assert (lost.status_code, "Location" in lost.headers) == (204, False)
        deleted = session.delete(f"{server.url}/v2/image/manifests/7", polling=policy)
        assert deleted.status_code == 202
    assert server.asked[-1].startswith("DELETE")


# A 500, and results that are given once

POLICY = PollingPolicy(pending=accepted, jitter=0, min_wait=0, backoff_factor=0.001)
both = pytest.mark.parametrize("connect", [polling_session, mounted_adapter], indirect=True)


@both
def test_a_500_is_asked_for_five_times(server: Server, connect: Any) -> None:
    server.script(Reply(202, {"Location": "/w"}), Reply(500, {}, b"why"))
    with connect(POLICY) as session:
        response = session.post(server.url)
    assert (response.status_code, response.content) == (500, b"why")
    assert server.asked == ["POST /", *5 * ["GET /w"]]


def cut() -> Iterator[bytes]:
    yield b"the resu"
    raise ConnectionError


CUT = Reply(200, {}, cut)


@both
@pytest.mark.parametrize("lost", [CUT, RESET, Reply(502)], ids=["cut", "reset", "502"])
def test_a_result_that_was_given_once(server: Server, connect: Any, lost: Reply) -> None:
    server.script(Reply(202, {"Location": "/w"}), lost, Reply(404))
    with connect(POLICY) as session:
        response = session.post(server.url)
    assert response.status_code == 404
    assert continuation_token(response)
    assert server.asked == ["POST /", "GET /w", "GET /w"]


@both
@pytest.mark.parametrize("lost", [CUT, RESET, Reply(502)], ids=["cut", "reset", "502"])
def test_no_failed_poll_is_asked_again(server: Server, connect: Any, lost: Reply) -> None:
    server.script(Reply(202, {"Location": "/w"}), lost, Reply(404))
    ended: Any
    with connect(POLICY.replace(poll_failures=0)) as session:
        if lost.status == 502:
            ended = session.post(server.url)
            assert ended.status_code == 502
        else:
            with pytest.raises(OutageTooLong) as caught:
                session.post(server.url)
            ended = caught.value
    assert continuation_token(ended)
    assert server.asked == ["POST /", "GET /w"]


# Prefer, mounted, begun, resumed


@ways
def test_prefer_is_sent_with_the_polls(server: Server, way: str) -> None:
    server.script(Reply(202, {"Location": "/w"}), DONE)
    WAYS[way](POLICY, "POST", server.url, headers={"Prefer": "respond-async"})
    assert [seen.headers["Prefer"] for seen in server.seen] == 2 * ["respond-async"]


@pytest.mark.parametrize(
    ("way", "status"), [("session", 202), ("mixed", 202), ("mounted", 200), ("begin", 200)]
)
def test_where_redirects_are_not_followed(server: Server, way: str, status: int) -> None:
    server.script(Reply(202, {"Location": "/w"}), DONE)
    response = WAYS[way](POLICY, "POST", server.url, allow_redirects=False)
    assert response.status_code == status
    assert (response.next is None) == (status == 200)


@pytest.mark.parametrize(
    ("way", "status"), [("session", 200), ("mixed", 200), ("mounted", 202), ("begin", 200)]
)
def test_what_leads_to_another_origin(
    server: Server, elsewhere: Server, way: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.script(Reply(202, {"Location": f"{elsewhere.url}/w"}))
    with caplog.at_level(logging.WARNING):
        response = WAYS[way](POLICY, "GET", server.url, headers={"Authorization": "secret"})
    assert response.status_code == status
    assert ("leads to" in caplog.text) == (status == 202)
    assert (continuation_token(response) is None) == (status == 200)
    assert ["Authorization" in seen.headers for seen in elsewhere.seen] == (
        [] if status == 202 else [False]
    )


@pytest.mark.parametrize(("way", "history"), [("session", [202]), ("mounted", []), ("begin", [])])
def test_the_history_of_each(server: Server, way: str, history: list[int]) -> None:
    server.script(Reply(202, {"Location": "/w"}), DONE)
    response = WAYS[way](POLICY, "POST", server.url)
    assert [hop.status_code for hop in response.history] == history


def test_below_a_session_that_polls_it_decides(server: Server) -> None:
    server.script(Reply(202, {"Location": "/w"}), DONE)
    with PollingSession() as session:
        session.mount("http://", PollingAdapter(policy=POLICY))
        assert session.post(server.url).status_code == 202


def test_a_200_that_a_cache_keeps(server: Server) -> None:
    keeps: Any = pytest.importorskip("requests_cache").CacheMixin

    class CachedSession(PollingMixin, keeps, requests.Session):
        pass

    server.script(*2 * [Reply(200, {}, b'{"status": "running"}')], Reply(200, {}, b"{}"))
    policy = POLICY.replace(pending=json_field("status", "running"))
    with CachedSession(backend="memory", policy=policy) as session:
        assert session.get(server.url).json() == {}
    assert len(server.seen) == 3


@ways
def test_an_error_of_the_predicate(server: Server, way: str) -> None:
    """Has a token, if the answer says where to go on."""

    def wrong(response: requests.Response) -> bool:
        return bool(response.json()["state"])

    server.script(Reply(202, {"Location": "/w"}, b"{}"))
    with pytest.raises(KeyError) as caught:
        WAYS[way](POLICY.replace(pending=wrong), "POST", server.url)
    assert continuation_token(caught.value)
    server.script(Reply(200, {}, b"{}"))
    with pytest.raises(KeyError) as caught:
        WAYS[way](POLICY.replace(pending=wrong), "POST", server.url)
    assert continuation_token(caught.value) is None
