"""What the documentation says of credentials that expire in mid-job, against a service that looks
at those of each request."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import requests

from polling_adapter import PollingPolicy, PollingSession, as_completed

from .dialects import Guarded, services
from .fake_clock import FakeClock
from .pages import TOP, run
from .server import DONE, Reply, Seen, Server, poll
from .wire.ways import WAYS, Way

pytest.importorskip("requests_oauthlib")

TWENTY_MINUTES = 1200.0


class Page(NamedTuple):
    """The names that the page's examples have made, and the services that they know."""

    names: dict[str, Any]
    servers: dict[str, Server]

    def guarded(self, clock: FakeClock, url: str = "https://login.example") -> tuple[Guarded, str]:
        """The service at ``url``, by ``clock``."""
        service = Guarded(clock.monotonic, clock.time, TWENTY_MINUTES, 30)
        self.servers[url].seen.clear()
        self.servers[url].answer = service
        return service, f"{self.servers[url].url}/start"

    def bearer(self, clock: FakeClock) -> tuple[Guarded, str, Any]:
        service, url = self.guarded(clock)
        return service, url, self.names["Bearer"](self.names["fetch"], clock.monotonic)

    def oauth(self, clock: FakeClock) -> tuple[Guarded, str, Any]:
        service, url = self.guarded(clock)
        self.names["oauth"].token = {"refresh_token": "first", "expires_at": 0}
        return service, url, self.names["renewed"]

    def signed(self, clock: FakeClock) -> tuple[Guarded, str, Any]:
        service, url = self.guarded(clock, "https://signed.example")
        return service, url, self.names["Signed"]("me", b"secret", clock.time)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with services() as servers, pytest.MonkeyPatch.context() as patched:
        patched.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
        urls = {url: server.url for url, server in servers.items()}
        yield Page(run(TOP / "docs" / "credentials.rst", urls), servers)


KINDS: dict[str, Callable[[Page, FakeClock], tuple[Guarded, str, Any]]] = {
    "bearer": Page.bearer,
    "oauth": Page.oauth,
    "signed": Page.signed,
}


@pytest.fixture(autouse=True)
def _wall(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """oauthlib knows no other clock."""
    monkeypatch.setattr(time, "time", clock.time)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_a_job_of_twenty_minutes_outlives_its_credentials(
    page: Page, clock: FakeClock, kind: str, way: str
) -> None:
    service, url, auth = KINDS[kind](page, clock)
    began, policy = clock.now, PollingPolicy(clock=clock, jitter=0, before_poll=auth)
    response = WAYS[way](policy, "POST", url, json={"a": 1}, auth=auth)
    assert response.json() == {"answer": 42}
    assert clock.now - began == TWENTY_MINUTES
    assert service.refused == 0
    assert service.issued == (0 if kind == "signed" else 5)


@pytest.mark.parametrize("kind", KINDS)
def test_without_it_they_expire(page: Page, clock: FakeClock, kind: str) -> None:
    _, url, auth = KINDS[kind](page, clock)
    with PollingSession(policy=PollingPolicy(clock=clock, jitter=0)) as session:
        session.auth = auth
        assert session.post(url, json={"a": 1}).status_code == 401


def test_failed_polls_are_signed_anew(page: Page, clock: FakeClock) -> None:
    service, url, auth = page.signed(clock)
    server = page.servers["https://signed.example"]
    policy = PollingPolicy(
        clock=clock, jitter=0, before_poll=auth, outage_max=None, backoff_factor=1
    )

    def answer(seen: Seen) -> Reply:
        reply = service(seen)  # which counts what it refuses
        return Reply(502) if 300 < clock.now - began < 900 else reply

    began, server.answer = clock.now, answer
    with PollingSession(policy=policy) as session:
        assert session.post(url, auth=auth).json() == {"answer": 42}
    signatures = [seen.headers["Authorization"] for seen in server.seen]
    assert len(set(signatures)) == len(signatures) > 20
    assert service.refused == 0


def test_a_token_to_renew_with_is_used_once(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """By as many threads as there are."""
    monkeypatch.undo()
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    service = Guarded(duration=0.5, good_for=60)  # so that each request renews it
    login = page.servers["https://login.example"]
    login.answer = service
    page.names["oauth"].token = {"refresh_token": "first", "expires_at": 0}
    renewed = page.names["renewed"]
    with PollingSession(policy=PollingPolicy(before_poll=renewed)) as session:
        started = (session.submit("POST", f"{login.url}/start", auth=renewed) for _ in range(8))
        answers = [poller.result().json() for poller in as_completed(started, max_workers=8)]
    assert answers == 8 * [{"answer": 42}]
    assert service.refused == 0
    assert service.issued > 8


def test_a_signer_that_keeps_the_date(page: Page, clock: FakeClock) -> None:
    """As that of requests-aws4auth does, of which the page warns."""
    _, url, auth = page.signed(clock)

    def keeps(request: requests.PreparedRequest) -> requests.PreparedRequest:
        date = request.headers.get("X-Date")
        then = time.mktime(time.strptime(date, "%Y%m%dT%H%M%SZ")) - time.timezone if date else None
        signer = auth if then is None else page.names["Signed"]("me", b"secret", lambda: then)
        signed: requests.PreparedRequest = signer(request)
        return signed

    def anew(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.pop("X-Date", None)
        return keeps(request)

    policy = PollingPolicy(clock=clock, jitter=0)
    with PollingSession() as session:
        for before_poll, status in ((keeps, 401), (anew, 200)):
            used = policy.replace(before_poll=before_poll)
            assert session.post(url, auth=auth, polling=used).status_code == status


@pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("trouble", [Reply(502), Reply(503, {"Retry-After": "0"}), None])
def test_digest_credentials_are_used_once(page: Page, ask: Way, trouble: Reply | None) -> None:
    """By a server that checks their count."""
    replies = iter([poll("/job"), poll("/job"), trouble or poll("/job"), poll("/job"), DONE])
    used: set[str] = set()

    def answer(seen: Seen) -> Reply:
        given = re.search("nc=[0-9a-f]*", seen.headers.get("Authorization", ""))
        if given is None or given[0] in used:
            return Reply(401, {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
        used.add(given[0])
        return next(replies)

    server = page.servers["https://digest.example"]
    server.answer = answer
    digest = requests.auth.HTTPDigestAuth("me", "secret")
    policy = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0, before_poll=digest)
    response = ask(policy, "POST", f"{server.url}/start", auth=digest)
    assert response.text == "done"


def test_a_401_has_a_token_that_takes_other_credentials(page: Page) -> None:
    basic = page.servers["https://basic.example"]
    assert page.names["response"].json() == {"answer": 42}
    assert basic.asked == ["POST /start", "GET /work", "GET /work"]
    sent = [seen.headers["Authorization"] for seen in basic.seen]
    assert sent[0] == sent[1] != sent[2]
