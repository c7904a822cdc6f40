"""What a request needs that goes on with a job, in another session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from .._rules.token import Token
from .parcel import by_name

# Of the session's headers, those that hold credentials (RFC 9110 sections 11.6.2 and 11.7.2, RFC
# 6265 section 4.2)
_CREDENTIALS = ("Authorization", "Proxy-Authorization", "Cookie")


# What requests takes from a request that follows a redirect, where it drops the body: from one that
# has none, too, but for a 307 and 308
_OF_A_BODY = ("Content-Length", "Content-Type", "Transfer-Encoding")


def as_redirected(
    session: requests.Session, token: Token, kwargs: dict[str, Any]
) -> dict[str, Any]:
    """The arguments of a request that goes where redirects have led: the session adds to it what
    requests would have left in it."""
    headers: dict[str, Any] = {}
    if token.polls or token.redirects:
        kept = token.has_body or token.is_typed
        headers = dict.fromkeys(("Cookie", *(() if kept else _OF_A_BODY)))
        if token.is_typed:  # so that a token of what is made here says so, too
            headers["Content-Type"] = session.headers.get("Content-Type")
    headers |= token.headers
    if token.no_cache:  # RFC 9111 section 5.2.1.4: the next answer is the server's
        headers.setdefault("Cache-Control", "no-cache")
    params = kwargs.get("params") or {}
    if isinstance(params, Mapping) and isinstance(session.params, Mapping):
        params = {**dict.fromkeys(session.params), **params}
    kwargs = {**kwargs, "params": params}
    given = by_name(kwargs.get("headers"))
    if session.should_strip_auth(token.origin, token.url):
        # Whoever has altered a token has chosen where it leads: nothing that the session, netrc or
        # the caller has is meant for there.
        headers = {**dict.fromkeys(_CREDENTIALS), **headers}
        kwargs["auth"] = _no_credentials
        kwargs.pop("cookies", None)
        given = {k: v for k, v in given.items() if k.title() not in _CREDENTIALS}
    return {**kwargs, "headers": {**headers, **given}}  # requests merges them without case


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
