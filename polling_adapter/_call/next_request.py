"""The request that requests makes of a redirect, and when it need not be made twice."""

from __future__ import annotations

from collections.abc import Sized
from types import SimpleNamespace
from typing import Any, TypeAlias

import requests
from requests.sessions import SessionRedirectMixin

from .._rules.address import excerpt, printable

# What requests decides of the next request in methods that a session's class may override
_DECISIONS = (
    "get_redirect_target",
    "rebuild_auth",
    "rebuild_method",
    "rebuild_proxies",
    "should_strip_auth",
)

#: A redirect that led to its own URL: the hash of what it leads by. A job that waits keeps nothing
#: larger, and ten thousand may be waiting.
Repetition: TypeAlias = int | None


def made_of(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """What the next request is made of where ``request`` is redirected: the same, or what it stands
    in for."""
    return vars(request).get("_made_of", request)  # type: ignore[no-any-return]


def stand_in(copy: requests.PreparedRequest, request: requests.PreparedRequest) -> None:
    """``copy`` is sent in place of ``request``, with more than what the next one shall have: what
    ``before_poll`` adds, or credentials that answer a challenge, which may be for one address only
    (RFC 7616 section 3.4)."""
    if copy is not request:
        vars(copy)["_made_of"] = made_of(request)


def stand_in_as(own: requests.PreparedRequest, request: requests.PreparedRequest) -> None:
    """``own`` is ``request`` as a call sends it now, and stands in for the same."""
    other = made_of(request)
    if other is not request:
        twin = object.__new__(type(other))
        vars(twin).update(vars(other), hooks=own.hooks)
        stand_in(own, twin)


def keeps_credentials(url: str | None, other: str | None) -> bool:
    """Whether requests lets what is meant for ``url`` go to ``other``: of the same origin, or of a
    host that goes over from http to https."""
    try:
        return not SessionRedirectMixin().should_strip_auth(url or "", other or "")
    except ValueError:  # it cannot be read: requests says so when it is sent
        return False


class _Preparer(SessionRedirectMixin):
    """Only prepares the next request, with the logic of requests."""

    max_redirects = 1
    trust_env = False  # netrc has had its say on the first request to this origin

    def __init__(self) -> None:
        self.cookies = requests.cookies.RequestsCookieJar()


def next_request(
    response: requests.Response, request: requests.PreparedRequest, proxies: Any = None
) -> requests.PreparedRequest | None:
    """The request that requests makes of a redirect; None where it is none.

    The response is left as it is, body and history included.
    """
    twin = bodiless(response, request=request)
    following = _Preparer().resolve_redirects(twin, request, proxies=proxies, yield_requests=True)
    return next(following, None)  # type: ignore[return-value]


def foreseen(
    response: requests.Response, request: requests.PreparedRequest
) -> requests.PreparedRequest | None:
    """As :func:`next_request`, to look at and not to send: its body is not rewound.

    :raises ValueError: the Location cannot be read.
    """
    copy = request.copy()
    copy._body_position = None
    return next_request(response, copy)


def bodiless(response: requests.Response, **changes: Any) -> requests.Response:
    """``response`` with ``changes``, to work with: its body is left to ``response``."""
    twin = object.__new__(requests.Response)
    vars(twin).update(vars(response), _content=b"", _content_consumed=True, **changes)
    cookies = getattr(response.raw, "_original_response", None)
    twin.raw = SimpleNamespace(_original_response=cookies, release_conn=lambda: None)
    return twin


def unreadable(
    error: ValueError, request: requests.PreparedRequest, response: requests.Response
) -> requests.RequestException:
    """What requests cannot read is an error of requests, in the middle of a job (P8)."""
    location = ascii(excerpt(response.headers.get("Location", "")))
    return requests.exceptions.InvalidURL(
        f"{printable(response.url)} redirects to {location}, which cannot be read: "
        f"{excerpt(str(error))}",
        request=request,
        response=response,
    )


def repetition(
    response: requests.Response,
    request: requests.PreparedRequest,
    upcoming: requests.PreparedRequest,
) -> Repetition:
    """What to remember of ``response``, of which requests made ``upcoming``."""
    if upcoming.url != request.url or upcoming.method != request.method:
        return None
    return _leads_by(response)


def repeats(
    before: Repetition,
    response: requests.Response,
    request: requests.PreparedRequest,
    cookies: Sized | None,
) -> bool:
    """Whether ``request``, which ``response`` answers, is the next one too.

    Two redirects with the same status and Location, from the same URL, lead to the same URL. Where
    that is the URL they come from, and the request sent there was prepared by requests for such a
    redirect and carries neither a body nor a cookie, preparing it once more changes nothing.

    :param before: what the redirect before this one was.
    :param cookies: those that may be added to it.
    """
    headers = response.headers
    return (
        before is not None
        and before == _leads_by(response)
        and request.body is None
        and "Set-Cookie" not in headers
        and "Cookie" not in request.headers
        and not cookies
    )


def _leads_by(response: requests.Response) -> int:
    return hash((response.status_code, response.url, response.headers.get("Location")))


def decide_alike(session: requests.Session, kind: type[requests.Session]) -> bool:
    """Whether neither ``session`` nor a class of it has a say in the next request that ``kind`` has
    not."""
    other, own = type(session), vars(session)
    return all(
        name not in own and getattr(other, name) is getattr(kind, name) for name in _DECISIONS
    )
