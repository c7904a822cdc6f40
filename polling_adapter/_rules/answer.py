"""What is to know of a response, and what it means by HTTP alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .retry_after import parse_retry_after

# RFC 9110 section 15.4: the redirects that a user agent follows by itself, as requests does
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

# RFC 9110 section 15.1: what polls may be answered that a cache may keep without being told to
STORABLE = frozenset({200, 203, 204, 206, 301, 308})

# RFC 9110 section 9.2.1: safe, so asking again cannot do the work twice
SAFE = frozenset({"GET", "HEAD"})

# RFC 9110 section 9.2.2: asking twice does what asking once does
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})

# draft-ietf-httpapi-idempotency-key-header: however often it is asked with the same one, the server
# does the work once
KEY = "Idempotency-Key"


class Answer(NamedTuple):
    """What is to know of a response. ``headers`` must be case-insensitive.

    :param is_pending: it is no redirect, and to be polled all the same.
    :param leads_to_result: it is no redirect, and tells where the result is.
    :param named: seconds to wait, that the caller has found where the headers name no usable time.
    :param from_cache: a cache of the client has given it.
    """

    method: str
    status: int
    headers: Mapping[str, str]
    is_pending: bool = False
    leads_to_result: bool = False
    named: float | None = None
    from_cache: bool = False


def is_final(status: int) -> bool:
    """Whether it is a success, and so the result, unless the policy calls it pending (RFC 9110
    section 15.3)."""
    return 200 <= status < 300


def is_error(status: int | None) -> bool:
    """Whether it says that the request, or the server, is at fault (RFC 9110 sections 15.5 and
    15.6). A mock may have none."""
    return status is not None and 400 <= status < 600


def is_poll(status: int, headers: Mapping[str, str]) -> bool:
    """A poll is a redirect that carries Retry-After (RFC 9110 section 10.2.3). An empty Location
    leads nowhere, with requests too."""
    return status in _REDIRECTS and "Retry-After" in headers and bool(headers.get("Location"))


def is_repeatable(method: str, headers: Mapping[str, object]) -> bool:
    """Whether a request may be sent again although nobody knows what became of it."""
    return method in IDEMPOTENT or bool(headers.get(KEY))


def retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """The seconds that a response asks to wait, by the wall clock; None: it names none."""
    return parse_retry_after(
        headers.get("Retry-After"), headers.get("Date"), age=headers.get("Age"), now=wall
    )
