"""Every decision, without I/O and in no time."""

from __future__ import annotations

import pytest

from polling_adapter import PollingPolicy
from polling_adapter._poll import Answer, Due, GiveUp, Pause, Poll, is_poll

NOW, WALL = 1000.0, 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT
PLAIN = PollingPolicy(min_wait=0, jitter=0)


def poll_of(policy: PollingPolicy = PLAIN, random: float = 0.0, polls: int = 0) -> Poll:
    poll = Poll(policy, NOW, random=lambda: random)
    for _ in range(polls):
        assert isinstance(followed(poll, redirect("0")), Pause)
    return poll


def followed(poll: Poll, answer: Answer, now: float = NOW) -> Pause | GiveUp:
    due = poll.redirected(answer, now, WALL)
    assert due is not None
    return poll.pause(due, now)


def seconds(due: Due | GiveUp | None) -> float:
    assert isinstance(due, Due)
    return due.at - NOW


def redirect(retry_after: str | None = None, status: int = 303, **headers: str) -> Answer:
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return Answer("GET", status, {"Location": "/work", **headers})


def answer(status: int, retry_after: str | None = None, method: str = "GET") -> Answer:
    return Answer(method, status, {} if retry_after is None else {"Retry-After": retry_after})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_P3_a_poll_is_a_redirect_that_carries_retry_after(status: int) -> None:
    assert is_poll(status, redirect("1").headers)
    assert not is_poll(status, redirect().headers)
    assert not is_poll(status, {"Retry-After": "1"})


@pytest.mark.parametrize("status", [200, 201, 202, 300, 304, 305, 306, 404, 503])
def test_P3_no_other_status_is_a_poll(status: int) -> None:
    assert not is_poll(status, redirect("1").headers)


def test_P3_a_redirect_without_retry_after_is_followed_at_once() -> None:
    poll = poll_of(PLAIN.replace(max_polls=0, total_timeout=0))
    assert poll.redirected(redirect(), NOW + 9, WALL) is None
    assert poll.polls == 0


def test_P1_a_poll_is_due_when_the_server_says() -> None:
    poll = poll_of()
    due = poll.redirected(redirect("3"), NOW, WALL)
    assert due == Due(NOW + 3, "303 with Retry-After: 3", poll=True)
    assert poll.pause(due, NOW) == Pause(3, NOW + 3)
    assert poll.pause(due, NOW + 2) == Pause(1, NOW + 3)
    assert poll.pause(due, NOW + 5) == Pause(0, NOW + 5)


def test_a_date_is_measured_against_the_date_of_the_response() -> None:
    headers = {"Date": "Sun, 06 Nov 1994 08:49:30 GMT"}
    date = redirect("Sun, 06 Nov 1994 08:49:40 GMT", **headers)
    assert seconds(poll_of().redirected(date, NOW, WALL)) == 10


def test_a_date_out_of_a_cache_is_measured_against_the_clock() -> None:
    headers = {"Date": "Sun, 06 Nov 1994 08:00:00 GMT", "Age": "2977"}
    date = redirect("Sun, 06 Nov 1994 08:49:40 GMT", **headers)
    assert seconds(poll_of().redirected(date, NOW, WALL)) == 3


@pytest.mark.parametrize("random", [0.0, 0.5, 0.999])
def test_P1_P2_jitter_only_adds(random: float) -> None:
    pause = followed(poll_of(PLAIN.replace(jitter=0.1), random), redirect("10"))
    assert isinstance(pause, Pause)
    assert pause.seconds == pytest.approx(10 + random)
    assert 10 <= pause.seconds < 11


def test_jitter_gives_way_to_the_deadline() -> None:
    policy = PLAIN.replace(jitter=1, total_timeout=10.5)
    assert followed(poll_of(policy, random=0.9), redirect("10")) == Pause(10.25, NOW + 10.25)
    assert followed(poll_of(policy, random=0.9), redirect("10.5")) == Pause(10.5, NOW + 10.5)


def test_min_wait_is_the_floor() -> None:
    assert (
        seconds(poll_of(PLAIN.replace(min_wait=0.25)).redirected(redirect("0"), NOW, WALL)) == 0.25
    )


def test_a_malformed_header_backs_off_until_a_good_one_comes() -> None:
    poll = poll_of(PLAIN.replace(backoff_factor=1, backoff_max=5))
    values = ["abc", "", "-1", "soon", "2", "abc"]
    dues = [poll.redirected(redirect(value), NOW, WALL) for value in values]
    assert [seconds(due) for due in dues] == [1, 2, 4, 5, 2, 1]
    assert [due.smooth for due in dues if due] == [False, False, False, False, True, False]


def test_a_reason_shows_no_more_than_an_excerpt_of_a_header() -> None:
    due = poll_of().redirected(redirect("a\nb" * 1000), NOW, WALL)
    assert due is not None
    assert len(due.reason) < 120
    assert "\n" not in due.reason


