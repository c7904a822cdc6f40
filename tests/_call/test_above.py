"""Which redirect a request follows, as far as an adapter can tell."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests

from polling_adapter import PollingPolicy
from polling_adapter._call.above import (
    Challenged,
    Redirect,
    Redirects,
    call_after,
    challenges,
    followed_by,
    forget,
    hand_to_hooks,
    hand_to_session,
)
from polling_adapter._call.call import Call
from polling_adapter._call.handed_out import HandedOut
from polling_adapter._rules.progress import Due, Progress

from .made import URL, answer, request, response

POLICY, OTHER = PollingPolicy(max_polls=7), PollingPolicy(max_polls=8)


def in_another_thread(function: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def handed(at: float = 5.0) -> HandedOut:
    """Due at the instant ``at``."""
    due = Due(at, "303", 5, poll=True)
    return HandedOut(Progress.begin(POLICY, 0), due, "http://example.org/start", POLICY)


def redirect(at: float = 5.0, url: str = URL, *, thread: int) -> Redirect:
    return Redirect(handed(at), url, thread=thread)


def test_P1_where_it_cannot_be_told_which_is_followed_the_longest_wait_counts() -> None:
    soon, late = redirect(5, thread=1), redirect(9, thread=2)
    for own, others in ((None, {1: soon, 2: late}), (soon, {2: late}), (late, {1: soon})):
        assert Redirects(own, others).followed_by(request()) is late
    here = threading.get_ident()
    mine = redirect(1, thread=here)
    assert Redirects(late, {1: soon, here: mine}).followed_by(request()) is mine
    assert Redirects(None, {1: redirect(url=f"{URL}/2", thread=1)}).followed_by(request()) is None


def test_what_is_copied_from_a_request_may_follow_what_it_was_answered() -> None:
    call, start, other = Call(POLICY), request(method="POST"), request(f"{URL}/2")
    answered = response()
    hand_to_session(answered, start, f"{URL}/2", call)
    upcoming = start.copy()
    upcoming.url, upcoming.method = f"{URL}/2", "GET"
    assert followed_by(other) is None  # it merely asks for the same
    found = followed_by(upcoming)
    assert found is not None
    assert found.url == f"{URL}/2"
    assert found.is_mine
    forget(found, upcoming)
    assert followed_by(upcoming) is None


def test_what_leads_to_its_own_address_is_followed_by_what_was_answered_itself() -> None:
    """Until a session has followed it: then who sends the same again begins anew."""
    call, start = Call(POLICY), request()
    answered = answer(start)
    hand_to_session(answered, start, URL, call)
    assert followed_by(start) is not None
    assert followed_by(start.copy()) is not None
    assert followed_by(start) is None


def test_P9_through_a_pickle_it_is_known_still() -> None:
    start = request()
    hand_to_session(answer(start), start, f"{URL}/2", Call(POLICY))
    upcoming = pickle.loads(pickle.dumps(start.copy()))
    upcoming.url = f"{URL}/2"
    found = followed_by(upcoming)
    assert found is not None
    assert not found.is_mine


def test_a_copy_answers_a_challenge_while_hooks_see_it() -> None:
    start, call = request(hooks={"response": [print]}), Call(POLICY)
    hand_to_hooks(response(401, None), start, call, start.hooks)
    (challenged,) = challenges(start.copy())
    assert challenged.request() is start
    assert in_another_thread(lambda: challenges(start.copy())) == []
    for _ in start.hooks["response"]:
        for _ in start.hooks["response"]:  # by what one of them sends
            pass
        assert challenges(start.copy()) == [challenged]
    assert challenges(start.copy()) == []


def test_another_thread_does_not_end_a_challenge() -> None:
    challenged = Challenged(handed(), request())
    challenged.begins()
    in_another_thread(challenged.ends)
    assert not challenged.is_over
    challenged.ends()
    assert challenged.is_over


@pytest.mark.parametrize(
    ("given", "policy", "counts"),
    [
        (handed(), None, POLICY),
        (handed(), OTHER, OTHER),
        (None, None, OTHER),
        (None, POLICY, POLICY),
    ],
)
def test_the_call_that_follows_keeps_to_the_policy_that_it_had(
    given: HandedOut | None, policy: PollingPolicy | None, counts: PollingPolicy
) -> None:
    upcoming: requests.PreparedRequest = request()
    call = call_after(given, OTHER, policy, upcoming)
    assert call.policy is counts
    assert (call.job.due, call.job.upcoming) == (
        (None, None) if given is None else (given.due, upcoming)
    )
