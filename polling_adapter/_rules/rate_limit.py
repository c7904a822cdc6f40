"""When a rate limit is over, as the headers of a response tell it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .retry_after import members, parse_retry_after, sent

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
# Of ten digits, seconds since 1970 (from 2001 on); of thirteen, milliseconds. As a wait that would
# be more than thirty years.
_SINCE_1970 = re.compile(r"([0-9]{10})(?:\.[0-9]+)?|([0-9]{13})")

# RFC 9651 section 3.1: a List, whose members are separated by commas, with Parameters. Strings may
# hold either, and are the names of policies. One without an end takes all.
_STRING = re.compile(r'"(?:[^"\\]|\\.?)*(?:"|$)')
_PARAMETER = re.compile(r"; *(r|t)=([0-9]+(?:\.[0-9]+)?) *(?=;|$)")


def reset(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """The seconds until all rate limits are over that are used up.

    :param headers: of a response; their names are found in any case.
    :param now: seconds since the epoch; default: this machine's clock.
    :return: seconds, finite and >= 0; None where no header names a usable time, or where all that
        do say that something is left.

    Sources: draft-ietf-httpapi-ratelimit-headers, and its drafts up to 06 (RateLimit-Reset).
    """
    waits = [*_of_policies(headers.get("RateLimit", ""))]
    for limit in ("RateLimit", "X-RateLimit"):
        if not _is_left(headers.get(f"{limit}-Remaining", "")):
            waits += _of_instants(headers.get(f"{limit}-Reset", ""), headers, now)
    return max(waits, default=None)  # of limits that each refuse, the last one to be over


def _of_policies(value: str) -> Iterator[float]:
    for policy in members(_STRING.sub("", value)):
        parameters = dict(_PARAMETER.findall(policy))
        seconds = parse_retry_after(parameters.get("t"))
        # r is required; without it, all that is known is that somebody asks about a refusal
        if seconds is not None and float(parameters.get("r", 0)) == 0:
            yield seconds


def _is_left(value: str) -> bool:
    """Of several limits in one header, one that is used up refuses."""
    return all(_NUMBER.fullmatch(left) and float(left) > 0 for left in members(value))


def _of_instants(value: str, headers: Mapping[str, str], now: float | None) -> Iterator[float]:
    date, age = headers.get("Date"), headers.get("Age")
    for part in members(value):
        since_1970 = _SINCE_1970.fullmatch(part)
        if since_1970:
            instant = float(part) / (1000 if since_1970[2] else 1)
            yield max(0.0, instant - sent(date, age, now))
        elif (seconds := parse_retry_after(part, date, age=age, now=now)) is not None:
            yield seconds