def test_P8_max_polls() -> None:
    verdict = followed(poll_of(PLAIN.replace(max_polls=2), polls=2), redirect("0"))
    assert isinstance(verdict, GiveUp)
    assert verdict.limit == "max_polls"
    assert "max_polls=2" in verdict.reason


def test_P8_a_wait_that_would_end_past_the_deadline() -> None:
    verdict = followed(poll_of(PLAIN.replace(total_timeout=60)), redirect("30"), NOW + 48)
    assert isinstance(verdict, GiveUp)
    assert verdict.limit == "total_timeout"
    assert "due in 30 s" in verdict.reason
    assert "12 s are left of total_timeout=60" in verdict.reason


def test_a_wait_that_just_fits() -> None:
    verdict = followed(poll_of(PLAIN.replace(total_timeout=60)), redirect("30"), NOW + 30)
    assert isinstance(verdict, Pause)


def test_no_limit() -> None:
    poll = poll_of(PLAIN.replace(total_timeout=None, retry_after_max=None))
    assert poll.left(NOW + 1e9) is None
    assert isinstance(followed(poll, redirect("9999999999")), Pause)


def test_retry_after_max_refuses_and_never_clips() -> None:
    policy = PLAIN.replace(total_timeout=None)
    assert isinstance(followed(poll_of(policy), redirect("21600")), Pause)
    verdict = followed(poll_of(policy), redirect("21601"))
    assert isinstance(verdict, GiveUp)
    assert verdict.limit == "retry_after_max"
    assert "21601 s" in verdict.reason
    assert "retry_after_max=21600" in verdict.reason


def test_what_is_over_by_now_is_not_too_long() -> None:
    poll = poll_of(PLAIN.replace(retry_after_max=60))
    due = poll.redirected(redirect("100"), NOW, WALL)
    assert due is not None
    assert isinstance(poll.pause(due, NOW + 30), GiveUp)
    assert isinstance(poll.pause(due, NOW + 40), Pause)


@pytest.mark.parametrize("status", [429, 503])
def test_P4_refusals_are_asked_again(status: int) -> None:
    for method in ("GET", "POST", "PUT"):
        assert seconds(poll_of().answered(answer(status, "7", method), NOW, WALL)) == 7


@pytest.mark.parametrize("status", [200, 303, 404, 413, 429, 500, 502, 503, 504])
def test_P4_nothing_is_asked_again_that_names_no_time(status: int) -> None:
    assert poll_of().answered(answer(status), NOW, WALL) is None


def test_P4_retry_statuses_and_retry_methods_restrict() -> None:
    assert poll_of(PLAIN.replace(retry_statuses=())).answered(answer(429, "1"), NOW, WALL) is None
    assert poll_of(PLAIN.replace(retry_statuses=[418])).answered(answer(418, "1"), NOW, WALL)
    only_get = poll_of(PLAIN.replace(retry_methods={"get"}))
    assert only_get.answered(answer(429, "1", "POST"), NOW, WALL) is None
    assert only_get.answered(answer(429, "1", "GET"), NOW, WALL)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_P6_a_failed_poll_is_survived_a_number_of_times_in_a_row(status: int) -> None:
    poll = poll_of(PLAIN.replace(poll_failures=2, backoff_factor=1), polls=1)
    for _ in range(3):  # a good answer in between starts the count anew
        dues = [poll.answered(answer(status), NOW, WALL) for _ in range(2)]
        assert [seconds(due) for due in dues] == [1, 2]
        assert poll.answered(redirect("1"), NOW, WALL) is None
    poll.answered(answer(status), NOW, WALL)
    poll.failed("GET", "ConnectionError", False, NOW)
    verdict = poll.answered(answer(status), NOW, WALL)
    assert isinstance(verdict, GiveUp)
    assert verdict.limit == "poll_failures"


def test_P6_only_a_poll_is_survived() -> None:
    assert poll_of().failed("GET", "ConnectionError", False, NOW) is None
    assert poll_of(polls=1).failed("POST", "ConnectionError", False, NOW) is None
    assert isinstance(poll_of(polls=1).failed("HEAD", "ConnectionError", False, NOW), Due)


def test_P1_a_failure_that_names_a_time_is_believed() -> None:
    poll = poll_of(PLAIN.replace(backoff_factor=1), polls=1)
    assert seconds(poll.answered(answer(502, "9"), NOW, WALL)) == 9


def test_P8_a_timeout_at_the_deadline_is_the_deadlines() -> None:
    poll = poll_of(PLAIN.replace(total_timeout=5))
    assert poll.failed("POST", "ReadTimeout", True, NOW + 4) is None
    verdict = poll.failed("POST", "ReadTimeout", True, NOW + 5)
    assert verdict == GiveUp("total_timeout", "ReadTimeout: 0 s are left of total_timeout=5")


def test_the_tally() -> None:
    poll = poll_of(polls=1)
    for _ in range(40):
        poll.answered(redirect("1"), NOW, WALL)
    poll.answered(answer(502), NOW, WALL)
    poll.failed("GET", "ReadTimeout", True, NOW)
    assert poll.tally() == "303 x 40, 502 x 1, ReadTimeout x 1"
