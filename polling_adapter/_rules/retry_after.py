"""The value of a Retry-After header, in seconds (RFC 9110 section 10.2.3)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

# RFC 9110 section 10.2.3: delay-seconds = 1*DIGIT, which are ASCII (RFC 5234 appendix B.1), so
# neither \d nor str.isdigit(). Real servers send decimals too ("0.493"), which do no harm.
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")

_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_ABBREVIATED = [name[:3] for name in _MONTHS]
# In hours. RFC 5322 section 4.3 has those of North America; names of others mean several zones
# each, and email.utils takes them for UTC.
_ZONES = {"gmt": 0, "utc": 0, "ut": 0, "z": 0}
_ZONES |= {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}

_WEEKDAY = r"(?:[a-z]{3,9} +)?"  # not looked at: it tells nothing that the date does not
_MONTH = f"(?P<month>{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in _MONTHS)})"
_TIME = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}):(?P<second>[0-5][0-9]|60)"
_ZONE = (
    rf"(?:(?P<zone>{'|'.join(_ZONES)})"
    r"|(?P<sign>[+-])(?P<hours>[01][0-9]|2[0-3])(?::?(?P<minutes>[0-5][0-9]))?)"
)

# RFC 9110 section 5.6.7: a recipient MUST accept all three forms of HTTP-date. Servers vary them,
# and urllib3 reads that by email.utils, which takes too much: 31 Feb, no zone, any name of a zone.
# There is no comma in them, as what commas separate is looked at part by part.
_DATES = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        # IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
        # rfc850-date: Sunday, 06-Nov-94 08:49:37 GMT
        rf"{_WEEKDAY}(?P<day>[0-9]{{1,2}})(?: +|-){_MONTH}(?: +|-)"
        rf"(?P<year>[0-9]{{4}}|[0-9]{{2}}) +{_TIME} *{_ZONE}",
        # asctime-date: Sun Nov  6 08:49:37 1994, which is GMT; date(1) puts a zone before the year
        rf"{_WEEKDAY}{_MONTH} +(?P<day>[0-9]{{1,2}}) +{_TIME} +(?:{_ZONE} +)?(?P<year>[0-9]{{4}})",
        # ISO 8601, with a zone: 1994-11-06T08:49:37.5+00:00
        rf"(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{2}})-(?P<day>[0-9]{{2}})[t ]"
        rf"{_TIME}(?P<decimals>\.[0-9]+)? *{_ZONE}",
    )
)
_LENGTHS = range(len("6 Nov 94 8:49:37Z"), 65)  # what else need not be looked at


def parse_retry_after(
    value: str | None,
    date: str | None = None,
    *,
    age: str | None = None,
    now: float | None = None,
) -> float | None:
    """The seconds that a ``Retry-After`` header asks to wait.

    :param value: the field value: whole or decimal seconds, or an HTTP-date, which may vary in its
        zone, its case, its weekday, or be ISO 8601 with a zone. Of several values, separated by
        commas as headers are joined, the longest usable one counts.
    :param date: the ``Date`` header of the same response. A date in ``value`` is measured against
        it, so that a wrong clock on either side does no harm.
    :param age: the ``Age`` header of the same response. Where there is one, the response came out
        of a cache and its ``Date`` lies in the past, so ``now`` counts instead.
    :param now: seconds since the epoch; default: this machine's clock.
    :return: seconds, finite and >= 0 (a date in the past is 0); None where ``value`` is absent or
        names no usable time. Decimals are rounded up to the millisecond.

    Source: RFC 9110 section 10.2.3 (Retry-After) and section 5.6.7 (HTTP-date).
    """
    if value is None:
        return None
    if _SECONDS.fullmatch(value):  # as nearly always
        return min(_seconds(value), sys.float_info.max)  # 400 digits are infinite
    parts = members(value)
    waits = [_seconds(part) for part in parts if _SECONDS.fullmatch(part)]
    due = max(_instants(parts, now), default=None)
    if due is not None:
        waits.append(max(0.0, due - sent(date, age, now)))
    return min(max(waits), sys.float_info.max) if waits else None


def members(value: str) -> list[str]:
    # An HTTP-date has a comma itself. It comes apart into the name of a day, which is no usable
    # value and not needed, and a date without one.
    return [part.strip(" \t") for part in value.split(",")]


def _seconds(value: str) -> float:
    whole, _, fraction = value.partition(".")
    seconds = float(whole)
    if fraction:
        milliseconds = int(fraction[:3].ljust(3, "0"))
        if fraction[3:].strip("0"):  # rounded up: P1, never early
            milliseconds += 1
        seconds = (seconds * 1000 + milliseconds) / 1000
    return seconds


def sent(date: str | None, age: str | None, now: float | None) -> float:
    """When the response left its origin; the earliest where there are several: P1, never early."""
    if date is None or age is not None:
        return _wall(now)
    # without decimals, as these are rounded up: a Date that is late makes the wait short
    parts = members(re.sub(r"\.[0-9]+", "", date))
    return min(_instants(parts, now), default=_wall(now))


def _wall(now: float | None) -> float:
    return datetime.now(timezone.utc).timestamp() if now is None else now


def _instants(parts: list[str], now: float | None) -> Iterator[float]:
    """Seconds since the epoch of what is a date in ``parts``."""
    for part in parts:
        if len(part) not in _LENGTHS:
            continue
        match = next(filter(None, (form.fullmatch(part) for form in _DATES)), None)
        if match is not None:
            # 31 Feb, hour 25, year 0, or a clock that knows no year
            with suppress(ValueError, OverflowError, OSError):
                yield _instant(match.groupdict(), now)


def _instant(date: dict[str, Any], now: float | None) -> float:
    month = date["month"].lower()
    instant = datetime(
        int(date["year"]) if len(date["year"]) == 4 else _full_year(int(date["year"]), now),
        int(month) if month.isdigit() else _ABBREVIATED.index(month[:3]) + 1,
        int(date["day"]),
        int(date["hour"]),
        int(date["minute"]),
        tzinfo=timezone.utc,
    )
    # added, as datetime knows no leap second (60)
    instant += timedelta(seconds=int(date["second"])) - _offset(date)
    return instant.timestamp() + _seconds("0" + (date.get("decimals") or ""))


def _offset(date: dict[str, Any]) -> timedelta:
    """How far the clocks of the date's zone are ahead of UTC; asctime-date has none, and is UTC."""
    if date["sign"] is None:
        return timedelta(hours=_ZONES[(date["zone"] or "utc").lower()])
    offset = timedelta(hours=int(date["hours"]), minutes=int(date["minutes"] or 0))
    return offset if date["sign"] == "+" else -offset


def _full_year(year: int, now: float | None) -> int:
    """RFC 9110 section 5.6.7: a two-digit year that appears to be more than 50 years in the
    future is the most recent year in the past with the same last two digits."""
    this_year = datetime.fromtimestamp(_wall(now), timezone.utc).year
    year += this_year - this_year % 100
    return year - 100 if year > this_year + 50 else year
