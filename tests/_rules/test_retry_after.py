from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import ROUND_CEILING, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polling_adapter import parse_retry_after

# The three forms of one instant: the examples of RFC 9110 section 5.6.7
FORMS = [
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
]
INSTANT = 784111777.0

# The same instant, as servers write it too, and urllib3 reads it
VARIANTS = [
    *["Sun, 06 Nov 1994 08:49:37 -0000", "Sun, 06 Nov 1994 08:49:37 +0000"],
    *["Sun, 06 Nov 1994 10:49:37 +0200", "Sun, 06 Nov 1994 03:49:37 -0500"],
    *["Mon, 07 Nov 1994 00:19:37 +1530", "Sun, 06 Nov 1994 05:19:37 -0330"],
    *["Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 utc", "06 Nov 1994 08:49:37 Z"],
    *["Sun, 06 Nov 1994 03:49:37 EST", "Sun, 06 Nov 1994 01:49:37 PDT"],
    *["sun, 06 nov 1994 08:49:37 gmt", "SUN, 06 NOV 1994 08:49:37 GMT"],
    *["06 Nov 1994 08:49:37 GMT", "Sun 06 Nov 1994 08:49:37 GMT", "06-Nov-94 08:49:37 GMT"],
    *["Sun, 6 Nov 1994 08:49:37 GMT", "6 Nov 94 8:49:37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT"],
    *["Sun, 06 November 1994 08:49:37 GMT", "Sun,  06  Nov  1994  08:49:37  GMT"],
    *["Sun,06 Nov 1994 08:49:37+0000", "sun nov 6 08:49:37 1994", "Nov 06 08:49:37 1994"],
    *["Sun Nov  6 08:49:37 UTC 1994", "Sun Nov  6 09:49:37 +0100 1994"],
]
# ISO 8601, with a zone
ISO = [
    *["1994-11-06T08:49:37Z", "1994-11-06t08:49:37z", "1994-11-06 08:49:37Z"],
    *["1994-11-06T08:49:37+00:00", "1994-11-06T08:49:37-00:00", "1994-11-06 08:49:37 +0000"],
    *["1994-11-06T10:49:37+02:00", "1994-11-06T03:49:37-05", "1994-11-07T00:19:37+15:30"],
    *["1994-11-06T08:49:37.000Z", "1994-11-06 08:49:37 UTC"],
]

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@pytest.fixture(params=["America/New_York", "Asia/Tokyo"])
def _timezone(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("3", 3),
        ("0120", 120),
        (" 3\t", 3),
        ("86400", 86400),
        ("9999999999", 9999999999),
        ("0.493", 0.493),
        ("0.4930000001", 0.494),
        ("0.4931", 0.494),
        ("1.5", 1.5),
        ("0.0000000000000000001", 0.001),
        ("0.000", 0),
        ("1" + "0" * 300, 1e300),
    ],
)
def test_seconds(value: str, seconds: float) -> None:
    assert parse_retry_after(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        *["", " ", "abc", "-1", "+1", "nan", "inf", "1e3", "0x10", "1_000", "5.", ".5"],
        *["²", "٣", "３", "1 2", "3s", "3\n", "soon", "None", ",", " , ", "abc, -1", "nan,inf"],
        *["Sun", "Sun,", "Sun, 06 Nov 1994", "08:49:37 GMT", "1994-11-06"],
        *["Sun, 06 Nov 1994 08:49:37", "Sun, 06-Nov-94 08:49:37", "1994-11-06T08:49:37"],
        *["Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Nov 1994 08:49:37 +", "1994-11-06T08:49:37+2"],
        *["Sun, 06 Nov 1994 08:49:37 +2400", "Sun, 06 Nov 1994 08:49:37 +0060"],
        *["Sun, 31 Feb 1994 08:49:37 GMT", "1994-02-31T08:49:37Z", "1994-13-01T08:49:37Z"],
        *["Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT"],
        *["Sun, 06 Nov 1994 08:49:61 GMT", "1994-11-06T08:49:61Z", "1994-11-06T08:49:37.Z"],
        *["Sun, 06 Nov 0000 08:49:37 GMT", "Sun, 06 Nov 994 08:49:37 GMT"],
        *["Fri, 31 Dec 9999 23:59:60 GMT", "Sun, 06 Nov 19940 08:49:37 GMT"],
        *["Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Noo 1994 08:49:37 GMT"],
        *[
            "ſun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 GMT\n",
            "Sun, ٠6 Nov 1994 08:49:37 Z",
        ],
    ],
)
def test_what_names_no_usable_time(value: str) -> None:
    assert parse_retry_after(value) is None
    assert parse_retry_after(value, date=FORMS[0], age="1", now=0) is None


@pytest.mark.parametrize("value", ["9" * 400, "9" * 5000, "9" * 400 + ".5", "9" * 308 + ".5"])
def test_more_than_any_number_is_the_largest(value: str) -> None:
    """P1: never early, so it is not taken for no time at all."""
    assert parse_retry_after(value) == pytest.approx(sys.float_info.max, rel=1)


