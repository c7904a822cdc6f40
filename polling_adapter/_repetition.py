"""Polls that lead to their own URL again, for which requests need not prepare the same twice.

Two redirects with the same status and Location, from the same URL, lead to the same URL. Where that
is the URL they come from, and the request sent there was prepared by requests for such a redirect
and carries neither a body nor a cookie, preparing it once more changes nothing.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import TypeAlias

import requests

# What requests decides of the next request in methods that a session's class may override
_DECISIONS = (
    "get_redirect_target",
    "rebuild_auth",
    "rebuild_method",
    "rebuild_proxies",
    "should_strip_auth",
)

#: A redirect that led to its own URL: its status, URL and Location.
Led: TypeAlias = tuple[int, str | None, str] | None


def led(
    response: requests.Response,
    request: requests.PreparedRequest,
    upcoming: requests.PreparedRequest,
) -> Led:
    """What to remember of ``response``, of which requests made ``upcoming``."""
    if upcoming.url != request.url or upcoming.method != request.method:
        return None
    return response.status_code, request.url, response.headers["Location"]


def repeats(
    before: Led,
    response: requests.Response,
    request: requests.PreparedRequest,
    cookies: Sized | None,
) -> bool:
    """Whether ``request``, which ``response`` answers, is the next one too.

    :param before: what the redirect before this one was.
    :param cookies: those that may be added to it.
    """
    headers = response.headers
    return (
        before is not None
        and before == (response.status_code, request.url, headers["Location"])
        and request.body is None
        and "Set-Cookie" not in headers
        and "Cookie" not in request.headers
        and not cookies
    )


def decide_alike(session: requests.Session, kind: type[requests.Session]) -> bool:
    """Whether no class of ``session`` has a say in the next request that ``kind`` has not."""
    other = type(session)
    return all(getattr(other, name) is getattr(kind, name) for name in _DECISIONS)
