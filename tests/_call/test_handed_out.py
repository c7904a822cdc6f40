"""What a redirect that is handed out says to the call that follows it."""

from __future__ import annotations

import pickle
import weakref
from typing import Any

import pytest

from polling_adapter import PollingPolicy
from polling_adapter._call.handed_out import HandedOut
from polling_adapter._rules.progress import Due, Progress

from ..fake_clock import FakeClock
from .made import answer, request, response


def handed(policy: PollingPolicy, **changes: Any) -> HandedOut:
    """Of a call that has begun 10 s ago, whose next poll is due in 5."""
    now = policy.clock.monotonic()
    progress = Progress.begin(policy, now - 10)._replace(polls=2, counted=2, redirects=3)
    due = Due(now + 5, "303", 5, poll=True)
    return HandedOut(progress, due, "http://example.org/start", policy)._replace(**changes)


@pytest.fixture
def policy(clock: FakeClock) -> PollingPolicy:
    return PollingPolicy(clock=clock, total_timeout=60)


def test_the_call_that_follows_goes_on_with_its_count_and_its_time(policy: PollingPolicy) -> None:
    upcoming, now = request(), policy.clock.monotonic()
    job = handed(policy).job(policy, upcoming)
    assert job.upcoming is upcoming
    assert job.due == Due(now + 5, "303", 5, poll=True)
    assert (job.progress.polls, job.progress.counted, job.progress.left(now)) == (2, 2, 50)
    assert job.progress.redirects == 0  # to requests it is a call of its own


def test_by_another_policy_the_deadline_is_that_of_the_other(policy: PollingPolicy) -> None:
    job = handed(policy).job(policy.replace(total_timeout=100), None)
    assert job.progress.left(policy.clock.monotonic()) == 90
    assert job.progress.counted == 2


def test_where_no_time_is_left_of_what_lay_in_the_callers_hands_it_begins_anew(
    policy: PollingPolicy, clock: FakeClock
) -> None:
    one = handed(policy)
    clock.now += 1000
    progress = one.job(policy, None).progress
    assert (progress.left(clock.now), progress.counted, progress.polls) == (60, 0, 2)


def test_what_a_session_follows_now_ends_with_its_call(
    policy: PollingPolicy, clock: FakeClock
) -> None:
    redirect = response()
    redirect.history = [response()]
    redirect._next = request()  # type: ignore[attr-defined]
    one = handed(policy, response=weakref.ref(redirect))
    clock.now += 1000
    assert not one.is_kept
    assert one.job(policy, None).progress.left(clock.now) == 0


def test_P1_in_another_process_the_wall_clock_says_when_it_is_due(policy: PollingPolicy) -> None:
    there = pickle.loads(pickle.dumps(handed(policy)))
    clock = FakeClock()  # another machine has run for longer, and knows the same time of day
    clock.now += 50_000
    clock._epoch -= 50_000
    job = there.job(policy.replace(clock=clock), None)
    assert there.policy is None
    assert job.due is not None
    assert job.due.at >= clock.now + 5
    assert job.progress.left(clock.now) == 60


def test_the_response_is_known_as_long_as_somebody_has_it(policy: PollingPolicy) -> None:
    redirect = answer(request())
    one = handed(policy, response=weakref.ref(redirect))
    assert one.job(policy, None).response is redirect
    del redirect
    assert one.job(policy, None).response is None