def test_absent() -> None:
    assert parse_retry_after(None) is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("date", FORMS)
def test_a_date_is_measured_against_the_date_of_the_response(form: str, date: str) -> None:
    assert parse_retry_after(form, date, now=0) == 0
    assert parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", date, now=0) == 10
    assert parse_retry_after("Mon, 07 Nov 1994 08:49:47 GMT", date, now=0) == 86410
    assert parse_retry_after("Sun, 06 Nov 1994 08:49:27 GMT", date, now=0) == 0


@pytest.mark.parametrize("form", FORMS)
def test_a_date_without_a_date_to_compare_is_measured_against_the_clock(form: str) -> None:
    assert parse_retry_after(form, now=INSTANT - 0.25) == 0.25
    assert parse_retry_after(form, "no date", now=INSTANT - 5) == 5
    assert parse_retry_after(form) == 0  # long past


def test_a_response_out_of_a_cache_is_measured_against_the_clock() -> None:
    """Its Date lies as far in the past as its Age says."""
    assert parse_retry_after(FORMS[0], FORMS[0], age="60", now=INSTANT - 5) == 5


@pytest.mark.usefixtures("_timezone")
@pytest.mark.parametrize("form", FORMS)
def test_the_time_zone_of_this_machine_is_of_no_interest(form: str) -> None:
    assert parse_retry_after(form, now=INSTANT - 5) == 5
    assert parse_retry_after(form, "Sun, 06 Nov 1994 08:49:30 GMT") == 7


@pytest.mark.parametrize("form", VARIANTS + ISO)
def test_a_date_is_read_as_urllib3_reads_it(form: str) -> None:
    assert parse_retry_after(form, now=INSTANT - 5) == 5
    assert parse_retry_after(FORMS[0], form, now=0) == 0
    assert parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", form, now=0) == 10


@pytest.mark.usefixtures("_timezone")
@pytest.mark.parametrize("form", ["Sun, 06 Nov 1994 08:49:37 -0000", ISO[0], ISO[6]])
def test_a_zone_is_not_that_of_this_machine(form: str) -> None:
    """RFC 5322 section 3.3: -0000 is UTC, whatever the local time is. email.utils disagrees."""
    assert parse_retry_after(form, now=INSTANT - 5) == 5


@pytest.mark.parametrize(
    ("decimals", "seconds"),
    [(".5", 0.5), (".250", 0.25), (".0001", 0.001), (".9999", 1), (".123456789", 0.124)],
)
def test_P1_decimals_of_a_date_are_never_rounded_down(decimals: str, seconds: float) -> None:
    form = f"1970-01-01T00:00:00{decimals}Z"
    assert parse_retry_after(form, now=0) == pytest.approx(seconds, abs=1e-9)


def test_P1_decimals_of_the_date_of_the_response_take_nothing_off() -> None:
    assert parse_retry_after("1994-11-06T08:49:38Z", "1994-11-06T08:49:37.9Z") == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *[("2814, 2", 2814), ("60, 120", 120), ("60,120", 120), ("120 ,\t60", 120), ("0, 0", 0)],
        *[
            ("0, 0.5", 0.5),
            (", 3,", 3),
            ("1, 2, 3, 2, 1", 3),
            ("0, " + "9" * 400, sys.float_info.max),
        ],
        *[(f"{FORMS[0]}, Sun, 06 Nov 1994 08:49:47 GMT", 15), (f"{FORMS[1]}, {FORMS[2]}", 5)],
        *[(f"Sun, 06 Nov 1994 08:49:47 GMT, {FORMS[1]}", 15), (f"{FORMS[0]}, {ISO[0]}", 5)],
        *[(f"120, {FORMS[0]}", 120), (f"{FORMS[0]}, 2", 5), (f"2,{ISO[0]},3", 5)],
    ],
)
def test_of_several_values_the_longest_counts(value: str, seconds: float) -> None:
    """P1: one header or several (RFC 9110 section 5.2 joins them), whoever wrote them is obeyed."""
    assert parse_retry_after(value, now=INSTANT - 5) == seconds


@pytest.mark.parametrize(
    "value",
    ["abc, 5", "5, -1", "5,nan", "inf, 5", "5, Sun, 31 Feb 1994 08:49:37 GMT", f"soon, {FORMS[0]}"],
)
def test_of_several_values_the_unusable_do_not_count(value: str) -> None:
    assert parse_retry_after(value, now=INSTANT - 5) == 5


def test_P1_of_several_dates_of_the_response_the_earliest_counts() -> None:
    assert parse_retry_after(FORMS[0], "Sun, 06 Nov 1994 08:49:35 GMT, " + FORMS[0]) == 2


