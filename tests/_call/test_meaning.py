"""What the policy makes of an answer."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from polling_adapter import PollingPolicy, WorkFailed
from polling_adapter._call.meaning import (
    Meaning,
    find_meaning,
    is_known,
    meaning_of,
    presume,
    redirect_of,
    shown_as_redirect,
)
from polling_adapter.pending import Result

from .made import URL, answer, request

WALL = 1_700_000_000.0


def found(answered: requests.Response, policy: PollingPolicy, is_result: bool = False) -> Meaning:
    assert find_meaning(answered, policy, WALL, lambda: False, is_result)
    assert is_known(answered)
    return meaning_of(answered)


def saying(said: Any) -> PollingPolicy:
    return PollingPolicy(pending=lambda response: said)


def plain(status: int = 200, **headers: str) -> requests.Response:
    return answer(request(), status, None, **headers)


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        (False, Meaning()),
        (None, Meaning()),
        ("", Meaning()),
        (True, Meaning(URL)),
        ("/other", Meaning("/other")),
        (Result("/result"), Meaning("/result", is_result=True)),
        ("/ö", Meaning("/Ã¶")),  # as http.client reads the bytes of a Location
    ],
)
def test_what_pending_says(said: Any, meaning: Meaning) -> None:
    assert found(plain(), saying(said)) == meaning


@pytest.mark.parametrize(
    ("status", "headers", "location"),
    [
        (201, {"Location": "/job"}, "/job"),
        (202, {"Location": "/job", "Content-Location": "/other"}, "/job"),
        (202, {"Content-Location": "/job"}, "/job"),
        (202, {}, URL),
        (200, {"Location": "/job"}, URL),
        (200, {"Content-Location": "/job"}, URL),
    ],
)
def test_where_to_ask_again(status: int, headers: dict[str, str], location: str) -> None:
    assert found(plain(status, **headers), saying(True)).location == location


def test_it_is_asked_about_what_may_be_the_result_alone() -> None:
    def fail(_: requests.Response) -> bool:
        raise AssertionError

    asked = PollingPolicy(pending=fail)
    events = {"Content-Type": "text/event-stream; charset=utf-8"}
    for answered in (plain(303), plain(404), plain(503), plain(200, **events)):
        assert found(answered, asked) == Meaning()
    assert found(plain(), asked, is_result=True) == Meaning()


def test_what_it_returns_that_means_nothing() -> None:
    with pytest.raises(TypeError, match=r"returned 1: it may return True, False, None, a URL, or"):
        find_meaning(plain(), saying(1), WALL, lambda: False, is_result=False)


def test_an_error_of_its_own_has_the_response_and_not_the_view() -> None:
    def failed(response: requests.Response) -> bool:
        raise WorkFailed("no", response=response)

    answered = plain()
    with pytest.raises(WorkFailed) as caught:
        found(answered, PollingPolicy(pending=failed))
    assert caught.value.response is answered
    assert redirect_of(answered) is answered


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {}, 7.0),
        (429, {"Retry-After": "soon"}, 7.0),
        (429, {"Retry-After": "3"}, None),
        (303, {"Location": "/w", "Retry-After": "soon"}, 7.0),
        (303, {"Location": "/w"}, None),
        (404, {}, None),
        (200, {}, None),
    ],
)
def test_seconds_are_asked_for_where_an_answer_asks_to_wait_and_names_none(
    status: int, headers: dict[str, str], seconds: float | None
) -> None:
    policy = PollingPolicy(retry_after=lambda response: 7)
    assert found(plain(status, **headers), policy).seconds == seconds


@pytest.mark.parametrize("named", ["7", True, float("nan"), float("inf"), 10**400])
def test_what_is_no_number_of_seconds(named: Any) -> None:
    with pytest.raises(TypeError, match="retry_after returned"):
        found(plain(429), PollingPolicy(retry_after=lambda response: named))


def test_a_pending_answer_stands_for_a_303_and_stays_what_it_is() -> None:
    answered = plain(202, **{"Location": "/job", "Retry-After": "3"})
    found(answered, saying(True))
    stood_for = redirect_of(answered)
    assert (stood_for.status_code, stood_for.headers["Location"]) == (303, "/job")
    assert stood_for.headers["Retry-After"] == "3"
    assert stood_for.is_redirect
    assert redirect_of(stood_for) is stood_for
    assert (answered.status_code, answered.is_redirect) == (202, False)


def test_hooks_take_it_for_a_redirect_while_they_see_it() -> None:
    answered = plain(202, Location="/job")
    found(answered, saying(True))
    with shown_as_redirect(answered):
        assert answered.is_redirect
    assert not answered.is_redirect
    with shown_as_redirect(plain()) as _:
        assert type(answered) is requests.Response


def test_P6_until_it_is_said_the_job_is_where_the_answer_says() -> None:
    for method, status, location in (
        ("POST", 201, "/job"),
        ("POST", 202, "/job"),
        ("GET", 200, None),
        ("POST", 200, None),
    ):
        answered = answer(request(method=method), status, location)
        presume(answered, saying(True))
        asked = URL if method == "GET" else None
        assert meaning_of(answered) == Meaning(location or asked, is_presumed=True)
        assert not is_known(answered)
