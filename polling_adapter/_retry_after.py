"""The value of a Retry-After header, in seconds (RFC 9110 section 10.2.3)."""

from __future__ import annotations

import re
import sys
from datetime import datetime, timedelta, timezone

from .clock import SystemClock

# RFC 9110 section 10.2.3: delay-seconds = 1*DIGIT, which are ASCII (RFC 5234 appendix B.1), so
# neither \d nor str.isdigit(). Real servers send decimals too ("0.493"), which do no harm.
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = "(?P<month>" + "|".join(_MONTHS) + ")"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"

# RFC 9110 section 5.6.7: a recipient MUST accept all three forms of HTTP-date.
_HTTP_DATES = tuple(
    re.compile(form)
    for form in (
        # IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
        rf"[A-Z][a-z]{{2}}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
        # rfc850-date: Sunday, 06-Nov-94 08:49:37 GMT
        rf"[A-Z][a-z]+day, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
        # asctime-date: Sun Nov  6 08:49:37 1994
        rf"[A-Z][a-z]{{2}} {_MONTH} (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)


def parse_retry_after(
    value: str | None,
    date: str | None = None,
    *,
    age: str | None = None,
    now: float | None = None,
) -> float | None:
    """The seconds that a ``Retry-After`` header asks to wait.

    :param value: the field value: whole or decimal seconds, or an HTTP-date.
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
    value = value.strip(" \t")
    if _SECONDS.fullmatch(value):
        return _seconds(value)
    due = _http_date(value, now)
    if due is None:
        return None
    sent = None if date is None or age is not None else _http_date(date.strip(" \t"), now)
    return max(0.0, due - (_wall(now) if sent is None else sent))


def _seconds(value: str) -> float:
    whole, _, fraction = value.partition(".")
    seconds = float(whole)
    if fraction:
        milliseconds = int(fraction[:3].ljust(3, "0"))
        if fraction[3:].strip("0"):  # rounded up: P1, never early
            milliseconds += 1
        seconds = (seconds * 1000 + milliseconds) / 1000
    return min(seconds, sys.float_info.max)  # more than 300 digits are infinite


def _wall(now: float | None) -> float:
    return SystemClock().time() if now is None else now


def _http_date(value: str, now: float | None) -> float | None:
    """Seconds since the epoch of an HTTP-date, or None where it is none."""
    match = next(filter(None, (form.fullmatch(value) for form in _HTTP_DATES)), None)
    if match is None:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        year = _full_year(year, now)
    try:
        instant = datetime(
            year,
            _MONTHS.index(match["month"]) + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            min(int(match["second"]), 59),
            tzinfo=timezone.utc,
        )
        # the grammar allows a leap second (60), datetime does not
        return (instant + timedelta(seconds=max(0, int(match["second"]) - 59))).timestamp()
    except (ValueError, OverflowError):  # 31 Feb, hour 25, year 0
        return None


def _full_year(year: int, now: float | None) -> int:
    """RFC 9110 section 5.6.7: a two-digit year that appears to be more than 50 years in the
    future is the most recent year in the past with the same last two digits."""
    this_year = datetime.fromtimestamp(_wall(now), timezone.utc).year
    year += this_year - this_year % 100
    return year - 100 if year > this_year + 50 else year
