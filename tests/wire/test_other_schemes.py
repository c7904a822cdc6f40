"""Over an adapter that has a scheme of its own, as docker-py's ``http+docker://``: a token holds
addresses by http and https only, and what is said of the others is true (P6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from polling_adapter import (
    PollingAdapterMixin,
    PollingError,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    continuation_token,
)

from ..fake_clock import FakeClock
from .test_mounted import Memory

HOST = "http+docker://localhost"
FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)
ENDS = "; there is no continuation token, as one holds http:// and https:// addresses only"

DONE: Any = (200, {})
RESET: Any = requests.ConnectionError


class Daemon(Memory):
    """What is no answer says what is raised in its place."""

    def send(self, request: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        fails: Any = self.replies[0]
        if callable(fails):
            raise fails()
        return super().send(request, **kwargs)


class PollingDaemon(PollingAdapterMixin, Daemon):
    pass


def poll(seconds: str, location: str = f"{HOST}/w") -> Any:
    return 303, {"Location": location, "Retry-After": seconds}


def again(seconds: str) -> Any:
    return 429, {"Retry-After": seconds}


def polling_session(policy: PollingPolicy, *replies: Any) -> PollingSession:
    session, daemon = PollingSession(policy=policy), Daemon()
    daemon.replies = list(replies)
    session.mount("http+docker://", daemon)
    session.mount("http://", daemon)
    return session


def mounted_adapter(policy: PollingPolicy, *replies: Any) -> requests.Session:
    session, daemon = requests.Session(), PollingDaemon(policy=policy)
    daemon.replies = list(replies)
    session.mount("http+docker://", daemon)
    return session


Open = Callable[..., requests.Session]

ways = pytest.mark.parametrize("connect", [polling_session, mounted_adapter])

LIMITS: dict[str, tuple[dict[str, Any], list[Any], str]] = {
    "one wait is too long": ({"total_timeout": 10}, [poll("60")], "GET {}/w"),
    "total_timeout": ({"total_timeout": 10}, [poll("6"), poll("6")], "GET {}/w"),
    "max_polls": ({"max_polls": 1}, [poll("1"), poll("1")], "GET {}/w"),
    "retry_after_max": ({"retry_after_max": 10}, [poll("60")], "GET {}/w"),
    "outage_max": ({"poll_failures": 0}, [poll("1"), RESET], "GET {}/w"),
    "refused": ({"total_timeout": 10}, [again("60")], "{} {}/start"),
}


@ways
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit(connect: Open, clock: FakeClock, limit: str, method: str) -> None:
    limits, replies, what = LIMITS[limit]
    with connect(FAST.replace(clock=clock, **limits), *replies) as session:
        with pytest.raises(PollingError) as caught:
            session.request(method, f"{HOST}/start")
        what = what.format(*[method, HOST] if limit == "refused" else [HOST])
        assert str(caught.value).endswith(f"; it goes on with {what}{ENDS}")
        assert caught.value.continuation_token is None
        assert caught.value.url == what.split()[1]


@ways
def test_a_start_that_was_not_answered(connect: Open, clock: FakeClock) -> None:
    """Of that alone it is unknown."""

    def silent() -> Exception:
        clock.now += 20
        return requests.ReadTimeout("no answer")

    with (
        connect(FAST.replace(clock=clock, total_timeout=10), silent) as session,
        pytest.raises(PollingTimeout, match="unknown whether the work has begun"),
    ):
        session.post(f"{HOST}/start")


@ways
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_no_limit(connect: Open, clock: FakeClock, method: str) -> None:
    def boom(_: object) -> None:
        raise ValueError("own")

    with connect(FAST.replace(clock=clock), poll("1"), (404, {})) as session:
        assert continuation_token(session.request(method, f"{HOST}/start")) is None
    with connect(FAST.replace(clock=clock, on_wait=boom), poll("1")) as session:
        with pytest.raises(ValueError, match="own") as caught:
            session.request(method, f"{HOST}/start")
        assert continuation_token(caught.value) is None
        assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_poller(clock: FakeClock, method: str) -> None:
    policy = FAST.replace(clock=clock)
    with polling_session(policy, poll("5"), poll("5"), DONE) as session:
        poller = session.submit(method, f"{HOST}/start")
        for path in ("start", "w"):
            assert poller.url == f"{HOST}/{path}"
            with pytest.raises(ValueError, match="named no http:// or https:// address"):
                poller.continuation_token()
            poller.poll()
            with pytest.raises(PollingTimeout, match=r"http\+docker://localhost/w is due in 5"):
                poller.result(timeout=0)
            clock.now += 5
        assert poller.result().status_code == 200


def test_where_it_leads_to_another_scheme(clock: FakeClock) -> None:
    """The token would say where the job began, too."""
    policy = FAST.replace(clock=clock)
    with polling_session(policy, poll("99999", "http://host.test/w")) as session:
        with pytest.raises(PollingError) as caught:
            session.post(f"{HOST}/start")
        assert str(caught.value).endswith(f"; it goes on with GET http://host.test/w{ENDS}")
    with polling_session(policy, poll("1", "http://host.test/w"), poll("99999")) as session:
        with pytest.raises(PollingError, match="resume with GET http://host.test/w: ") as caught:
            session.post("http://host.test/start")
        assert session.resume(caught.value.continuation_token or "").url == "http://host.test/w"
