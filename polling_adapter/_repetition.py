"""Polls that lead to their own URL again, for which requests need not prepare the same twice."""

from __future__ import annotations

from collections.abc import Sized

import requests
from requests.sessions import SessionRedirectMixin

# What requests decides of the next request in methods that a session's class may override
_DECISIONS = (
    "get_redirect_target",
    "rebuild_auth",
    "rebuild_method",
    "rebuild_proxies",
    "should_strip_auth",
)


class Repetition:
    """Remembers what the last redirect led to.

    Two redirects with the same status and Location, from the same URL, lead to the same URL. Where
    that is the URL they come from, and the request sent there was prepared by requests for such a
    redirect and carries neither a body nor a cookie, preparing it once more changes nothing.
    """

    _from: tuple[int, str | None, str | None] | None = None

    def serves(
        self, response: requests.Response, request: requests.PreparedRequest, cookies: Sized
    ) -> bool:
        """Whether ``request``, which ``response`` answers, is the next one too.

        :param cookies: those that may be added to it.
        """
        headers = response.headers
        return (
            self._from == (response.status_code, request.url, headers.get("Location"))
            and request.body is None
            and "Set-Cookie" not in headers
            and "Cookie" not in request.headers
            and not cookies
        )

    def prepared(
        self,
        response: requests.Response,
        request: requests.PreparedRequest,
        upcoming: requests.PreparedRequest,
    ) -> None:
        """``upcoming`` is what requests made of ``response``, the answer to ``request``."""
        if upcoming.url == request.url and upcoming.method == request.method:
            self._from = (response.status_code, request.url, response.headers.get("Location"))
        else:
            self._from = None


def decides_as_requests_does(session: requests.Session) -> bool:
    """Whether no class of ``session`` has a say of its own in what the next request is."""
    kind = type(session)
    return all(getattr(kind, name) is getattr(SessionRedirectMixin, name) for name in _DECISIONS)
