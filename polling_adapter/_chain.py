"""What an adapter can know of the redirects that a session above it follows.

An adapter sees single requests. PreparedRequest.copy() shares the hooks of its original, and
requests builds each redirect with it, while a request made anew has hooks of its own: so a request
that follows a redirect can be told from one that merely asks for the same URL, and the redirects
that await their follower are kept with the hooks, not on the adapter.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.sessions import SessionRedirectMixin

from ._call import Call
from ._poll import Due

# Of the redirects that nobody has followed yet, so many are remembered: one PreparedRequest may be
# sent over and over without its redirects being followed.
_PENDING = 64

# Of the polls below one hop of the session, so many are kept in the history, the newest.
_HISTORY = 30

_PORTS = {"http": 80, "https": 443}

_making = threading.Lock()


class Redirect:
    """A redirect that was handed to the caller, who may or may not follow it to ``url``."""

    def __init__(
        self,
        request: requests.PreparedRequest,
        response: requests.Response,
        url: str | None,
        due: Due | None,
        call: Call,
    ) -> None:
        self.request = request
        self.response = response
        self.url = url
        self.due = due
        self.call = call
        self.thread = threading.get_ident()

    @property
    def at(self) -> float:
        return 0.0 if self.due is None else self.due.at

    def wait(self, call: Call, request: requests.PreparedRequest) -> None:
        """Wait in ``call`` before ``request`` follows it.

        :raises PollingError: a cap of the policy is reached.
        """
        if self.due is not None:
            call.wait(self.due, request, self.response)


class Chain(dict[str, Any]):
    """The hooks of a request, which all copies of it share, and the redirects they may follow."""

    __slots__ = ("_pending",)

    def __init__(self, hooks: dict[str, Any]) -> None:
        super().__init__(hooks)
        # Threads share it, but none holds a lock: each step on a list is whole.
        self._pending: list[Redirect] = []

    @classmethod
    def of(cls, request: requests.PreparedRequest) -> Chain:
        if not isinstance(request.hooks, Chain):
            with _making:  # threads that share the request share one chain
                if not isinstance(request.hooks, Chain):
                    request.hooks = cls(request.hooks)
        return request.hooks

    def remember(self, redirect: Redirect) -> None:
        self._pending.append(redirect)
        del self._pending[:-_PENDING]

    def followed_by(self, request: requests.PreparedRequest) -> Redirect | None:
        """The redirect that ``request`` follows."""
        if not self._pending:
            return None
        here = threading.get_ident()
        pending = self._pending.copy()
        led_here = [one for one in pending if one.url == request.url]
        # A session may rewrite the URL it is sent to; a request like the first begins anew.
        rewritten = [
            one for one in pending if one.thread == here and one.request.url != request.url
        ]
        if not (led_here or rewritten):
            return None
        # Threads may share one request: where it cannot be told whose redirect is followed, the
        # longest wait is early for none (P1).
        return max(led_here or rewritten, key=lambda one: (one.thread == here, one.at))

    def forget(self, redirect: Redirect) -> None:
        """It is followed."""
        with contextlib.suppress(ValueError):  # another thread was faster
            self._pending.remove(redirect)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class History:
    """The newest polls, and of older ones those whose cookies the session has yet to store."""

    def __init__(self) -> None:
        self._polls: list[requests.Response] = []
        self._cookies: dict[frozenset[str], requests.Response] = {}

    def add(self, response: requests.Response) -> None:
        self._polls.append(response)
        if len(self._polls) > _HISTORY:
            oldest = self._polls.pop(0)
            if "Set-Cookie" in oldest.headers:
                names = frozenset(oldest.cookies.keys())
                self._cookies.pop(names, None)  # the newest of these names comes last
                self._cookies[names] = oldest

    def __len__(self) -> int:
        return len(self._polls)

    def __iter__(self) -> Iterator[requests.Response]:
        yield from self._cookies.values()
        yield from self._polls


class _Preparer(SessionRedirectMixin):
    """Only prepares the next request, with the logic of requests."""

    max_redirects = 1
    trust_env = False  # netrc has had its say on the first request to this origin

    def __init__(self) -> None:
        self.cookies = requests.cookies.RequestsCookieJar()


def next_request(
    response: requests.Response, request: requests.PreparedRequest, proxies: Any = None
) -> requests.PreparedRequest | None:
    """The request that requests makes of a redirect; None where it is none."""
    following = _Preparer().resolve_redirects(
        response, request, proxies=proxies, yield_requests=True
    )
    return next(following, None)  # type: ignore[return-value]


def stays_here(upcoming: requests.PreparedRequest, request: requests.PreparedRequest) -> bool:
    """Whether ``upcoming`` leaves the session nothing to decide: a GET or HEAD again, on the origin
    of ``request``."""
    return (
        request.method in ("GET", "HEAD")
        and upcoming.method == request.method
        and origin(upcoming.url) == origin(request.url)
    )


def target(response: requests.Response, request: requests.PreparedRequest) -> str | None:
    """The URL that ``response`` redirects to. Its body is left to whoever gets the response."""
    bodiless = requests.Response()
    bodiless.status_code = response.status_code
    bodiless.headers = response.headers
    bodiless.url = response.url
    bodiless.request = request
    bodiless.raw = BytesIO()
    upcoming = next_request(bodiless, request)
    return None if upcoming is None else upcoming.url


def origin(url: str | None) -> tuple[str, str | None, int | None]:
    """Scheme, host and port (RFC 9110 section 4.3.1)."""
    parts = urlsplit(url or "")
    try:
        port = parts.port
    except ValueError:  # no port at all: requests says so when it is sent there
        port = None
    return parts.scheme, parts.hostname, port or _PORTS.get(parts.scheme)
