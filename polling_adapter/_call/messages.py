"""What errors say of a job, and how to go on with it."""

from __future__ import annotations

from typing import Any

from .._rules.address import printable
from .._rules.answer import KEY
from .._rules.progress import Limit
from .._rules.token import Token
from ..exceptions import (
    OutageTooLong,
    PollingError,
    PollingTimeout,
    RetryAfterTooLong,
    TooManyPolls,
)
from ..policy import PollingPolicy

#: What a line of code begins with that goes on below a session which has no ``resume()``
WITH_A_SESSION = "with PollingSession() as session: "

#: The error of each limit of the policy
ERRORS: dict[Limit, type[PollingError]] = {
    "total_timeout": PollingTimeout,
    "max_polls": TooManyPolls,
    "retry_after_max": RetryAfterTooLong,
    "outage_max": OutageTooLong,
}


# What a body was given as, by its Content-Type; else as ``data``
_GIVEN_AS = {"application/json": "json", "multipart/form-data": "files"}


def line(token: Token, upcoming: Any, name: str, *more: str) -> str:
    """The line of code that goes on with ``upcoming``.

    :param name: what holds the ``token``, as text. :param more: further arguments.
    """
    kind = str(upcoming.headers.get("Content-Type")).partition(";")[0]
    body = (f"{_GIVEN_AS.get(kind, 'data')}=...",) if token.has_body else ()
    key = (f"headers={{{KEY!r}: ...}}",) if token.needs_key else ()
    return f"session.resume({', '.join((name, *body, *key, *more))}).result()"


def resume_by(token: Token, upcoming: Any, policy: PollingPolicy, wall: float, opening: str) -> str:
    """How to go on with ``upcoming``, where there is a ``token``: by a line of code, with a policy
    that lets it.

    :param policy: that of the call which has ended. :param wall: seconds since the epoch.
    :param opening: what the line begins with.
    """
    wait = token.due - wall
    limits = (policy.total_timeout, policy.retry_after_max)
    fits = all(limit is None or wait <= limit for limit in limits)
    has_functions = any((policy.pending, policy.before_poll, policy.retry_after))
    no_limits = "" if fits else ".replace(total_timeout=None, retry_after_max=None)"
    polling = () if fits and not has_functions else (f"polling=error.policy{no_limits}",)
    goes_on = line(token, upcoming, "error.continuation_token", *polling)
    return f"resume with {token.method} {printable(token.url)}: {opening}{goes_on}"


def without_line(message: str) -> str:
    """The ``message`` of an error, for who reads no Python: without the line that goes on."""
    return message.partition(f": {WITH_A_SESSION}")[0].partition(": session.resume(")[0]


def without_token(upcoming: Any, may_be_sent: bool) -> str:
    """Why there is no line of code that goes on with ``upcoming``."""
    if not may_be_sent:
        return unknown(upcoming)
    return (
        f"it goes on with {_shown(upcoming)}; there is no continuation token, as one holds "
        "http:// and https:// addresses only"
    )


def unknown(request: Any) -> str:
    """What to say of a start that got no answer."""
    return (
        f"{_shown(request)} was sent and not answered: it is unknown whether the work has begun, "
        "so no line of code goes on"
    )


def _shown(request: Any) -> str:
    return f"{request.method} {printable(request.url)}"
