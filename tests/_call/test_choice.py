"""``polling=`` goes from ``request()`` to ``send()`` among the hooks, and is none of them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import requests

from polling_adapter import PollingPolicy
from polling_adapter._call.call import Call
from polling_adapter._call.choice import Choice, carrying, checked, chosen, take_choice

from .made import request

OWN = PollingPolicy(max_polls=7)


@pytest.mark.parametrize(
    ("of_the_request", "of_the_session", "callers"),
    [
        (None, None, []),
        ({"response": print}, {"response": repr}, [print]),
        ({"response": (print, repr)}, None, [print, repr]),
        (None, {"response": [repr]}, [repr]),
        ({"response": []}, {"response": [repr]}, [repr]),
    ],
)
def test_what_is_taken_leaves_the_hooks_as_requests_merges_them(
    of_the_request: Any, of_the_session: Any, callers: list[Any]
) -> None:
    with requests.Session() as session:
        session.hooks = of_the_session
        made = request(hooks=carrying(OWN, of_the_request, session))
    assert take_choice(made) is OWN
    assert made.hooks == {"response": callers}
    assert take_choice(made) is None


def test_the_callers_own_hooks_are_left_as_they_are() -> None:
    mine = [print]
    with requests.Session() as session:
        carrying(OWN, {"response": mine}, session)
    assert mine == [print]


def test_the_latest_counts() -> None:
    """A class in between may have called request() with one of its own."""
    with requests.Session() as session:
        made = request(hooks=carrying(False, carrying(OWN, None, session), session))
    assert take_choice(made) is False
    assert made.hooks == {"response": []}


def test_P9_a_policy_goes_with_a_pickle_and_a_job_stays() -> None:
    call = Call(OWN)
    assert pickle.loads(pickle.dumps(Choice(OWN))).polling == OWN
    assert pickle.loads(pickle.dumps(Choice(call))).polling is None
    assert copy.deepcopy(Choice(call)).polling is call


@pytest.mark.parametrize("other", [True, None, 0, 5, "OWN", PollingPolicy])
def test_what_is_no_choice_is_refused(other: Any) -> None:
    assert chosen(OWN) is checked(OWN) is OWN
    assert chosen(False) is False
    with pytest.raises(TypeError, match=r"polling=.* is not accepted: it takes a PollingPolicy or"):
        chosen(other)
    with pytest.raises(TypeError, match=r"before=.* is not accepted: it takes a PollingPolicy"):
        checked(other, "before")