@pytest.mark.parametrize("ahead", [86400, 86401, 10**7, 10**9])
def test_a_date_more_than_a_day_ahead(ahead: int) -> None:
    due = datetime.fromtimestamp(INSTANT + ahead, timezone.utc)
    for form in (written(due)[0], written(due)[2], due.isoformat()):
        assert parse_retry_after(form, now=INSTANT) == ahead


@pytest.mark.parametrize(
    "value",
    [
        *["1" * 10**6 + "x", " " * 10**6 + "x", "x" * 10**6, "Sun" + " " * 10**6 + "x"],
        *["Sun, 06" + " " * 10**6 + "Nov", "1994-11-06T08:49:37." + "0" * 10**6 + "x"],
        *["," * 10**6, "a," * 10**5, "Sun, " * 10**5, "06 Nov 1994 08:49:37 " * 10**5],
    ],
    ids=range(10),
)
def test_long_nonsense_takes_no_time(value: str) -> None:
    assert parse_retry_after(value, value) is None
    assert parse_retry_after(value + ",5") == 5
    assert parse_retry_after(FORMS[0], value, now=INSTANT - 5) == 5


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf, 1e300, -1e300])
@pytest.mark.parametrize("form", FORMS)
def test_no_clock_makes_it_raise(form: str, now: float) -> None:
    """Whoever gives a clock of his own may give any."""
    seconds = parse_retry_after(form, now=now)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)


def test_a_leap_second() -> None:
    date = "Sat, 31 Dec 2016 23:59:59 GMT"
    assert parse_retry_after("Sat, 31 Dec 2016 23:59:60 GMT", date) == 1


@pytest.mark.parametrize(
    ("now", "year"),
    [(2026, 2076), (2027, 2077), (1994, 1994), (2044, 2094), (2043, 1994)],
)
def test_a_year_of_two_digits(now: int, year: int) -> None:
    """RFC 9110 section 5.6.7: more than 50 years ahead is the most recent such year in the past."""

    def at(year: int) -> float:
        return datetime(year, 1, 1, 8, 49, 37, tzinfo=timezone.utc).timestamp()

    form = f"Sunday, 01-Jan-{year % 100:02} 08:49:37 GMT"
    assert parse_retry_after(form, now=at(now)) == max(0, at(year) - at(now))


PARTS = st.sampled_from([*FORMS, *VARIANTS, *ISO, "5", "9" * 400, "1e3", "nan", "Sun"])
TEXTS = (
    st.text()
    | st.text("0123456789.,:+- GMTZSunNov")
    | st.lists(PARTS | st.text(max_size=3)).map(",".join)
    | st.lists(PARTS, min_size=1).map("".join)
)


@given(TEXTS, st.none() | TEXTS, st.none() | st.text(), st.none() | st.floats())
def test_any_text_gives_none_or_a_finite_wait(
    value: str, date: str | None, age: str | None, now: float | None
) -> None:
    seconds = parse_retry_after(value, date, age=age, now=now)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)


@given(st.lists(PARTS, min_size=1, max_size=5), st.floats(0, 2e9))
def test_P1_a_value_is_never_shorter_for_the_others(parts: list[str], now: float) -> None:
    waits = [parse_retry_after(part, now=now) for part in parts]
    longest = max((wait for wait in waits if wait is not None), default=None)
    assert parse_retry_after(", ".join(parts), now=now) == longest


@given(st.integers(0, 10**15))
def test_any_number_of_seconds_is_itself(seconds: int) -> None:
    assert parse_retry_after(str(seconds)) == seconds


@given(st.decimals(0, 10**9, allow_nan=False, allow_infinity=False, places=7))
def test_P1_a_decimal_is_never_rounded_down(asked: Decimal) -> None:
    value = f"{asked:f}"
    seconds = parse_retry_after(value)
    assert seconds == float(asked.quantize(Decimal("0.001"), rounding=ROUND_CEILING))


@settings(max_examples=300)
@given(
    st.datetimes(datetime(1980, 1, 1), datetime(2060, 1, 1)),
    st.integers(0, 10**6),
    st.sampled_from(range(3)),
    st.sampled_from(range(3)),
)
def test_any_two_dates_differ_by_their_seconds(
    sent: datetime, seconds: int, form: int, date_form: int
) -> None:
    sent = sent.replace(microsecond=0)
    due = sent + timedelta(seconds=seconds)
    now = datetime(2020, 1, 1, tzinfo=timezone.utc).timestamp()
    assert parse_retry_after(written(due)[form], written(sent)[date_form], now=now) == seconds


def written(instant: datetime) -> list[str]:
    """An instant in the three forms, without the locale that strftime() heeds."""
    day, month = DAYS[instant.weekday()], MONTHS[instant.month - 1]
    clock = f"{instant:%H:%M:%S}"
    return [
        f"{day[:3]}, {instant.day:02} {month} {instant.year} {clock} GMT",
        f"{day}, {instant.day:02}-{month}-{instant.year % 100:02} {clock} GMT",
        f"{day[:3]} {month} {instant.day:2} {clock} {instant.year}",
    ]
