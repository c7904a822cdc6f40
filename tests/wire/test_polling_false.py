"""``polling=False`` is requests, to the letter (P7)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from urllib3 import Retry

from polling_adapter import PollingAdapter, PollingMixin, PollingPolicy, PollingSession

from ..conftest import MixedSession
from ..server import RESET, Reply, Server
from .alike import cookies, record

#: One that would end any call, if it counted.
STRICT = PollingPolicy(total_timeout=0.01, max_polls=0, retry_after_max=0, min_wait=0)
DATE = {"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}
END = Reply(200, DATE, b"done")


def to(location: str, body: bytes = b"", **headers: str) -> Reply:
    return Reply(303, {**DATE, "Location": location, **headers}, body)


def poll(location: str) -> Reply:
    return to(location, b"not yet", **{"Retry-After": "0", "Set-Cookie": "a=1; Path=/"})


def status(code: int, **headers: str) -> Reply:
    return Reply(code, {**DATE, **{k.replace("_", "-"): v for k, v in headers.items()}}, b"no")


SCRIPTS = {
    "200": [END],
    "429, Retry-After: 0": [status(429, Retry_After="0", Set_Cookie="a=1"), END],
    "503": [status(503), END],
    "500 three times": [status(500)] * 3 + [END],
    "500 for ever": [status(500)],
    "polls": [poll("/w")] * 3 + [END],
    "31 polls": [poll("/w")],
    "poll, 502": [poll("/w"), status(502), END],
    "poll, 429": [poll("/w"), status(429, Retry_After="0"), END],
    "poll, no answer": [poll("/w"), RESET],
    "no answer": [RESET],
    "redirects": [to("/a", b"y" * 70_000), to("/b"), END],
    "nowhere": [to("ftp://127.0.0.1/x")],
    "unreadable": [to("http://[")],
    "no text": [to("/\xff\xfe")],
    "empty": [to("")],
    "a poll that leads nowhere": [poll("ftp://127.0.0.1/x")],
}
RETRIES: dict[str, Callable[[], Any]] = {
    "none": lambda: 0,
    "a number": lambda: 2,
    "statuses": lambda: Retry(3, status_forcelist=[500], backoff_factor=0.02),
    "raises nothing": lambda: Retry(2, status_forcelist=[500], raise_on_status=False),
    "redirects": lambda: Retry(2, redirect=0, respect_retry_after_header=False),
}


@pytest.mark.parametrize("method", ["GET", "POST"])  # urllib3 repeats none that may start work
@pytest.mark.parametrize("retries", RETRIES)
@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_P7_the_same_comes_of_every_script(
    server: Server, kind: Callable[..., PollingMixin], retries: str, method: str
) -> None:
    for name, script in SCRIPTS.items():
        found = []
        for ours in (False, True):
            session: Any = kind(policy=STRICT) if ours else requests.Session()
            adapter = PollingAdapter if ours and kind is PollingSession else HTTPAdapter
            session.mount("http://", adapter(max_retries=RETRIES[retries]()))
            with session:
                server.script(*script)
                options = {"polling": False} if ours else {}
                call = partial(session.request, method, server.url, **options)
                found.append((record(server, call), cookies(session)))
        assert found[1] == found[0], name


@pytest.mark.parametrize(
    "options",
    [
        {"allow_redirects": False},
        {"stream": True},
        {"auth": HTTPDigestAuth("user", "secret")},
        {"timeout": (3, 4)},
        {"hooks": {"response": lambda response, **_: None}},
    ],
    ids=["allow_redirects", "stream", "auth", "timeout", "hooks"],
)
@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_P7_with_the_arguments_of_requests(
    server: Server, kind: Callable[..., PollingMixin], options: dict[str, Any]
) -> None:
    with requests.Session() as stock, kind(policy=STRICT) as session:
        for name, script in SCRIPTS.items():
            found = []
            for one, more in ((stock, {}), (session, {"polling": False})):
                server.script(*script)
                found.append(record(server, lambda: one.get(server.url, **options, **more)))  # noqa: B023
            assert found[1] == found[0], name


@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_P7_hooks_see_every_answer(server: Server, kind: Callable[..., PollingMixin]) -> None:
    seen: list[int] = []

    def hook(response: requests.Response, **_: Any) -> None:
        seen.append(response.status_code)

    with requests.Session() as stock, kind(policy=STRICT) as session:
        for script in SCRIPTS.values():
            results = []
            for one, more in ((stock, {}), (session, {"polling": False})):
                seen.clear()
                server.script(*script)
                hooks: Any = {"response": hook}
                record(server, lambda: one.get(server.url, hooks=hooks, **more))  # noqa: B023
                results.append(list(seen))
            assert results[0] == results[1]


class Probing(HTTPAdapter):
    """What the session gives to an adapter."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[dict[str, Any]] = []

    def send(self, request: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        self.given.append({**kwargs, "url": request.url})
        return super().send(request, **kwargs)


@pytest.mark.parametrize("options", [{}, {"timeout": 5}, {"timeout": (3, 4)}, {"stream": True}])
@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_P7_adapters_get_what_requests_gives_them(
    server: Server, kind: Callable[..., PollingMixin], options: dict[str, Any]
) -> None:
    """No timeout of ours among it."""
    given = []
    with requests.Session() as stock, kind(policy=STRICT) as session:
        for one, more in ((stock, {}), (session, {"polling": False})):
            server.script(poll("/w"), status(429, Retry_After="0"), END)
            probing = Probing()
            one.mount("http://", probing)
            one.get(server.url, **options, **more).close()
            given.append(probing.given)
    assert given[1] == given[0]


@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_P7_a_prepared_request(server: Server, kind: Callable[..., PollingMixin]) -> None:
    with requests.Session() as stock, kind(policy=STRICT) as session:
        for script, allow in itertools.product(SCRIPTS.values(), (True, False)):
            found = []
            for one, more in ((stock, {}), (session, {"polling": False})):
                server.script(*script)
                request = one.prepare_request(requests.Request("PUT", server.url, data=b"body"))
                found.append(
                    record(server, lambda: one.send(request, allow_redirects=allow, **more))  # noqa: B023
                )
            assert found[1] == found[0]


@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_P7_the_callers_request_is_that_of_the_response(
    server: Server, kind: Callable[..., PollingMixin]
) -> None:
    with kind(policy=STRICT) as session:
        for script in ([END], [poll("/w"), END]):
            server.script(*script)
            request = session.prepare_request(requests.Request("PUT", server.url, data=b"body"))
            response = session.send(request, polling=False)
            assert [*response.history, response][0].request is request


@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_P7_its_errors_are_bare(server: Server, kind: Callable[..., PollingMixin]) -> None:
    """Nothing of ours is in them."""
    with requests.Session() as stock, kind(policy=STRICT) as session:
        for name in ("31 polls", "no answer", "poll, no answer", "nowhere", "unreadable"):
            found = []
            for one, more in ((stock, {}), (session, {"polling": False})):
                server.script(*SCRIPTS[name])
                with pytest.raises(Exception) as caught:  # noqa: PT011
                    one.get(server.url, **more)
                error = caught.value
                found.append((sorted(vars(error)), getattr(error, "__notes__", None)))
            assert found[0] == found[1], name


@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_P7_by_hand_it_is_requests_too(server: Server, kind: Callable[..., PollingMixin]) -> None:
    with requests.Session() as stock, kind(policy=STRICT) as session:
        found = []
        for one, more in ((stock, {}), (session, {"polling": False})):
            server.script(to("/a"), to("/b"), END)
            response = one.get(server.url, allow_redirects=False, **more)
            hops = []
            while response.next is not None:
                hops.append(response.next.url)
                response = one.send(response.next, allow_redirects=False, **more)
            found.append((hops, response.text))
        assert found[0] == found[1]


@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_it_is_for_one_call(server: Server, kind: Callable[..., PollingMixin]) -> None:
    """What it leaves behind is polled again, by whoever sends it."""
    policy = PollingPolicy(min_wait=0, jitter=0)
    with kind(policy=policy) as session, requests.Session() as plain:
        plain.mount("http://", PollingAdapter(policy=policy))
        for other in (session, plain):
            for name in ("next", "request"):
                server.script(*[poll("/w")] * 3, END)
                response = session.get(server.url, polling=False, allow_redirects=False)
                assert other.send(getattr(response, name)).text == "done"
