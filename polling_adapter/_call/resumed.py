"""A job that goes on by a token, in another session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from .._rules.address import printable
from .._rules.answer import KEY
from .._rules.token import Token
from ..policy import PollingPolicy
from .call import Call
from .job import Job
from .parcel import Unprepared, by_name

# What a body is made of, among the arguments of a request
_BODY = {"data", "json", "files"}

# Of the session's headers, those that hold credentials (RFC 9110 sections 11.6.2 and 11.7.2, RFC
# 6265 section 4.2)
_CREDENTIALS = ("Authorization", "Proxy-Authorization", "Cookie")


# What requests takes from a request that follows a redirect, where it drops the body: from one that
# has none, too, but for a 307 and 308
_OF_A_BODY = ("Content-Length", "Content-Type", "Transfer-Encoding")


def resumed(
    session: requests.Session,
    text: str,
    default: PollingPolicy,
    policy: PollingPolicy | None,
    kwargs: dict[str, Any],
) -> Call:
    """The call that goes on with the job of a token.

    :param policy: the caller's; None: the ``default``, and no more than the time that was left.
    :raises ValueError: something is wrong with the token, or is given no more.
    """
    token = Token.parse(text)
    if not token.has_body:
        kwargs = {name: kwargs[name] for name in kwargs if name not in _BODY}
    elif not kwargs.keys() & _BODY:
        raise ValueError(
            f"{token.method} {printable(token.url)} has a body, which the continuation token "
            "does not hold: give data=, json= or files= again"
        )
    chosen = default if policy is None else policy
    if token.pending and chosen.pending is None:
        raise ValueError(
            "the continuation token is of a job that polls what is no redirect: give a policy "
            "with the same pending="
        )
    clock, total = chosen.clock, chosen.total_timeout
    if policy is None and token.left is not None:
        allowed = token.elapsed + token.left
        total = allowed if total is None else min(allowed, total)
    kwargs = _as_redirected(session, token, kwargs)
    first = Unprepared(token.method, token.url, kwargs, session.params, is_resumed=True)
    job = Job.resumed(token, clock.monotonic(), clock.time(), total)._replace(upcoming=first)
    if not job.may_be_sent(first):
        raise ValueError(
            f"{token.method} {printable(token.url)} got no answer: that the work is not begun "
            f"twice, give the {KEY} that it had, in headers="
        )
    return Call(chosen, job, origin=token.origin)


def _as_redirected(
    session: requests.Session, token: Token, kwargs: dict[str, Any]
) -> dict[str, Any]:
    """The arguments of a request that goes where redirects have led: the session adds to it what
    requests would have left in it."""
    headers: dict[str, Any] = {}
    given = by_name(kwargs.get("headers"))
    if token.polls or token.redirects:
        dropped = () if token.has_body or token.is_typed else _OF_A_BODY
        headers = dict.fromkeys(("Cookie", *dropped))
        given = {k: v for k, v in given.items() if k.title() not in dropped}  # those of the start
        if token.is_typed:  # so that a token of what is made here says so, too
            headers["Content-Type"] = session.headers.get("Content-Type")
    headers |= token.headers
    # RFC 9111 section 5.2.1.4: the next answer is the server's
    if token.no_cache and session.headers.get("Cache-Control") is None:
        headers.setdefault("Cache-Control", "no-cache")
    params = kwargs.get("params") or {}
    if isinstance(params, Mapping) and isinstance(session.params, Mapping):
        params = {**dict.fromkeys(session.params), **params}
    kwargs = {**kwargs, "params": params}
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
