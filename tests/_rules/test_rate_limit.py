"""When a rate limit is over."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from polling_adapter._rules import rate_limit

NOW = 1_700_000_000.0
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"  # the same instant


def reset(now: Any = NOW, **headers: Any) -> float | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return rate_limit.reset(CaseInsensitiveDict(named), now=now)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ('"default";r=0;t=30', 30),
        ('"default"; r=0; t=30', 30),
        ("default;r=0;t=30", 30),
        ('"default";t=30;r=0;pk=:cHN0Zy4=:', 30),
        ('"default";t=30', 30),
        ('"default";r=0;t=0', 0),
        ('"default";r=50;t=30', None),
        ('"default";r=0.5;t=30', None),
        ('"default";r=0', None),
        ('"default";q=100;w=60', None),
        ('"second";r=0;t=1, "day";r=0;t=3600', 3600),
        ('"second";r=0;t=1, "day";r=900;t=3600', 1),
        ('"second";r=9;t=1, "day";r=900;t=3600', None),
        ('"second";r=0, "day";r=900;t=3600', None),
        ('"a;r=0;t=70, b";r=0;t=30', 30),
        ('"a\\",b;r=0;t=70,";r=0;t=30', 30),
        ('"a;r=0;t=30', None),
        ('"a\\";r=0;t=30', None),
        ('"default";r=0;t=-30', None),
        ('"default";r=0;t=soon', None),
        ("limit=100, remaining=0, reset=5", None),
        ("", None),
    ],
)
def test_policies(value: str, seconds: float | None) -> None:
    """draft-ietf-httpapi-ratelimit-headers: r is what is left, t the seconds until it is more."""
    assert reset(RateLimit=value) == seconds


@pytest.mark.parametrize("header", ["RateLimit_Reset", "X_RateLimit_Reset", "x_ratelimit_reset"])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30),
        ("0", 0),
        ("0.4931", 0.494),
        ("999999999", 999999999),
        ("1700000060", 60),
        ("1700000060.5", 60.5),
        ("1700000060500", 60.5),
        ("1699999999", 0),
        ("30, 60", 60),
        ("1700000060, 1700000010", 60),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("2023-11-14T22:14:20Z", 60),
        ("-1", None),
        ("nan", None),
        ("1e3", None),
        ("²", None),
        ("soon", None),
        ("", None),
    ],
)
def test_instants(header: str, value: str, seconds: float | None) -> None:
    assert reset(**{header: value}) == seconds


def test_of_thirty_years_and_more_it_is_an_instant() -> None:
    assert reset(X_RateLimit_Reset="999999999") == 999_999_999
    assert reset(X_RateLimit_Reset="1000000000") == 0


def test_an_instant_is_measured_against_the_date_of_the_response() -> None:
    """A wrong clock on either side does no harm."""
    assert reset(now=0, X_RateLimit_Reset="1700000060", Date=DATE) == 60
    assert reset(now=NOW + 1000, X_RateLimit_Reset="1700000060", Date=DATE) == 60


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}, {"Date": DATE, "Age": "50"}])
def test_else_against_this_clock(headers: dict[str, str]) -> None:
    """There is no valid Date, or it lies in the past, as the response came out of a cache."""
    assert reset(now=NOW + 50, X_RateLimit_Reset="1700000060", **headers) == 10


def test_this_clock_is_the_default() -> None:
    seconds = reset(now=None, X_RateLimit_Reset=str(math.ceil(time.time()) + 100))
    assert seconds is not None
    assert 90 <= seconds <= 101


@pytest.mark.parametrize("left", ["4999", "1", "0.5", "3, 8"])
def test_a_limit_of_which_something_is_left_has_not_refused(left: str) -> None:
    """GitHub's secondary limits: 403, and the headers of the primary one beside it."""
    assert reset(X_RateLimit_Remaining=left, X_RateLimit_Reset="60") is None
    assert reset(RateLimit_Remaining=left, RateLimit_Reset="60") is None


@pytest.mark.parametrize("left", ["0", "0.0", "-1", "", "none", "3, 0"])
def test_a_limit_that_is_used_up(left: str) -> None:
    assert reset(X_RateLimit_Remaining=left, X_RateLimit_Reset="60") == 60
    assert reset(RateLimit_Remaining=left, RateLimit_Reset="60") == 60


def test_what_is_left_of_one_limit_says_nothing_of_another() -> None:
    """A gateway and the service behind it."""
    gateway = {"RateLimit_Remaining": "9", "RateLimit_Reset": "5"}
    service = {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "60"}
    assert reset(**gateway, **service) == 60
    assert reset(RateLimit='"a";r=9;t=5', **service) == 60


def test_P1_of_several_the_last_one_to_be_over_counts() -> None:
    assert reset(RateLimit='"a";r=0;t=5', RateLimit_Reset="50", X_RateLimit_Reset="7") == 50


def test_no_header_no_time() -> None:
    assert reset(Retry_After="5", Date=DATE) is None


@given(
    st.dictionaries(
        st.sampled_from(["RateLimit", "RateLimit_Reset", "X_RateLimit_Reset"]), st.text()
    )
)
@example({"X_RateLimit_Reset": "9" * 400})
@example({"RateLimit": '"a";r=' + "9" * 400 + ";t=" + "9" * 400})
@example({"RateLimit": '"a";r=0;t=' + "9" * 400})
def test_never_an_exception(headers: dict[str, str]) -> None:
    seconds = reset(**headers)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))


def test_a_long_header_takes_little_time() -> None:
    began = time.perf_counter()
    assert reset(RateLimit='\\"' * 2**15, X_RateLimit_Reset=" " * 2**16) is None
    assert time.perf_counter() - began < 2
