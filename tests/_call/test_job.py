"""Where a call stands, as a value: what comes next, and what a token holds of it."""

from __future__ import annotations

from typing import Any

import pytest

from polling_adapter import PollingPolicy
from polling_adapter._call.job import Job
from polling_adapter._call.parcel import Unprepared
from polling_adapter._rules.progress import Due, Progress
from polling_adapter._rules.token import Token

from .made import URL, answer, request, response

NOW, WALL = 1000.0, 1_700_000_000.0
START = request("http://example.org/start", "POST", data=b"body")
POLL = request()


def begun(**changes: Any) -> Progress:
    return Progress.begin(PollingPolicy(total_timeout=60), NOW - 10)._replace(**changes)


def token_of(job: Job, *headers: str, pending: bool = False) -> Token:
    token = job.token(NOW, WALL, "http://example.org/start", pending, headers)
    assert token is not None
    return token


def test_a_start_that_is_yet_to_be_sent() -> None:
    job = Job(begun(), upcoming=Unprepared("POST", URL, {"json": {}}))
    assert job.resumable() is job.upcoming
    assert not job.is_begun
    assert token_of(job).has_body


@pytest.mark.parametrize(("method", "may"), [("POST", False), ("PUT", True), ("GET", True)])
def test_P6_a_start_without_an_answer_is_sent_again_only_if_it_is_idempotent(
    method: str, may: bool
) -> None:
    sent = request(method=method)
    job = Job(begun(), upcoming=sent, request=sent, unanswered=True)
    assert job.may_be_sent(sent) is may
    assert job.resumable() is (sent if may else None)
    assert (job.token(NOW, WALL, URL, False, ()) is not None) is may


def test_P6_or_has_an_idempotency_key_which_its_token_asks_for() -> None:
    sent = request(method="POST", headers={"Idempotency-Key": "7"})
    job = Job(begun(), upcoming=sent, request=sent, unanswered=True)
    assert job.resumable() is sent
    assert token_of(job).needs_key


def test_a_redirect_leads_to_what_requests_makes_of_it() -> None:
    job = Job(begun(), request=START, response=answer(START, 303, "/work/42"))
    upcoming: Any = job.resumable()
    assert (upcoming.method, upcoming.url) == ("GET", "http://example.org/work/42")
    assert job.leads_on


def test_a_body_is_not_rewound_to_look_where_a_redirect_leads() -> None:
    class Body:
        def read(self, _: int = -1) -> bytes:
            raise AssertionError

        tell = seek = read

    started = request(method="POST")
    started.body, started._body_position = Body(), 0  # type: ignore[assignment]
    assert Job(begun(), request=started, response=answer(started, 307, "/w")).leads_on


@pytest.mark.parametrize("location", [None, "", "http://[", "mailto:somebody"])
def test_P6_where_an_answer_leads_nowhere_the_poll_can_be_asked_again(location: str | None) -> None:
    job = Job(begun(polls=1), request=POLL, response=answer(POLL, 303, location))
    assert job.resumable() is POLL
    assert Job(begun(), request=START, response=answer(START, 303, location)).resumable() is None


def test_P6_a_result_of_a_start_leads_nowhere() -> None:
    assert Job(begun(), request=START, response=answer(START, 200, None)).resumable() is None


def test_P6_a_post_in_mid_job_is_sent_again_only_where_it_was_refused() -> None:
    onward = request(method="POST", data=b"body")
    for status, expected in ((401, onward), (200, None)):
        job = Job(begun(polls=1), request=onward, response=answer(onward, status, None))
        assert job.resumable() is expected


def test_a_request_that_was_answered_in_another_call() -> None:
    handed = response()
    handed.request = START
    assert Job(begun(), response=handed).asked is START
    assert Job(begun(), request=POLL, response=handed).asked is POLL
    assert Job(begun()).asked is None


def test_P10_a_poll_that_is_due_counts_in_its_token() -> None:
    due = Due(NOW + 5, "303", 5, poll=True, storable=True)
    job = Job(begun(polls=2, counted=2), due, request=POLL, response=answer(POLL))
    token = token_of(job)
    assert (token.polls, token.counted, token.asked) == (3, 3, 5)
    assert (token.due, token.elapsed, token.left) == (WALL + 5, 15, 45)
    assert token.no_cache


def test_P2_a_past_instant_stays_past() -> None:
    job = Job(begun(polls=1), Due(NOW - 5, "303", 5), POLL)
    assert WALL - 5.01 < token_of(job).due <= WALL - 5
    assert token_of(job).elapsed == 10


def test_an_answer_that_stands_may_say_when_to_ask_again() -> None:
    job = Job(begun(polls=1), request=POLL, response=answer(POLL, 404, None))
    assert token_of(job).due < WALL
    assert token_of(job._replace(held=Due(NOW + 30, "404", 30))).due == WALL + 30


def test_what_a_token_holds_of_a_request() -> None:
    upcoming = request("http://user:secret@example.org/w?a=b", headers={"X-A": "1", "X-B": "2"})
    token = token_of(Job(begun(polls=1), upcoming=upcoming), "X-A", "X-C", pending=True)
    assert token.url == "http://example.org/w?a=b"
    assert token.headers == {"X-A": "1"}
    assert token.pending
    assert not token.has_body


def test_P10_a_job_that_is_resumed_is_the_same() -> None:
    failing = begun(polls=3, counted=3, pauses=0, failures=2, failing_since=NOW - 4, redirects=1)
    token = Token.parse(str(token_of(Job(failing, Due(NOW + 5, "502", 5), POLL))))
    later = 50_000.0
    job = Job.resumed(token, later, WALL, total=60)
    assert job.due is not None
    assert (job.due.at, job.due.jitter) == (later + 5, False)
    assert job.progress._replace(started=0, deadline=0, failing_since=0) == failing._replace(
        started=0, deadline=0, failing_since=0
    )
    progress = job.progress
    assert (later - progress.started, progress.left(later)) == (10, 50)
    assert later - progress.failing_since == 4
