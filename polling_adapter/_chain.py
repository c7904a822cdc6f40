"""What an adapter can know of the redirects that a session above it follows.

An adapter sees single requests. But the redirects that await their follower are kept with the hooks
of the request, which those that follow share: so they can be told from one that merely asks for the
same URL, and nothing is kept on the adapter.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

import requests
from requests.sessions import SessionRedirectMixin

from ._address import origin
from ._hooks import Carrier, carried, hooks_of
from ._poll import Due

if TYPE_CHECKING:
    from ._call import Call

# Of the redirects that nobody has followed yet, so many are remembered: one PreparedRequest may be
# sent over and over without its redirects being followed.
_PENDING = 64

# Of the polls below one hop of the session, so many are kept in the history, the newest.
_HISTORY = 30

_changing = threading.Lock()


class Redirect:
    """A redirect that was handed to the caller, who may or may not follow it."""

    def __init__(
        self,
        request: requests.PreparedRequest,
        response: requests.Response,
        due: Due | None,
        call: Call,
    ) -> None:
        self.request = request
        self.response = response
        self.due = due
        self.call = call
        self.thread = threading.get_ident()

    @functools.cached_property
    def url(self) -> str | None:
        """Where it leads to; None: nowhere."""
        if self.response.next is not None:
            return self.response.next.url
        try:
            return target(self.response, self.request)
        except ValueError:  # requests has told the caller
            return None

    @property
    def at(self) -> float:
        return 0.0 if self.due is None else self.due.at

    def wait(self, call: Call, request: requests.PreparedRequest) -> None:
        """Wait in ``call`` before ``request`` follows it.

        :raises PollingError: a cap of the policy is reached.
        """
        if self.due is not None:
            call.wait(self.due, request, self.response)


class Chain(Carrier):
    """The redirects that a request and its copies may follow."""

    def __init__(self) -> None:
        self.pending: tuple[Redirect, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return Chain, ()


def remember(redirect: Redirect) -> None:
    """It is handed out."""
    with _changing:  # threads that share the request share one chain
        chain = carried(redirect.request, Chain)
        if chain is None:
            chain = Chain()
            hooks_of(redirect.request).append(chain)
        chain.pending = (*chain.pending, redirect)[-_PENDING:]


def forget(redirect: Redirect) -> None:
    """It is followed."""
    with _changing:
        chain = carried(redirect.request, Chain)
        if chain is not None:
            chain.pending = tuple(one for one in chain.pending if one is not redirect)
            hooks = hooks_of(redirect.request)
            # Where a hook comes after it, it stays: another thread may be going through them.
            if not chain.pending and hooks[-1] is chain:
                hooks.pop()


def pending(response: requests.Response, request: requests.PreparedRequest) -> Redirect | None:
    """The redirect that ``response``, the answer to ``request``, was handed out as."""
    chain = carried(request, Chain)
    redirects = () if chain is None else chain.pending
    return next((one for one in redirects if one.response is response), None)


def followed_by(request: requests.PreparedRequest) -> Redirect | None:
    """The redirect that ``request`` follows."""
    chain = carried(request, Chain)
    if chain is None or not chain.pending:
        return None
    here = threading.get_ident()
    redirects = chain.pending
    # Of threads that share a request, each sends it for the first time before it follows anything.
    own = [one for one in redirects if one.thread == here or one.request is not request]
    led_here = [one for one in own if one.url == request.url]
    # A session may rewrite the URL it is sent to; a request like the first begins anew.
    rewritten = [one for one in own if one.thread == here and one.request.url != request.url]
    if not (led_here or rewritten):
        return None
    # Threads may share one request: where it cannot be told whose redirect is followed, the
    # longest wait is early for none (P1).
    return max(led_here or rewritten, key=lambda one: (one.thread == here, one.at))


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
    """Whether ``upcoming`` leaves the session nothing to decide: the same method, on the origin of
    ``request``."""
    return upcoming.method == request.method and origin(upcoming.url) == origin(request.url)


def target(response: requests.Response, request: requests.PreparedRequest) -> str | None:
    """The URL that ``response`` redirects to. Its body is left to whoever gets the response.

    :raises ValueError: it is none.
    """
    bodiless = requests.Response()
    bodiless.status_code = response.status_code
    bodiless.headers = response.headers
    bodiless.url = response.url
    bodiless.request = request
    bodiless.raw = BytesIO()
    upcoming = next_request(bodiless, request)
    return None if upcoming is None else upcoming.url
