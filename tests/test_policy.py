from __future__ import annotations

import dataclasses
import pickle
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import Retry

from polling_adapter import PollingPolicy, Wait

from .fake_clock import FakeClock

NUMBERS = [
    "total_timeout",
    "retry_after_max",
    "poll_timeout",
    "outage_max",
    "min_wait",
    "jitter",
    "backoff_factor",
    "backoff_max",
]
COUNTS = ["max_polls", "poll_failures"]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value", [-1, -0.001, float("nan"), float("inf"), pytest.param(10**400, id="huge")]
)
def test_numbers_out_of_range(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{name}=.* is not accepted: it takes a finite number"):
        PollingPolicy(**{name: value})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [True, "5", Decimal(5), [5], 5j])
def test_what_is_no_number(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"{name}=.* is not accepted: it takes a finite number"):
        PollingPolicy(**{name: value})


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [-1, True, 1.0, "5", float("nan")])
def test_counts(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"{name}=.* it takes a whole number >= 0"):
        PollingPolicy(**{name: value})


@pytest.mark.parametrize(
    "name", ["min_wait", "jitter", "backoff_factor", "backoff_max", "failure_statuses"]
)
def test_what_has_no_none(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}=None is not accepted"):
        PollingPolicy(**{name: None})


def test_none_is_no_limit() -> None:
    policy = PollingPolicy(total_timeout=None, retry_after_max=None, max_polls=None)
    assert (policy.total_timeout, policy.retry_after_max, policy.max_polls) == (None, None, None)


def test_two_limits_that_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="min_wait=5 is longer than retry_after_max=3"):
        PollingPolicy(min_wait=5, retry_after_max=3)


@pytest.mark.parametrize("value", [429, "429", ["429"], [True], [[429]], None, b"429"])
def test_what_are_no_statuses(value: Any) -> None:
    with pytest.raises(TypeError, match="retry_statuses=.* it takes a collection of int"):
        PollingPolicy(retry_statuses=value)


@pytest.mark.parametrize("status", [200, 303, 399, 600, -1])
def test_statuses_that_are_no_refusals(status: int) -> None:
    with pytest.raises(ValueError, match=f"retry_statuses has {status}: it takes .* 400..599"):
        PollingPolicy(retry_statuses=[429, status])


@pytest.mark.parametrize("value", ["GET", ["GET", 5], 5, b"GET"])
def test_what_are_no_methods(value: Any) -> None:
    with pytest.raises(TypeError, match="retry_methods=.* it takes a collection of str"):
        PollingPolicy(retry_methods=value)


def test_collections_of_any_kind_are_taken() -> None:
    policy = PollingPolicy(
        retry_statuses=[HTTPStatus.TOO_MANY_REQUESTS, *range(502, 505)],
        retry_methods=(method for method in ("get", "Head")),
    )
    assert policy.retry_statuses == frozenset({429, 502, 503, 504})
    assert policy.retry_methods == frozenset({"GET", "HEAD"})
    assert PollingPolicy(retry_methods=()).retry_methods == frozenset()
    assert PollingPolicy(retry_methods=Retry.DEFAULT_ALLOWED_METHODS).retry_methods


def test_hooks() -> None:
    with pytest.raises(
        TypeError, match="on_wait=5 is not accepted: it takes a callable, no class,"
    ):
        PollingPolicy(on_wait=5)  # type: ignore[arg-type]
    for no_clock in (object(), FakeClock, 5):
        with pytest.raises(TypeError, match="clock=.* it takes an object, not a class, with mono"):
            PollingPolicy(clock=no_clock)  # type: ignore[arg-type]


def test_only_names_that_there_are() -> None:
    with pytest.raises(TypeError, match="total_time"):
        PollingPolicy(total_time=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        PollingPolicy(5)  # type: ignore[misc]
    with pytest.raises(TypeError, match="total_time"):
        PollingPolicy().replace(total_time=5)


def test_it_never_changes() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PollingPolicy().jitter = 1  # type: ignore[misc]


def test_replace_checks_too() -> None:
    policy = PollingPolicy(max_polls=3)
    assert policy.replace(jitter=0) == PollingPolicy(max_polls=3, jitter=0)
    assert policy == PollingPolicy(max_polls=3)
    with pytest.raises(ValueError, match="jitter=-1"):
        policy.replace(jitter=-1)


def test_equal_policies_are_one_key() -> None:
    one, other = PollingPolicy(retry_statuses=[429]), PollingPolicy(retry_statuses={429})
    assert {one: 1}[other] == 1


def test_it_pickles() -> None:
    policy = PollingPolicy(max_polls=3, on_wait=print, retry_methods=["GET"])
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_repr_shows_what_differs_from_the_default() -> None:
    assert repr(PollingPolicy()) == "PollingPolicy()"
    policy = PollingPolicy(total_timeout=None, retry_statuses=[503, 429], jitter=0.5)
    assert repr(policy) == "PollingPolicy(total_timeout=None, jitter=0.5)"


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "total_timeout": st.none() | st.floats(0, 1e9),
            "max_polls": st.none() | st.integers(0),
            "min_wait": st.floats(0, 21600),
            "jitter": st.floats(0, 10),
            "poll_failures": st.integers(0, 100),
            "retry_statuses": st.frozensets(st.integers(400, 599)),
            "retry_methods": st.none() | st.frozensets(st.sampled_from(["GET", "PUT"])),
        },
    )
)
def test_repr_can_be_pasted(fields: dict[str, Any]) -> None:
    policy = PollingPolicy(**fields)
    assert eval(repr(policy)) == policy  # noqa: S307


def test_a_wait_never_changes() -> None:
    wait = Wait("http://x", "http://x/w", 1.0, "303 with Retry-After: 1", 1, 0.5, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        wait.seconds = 2  # type: ignore[misc]
