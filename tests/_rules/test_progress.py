"""Every decision, without I/O and in no time."""

from __future__ import annotations

from typing import Any

import pytest

from polling_adapter import PollingPolicy
from polling_adapter._rules.answer import Answer, is_poll, is_repeatable
from polling_adapter._rules.progress import Due, GiveUp, Progress

NOW, WALL = 1000.0, 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT
PLAIN = PollingPolicy(min_wait=0, jitter=0)


class Call:
    """A progress, replaced by each fact."""

    def __init__(self, policy: PollingPolicy = PLAIN, random: float = 0.0, polls: int = 0) -> None:
        self.policy = policy
        self.random = random
        self.progress = Progress.begin(policy, NOW)
        for _ in range(polls):
            assert isinstance(self.followed(redirect("0")), float)

    def answered(self, answer: Answer, now: float = NOW) -> Due | GiveUp | None:
        self.progress, verdict = self.progress.answered(answer, self.policy, now, WALL)
        return verdict

    def failed(
        self, method: str, what: str = "ReadTimeout", timed_out: bool = True, now: float = NOW
    ) -> Due | GiveUp | None:
        self.progress, verdict = self.progress.failed(
            method, what, self.policy, now, timed_out=timed_out
        )
        return verdict

    def pause(self, due: Due | GiveUp | None, now: float = NOW) -> float | GiveUp:
        """The seconds to wait."""
        assert isinstance(due, Due)
        verdict = self.progress.pause(due, self.policy, now, self.random)
        if isinstance(verdict, GiveUp):
            return verdict
        self.progress, until = verdict
        return until - now

    def followed(self, answer: Answer, now: float = NOW) -> float | GiveUp:
        return self.pause(self.answered(answer, now), now)


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


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
def test_P6_what_may_be_sent_twice(method: str) -> None:
    assert is_repeatable(method, {})


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_P6_what_may_not_unless_it_has_a_key(method: str) -> None:
    assert not is_repeatable(method, {})
    assert not is_repeatable(method, {"Idempotency-Key": ""})
    assert is_repeatable(method, {"Idempotency-Key": "1"})


def test_P3_a_redirect_without_retry_after_is_followed_at_once() -> None:
    call = Call(PLAIN.replace(max_polls=0, total_timeout=0))
    assert call.answered(redirect(), NOW + 9) is None
    assert call.progress.polls == 0


def test_P3_a_redirect_that_leads_nowhere_is_no_poll() -> None:
    assert Call().answered(Answer("GET", 303, {"Location": "", "Retry-After": "5"})) is None


def test_P1_a_poll_is_due_when_the_server_says() -> None:
    call = Call()
    due = call.answered(redirect("3"))
    assert due == Due(NOW + 3, "303 with Retry-After: 3", asked=3, poll=True)
    assert call.pause(due, NOW) == 3
    assert call.pause(due, NOW + 2) == 1
    assert call.pause(due, NOW + 5) == 0


def test_a_fact_changes_no_progress_that_somebody_has() -> None:
    call = Call()
    before = call.progress
    call.followed(redirect("3"))
    assert before == Progress.begin(PLAIN, NOW)
    assert call.progress.polls == 1


def test_a_date_is_measured_against_the_date_of_the_response() -> None:
    headers = {"Date": "Sun, 06 Nov 1994 08:49:30 GMT"}
    date = redirect("Sun, 06 Nov 1994 08:49:40 GMT", **headers)
    assert seconds(Call().answered(date)) == 10


def test_a_date_out_of_a_cache_is_measured_against_the_clock() -> None:
    headers = {"Date": "Sun, 06 Nov 1994 08:00:00 GMT", "Age": "2977"}
    date = redirect("Sun, 06 Nov 1994 08:49:40 GMT", **headers)
    assert seconds(Call().answered(date)) == 3


@pytest.mark.parametrize("random", [0.0, 0.5, 0.999])
def test_P1_P2_jitter_only_adds(random: float) -> None:
    waited = Call(PLAIN.replace(jitter=0.1), random).followed(redirect("10"))
    assert waited == pytest.approx(10 + random)
    assert 10 <= waited < 11


def test_jitter_gives_way_to_the_deadline() -> None:
    policy = PLAIN.replace(jitter=1, total_timeout=10.5)
    assert Call(policy, random=0.9).followed(redirect("10")) == 10.25
    assert Call(policy, random=0.9).followed(redirect("10.5")) == 10.5


def test_min_wait_is_the_floor() -> None:
    assert seconds(Call(PLAIN.replace(min_wait=0.25)).answered(redirect("0"))) == 0.25


def test_a_malformed_header_backs_off_until_a_good_one_comes() -> None:
    call = Call(PLAIN.replace(backoff_factor=1, backoff_max=5))
    values = ["abc", "", "-1", "soon", "2", "abc"]
    dues = [call.answered(redirect(value)) for value in values]
    assert [seconds(due) for due in dues] == [1, 2, 4, 5, 2, 1]
    wrong = [due.wrong for due in dues if isinstance(due, Due)]
    assert wrong == [True, True, True, True, False, True]


def test_a_reason_shows_no_more_than_an_excerpt_of_a_header() -> None:
    due = Call().answered(redirect("a\nb" * 1000))
    assert isinstance(due, Due)
    assert len(due.reason) < 120
    assert "\n" not in due.reason


def test_P8_max_polls() -> None:
    verdict = Call(PLAIN.replace(max_polls=2), polls=2).followed(redirect("0"))
    assert isinstance(verdict, GiveUp)
    assert verdict.limit == "max_polls"
    assert "max_polls=2" in verdict.reason


def test_P8_a_wait_that_would_end_past_the_deadline() -> None:
    verdict = Call(PLAIN.replace(total_timeout=60)).followed(redirect("30"), NOW + 48)
    assert isinstance(verdict, GiveUp)
    assert verdict.limit == "total_timeout"
    assert "due in 30 s" in verdict.reason
    assert "12 s are left of total_timeout=60" in verdict.reason


def test_a_wait_that_just_fits() -> None:
    assert Call(PLAIN.replace(total_timeout=60)).followed(redirect("30"), NOW + 30) == 30


def test_no_limit() -> None:
    call = Call(PLAIN.replace(total_timeout=None, retry_after_max=None))
    assert call.progress.left(NOW + 1e9) is None
    assert call.progress.deadline is None
    assert call.followed(redirect("9999999999")) == 9999999999


def test_retry_after_max_refuses_and_never_clips() -> None:
    policy = PLAIN.replace(total_timeout=None)
    assert Call(policy).followed(redirect("21600")) == 21600
    verdict = Call(policy).followed(redirect("21601"))
    assert isinstance(verdict, GiveUp)
    assert verdict.limit == "retry_after_max"
    assert "21601 s" in verdict.reason
    assert "retry_after_max=21600" in verdict.reason


def test_what_is_over_by_now_is_not_too_long() -> None:
    call = Call(PLAIN.replace(retry_after_max=60))
    due = call.answered(redirect("100"))
    assert isinstance(call.pause(due, NOW + 30), GiveUp)
    assert call.pause(due, NOW + 40) == 60


def test_P8_nothing_is_sent_after_the_end() -> None:
    call = Call(PLAIN.replace(total_timeout=60))
    assert call.progress.overdue(NOW + 60) is None
    assert call.progress.overdue(NOW + 60.001) == GiveUp(
        "total_timeout", "0 s are left of total_timeout=60"
    )


@pytest.mark.parametrize("status", [429, 503])
def test_P4_refusals_are_asked_again(status: int) -> None:
    for method in ("GET", "POST", "PUT"):
        assert seconds(Call().answered(answer(status, "7", method))) == 7


@pytest.mark.parametrize("status", [200, 303, 404, 413, 429, 500, 502, 503, 504])
def test_P4_nothing_is_asked_again_that_names_no_time(status: int) -> None:
    assert Call().answered(answer(status)) is None


def test_P4_retry_statuses_and_retry_methods_restrict() -> None:
    assert Call(PLAIN.replace(retry_statuses=())).answered(answer(429, "1")) is None
    assert Call(PLAIN.replace(retry_statuses=[418])).answered(answer(418, "1"))
    only_get = Call(PLAIN.replace(retry_methods={"get"}))
    assert only_get.answered(answer(429, "1", "POST")) is None
    assert only_get.answered(answer(429, "1", "GET"))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 524, 530])
def test_P6_a_failed_poll_is_survived_a_number_of_times_in_a_row(status: int) -> None:
    call = Call(PLAIN.replace(poll_failures=2, backoff_factor=1), polls=1)
    for good in (redirect("1"), answer(200), redirect("1")):  # in between, the count starts anew
        dues = [call.answered(answer(status)) for _ in range(2)]
        assert [seconds(due) for due in dues] == [1, 2]
        call.answered(good)
    call.answered(answer(status))
    call.failed("GET")
    verdict = call.answered(answer(status))
    assert isinstance(verdict, GiveUp)
    assert verdict.reason.endswith("outlasts poll_failures=2")


def test_P6_polls_may_fail_for_so_many_seconds() -> None:
    call = Call(PLAIN.replace(outage_max=60), polls=1)
    for now in (NOW, NOW + 30, NOW + 59.9):
        assert isinstance(call.answered(answer(502), now), Due)
    verdict = call.answered(answer(502), NOW + 60)
    assert verdict == GiveUp(
        "outage_max", "status 502 outlasts outage_max=60: polls failed for 60 s"
    )
    never = Call(PLAIN.replace(outage_max=0), polls=1)
    assert isinstance(never.answered(answer(502)), GiveUp)
    for_ever = Call(PLAIN.replace(outage_max=None, total_timeout=None), polls=1)
    assert isinstance(for_ever.answered(answer(502)), Due)
    assert isinstance(for_ever.answered(answer(502), NOW + 1e9), Due)


def test_P6_only_a_poll_is_survived() -> None:
    assert Call().failed("GET") is None
    assert Call(polls=1).failed("POST") is None
    for method in ("HEAD", "PUT", "DELETE"):
        assert isinstance(Call(polls=1).failed(method), Due)
    put_off = Call()
    put_off.answered(answer(429, "1"))
    assert isinstance(put_off.failed("GET"), Due)
    assert put_off.failed("PUT") is None


def test_P1_a_failure_that_names_a_time_is_believed() -> None:
    assert seconds(Call(PLAIN.replace(backoff_factor=1), polls=1).answered(answer(502, "9"))) == 9


def test_P8_a_timeout_at_the_deadline_is_the_deadlines() -> None:
    call = Call(PLAIN.replace(total_timeout=5))
    assert call.failed("POST", now=NOW + 4) is None
    verdict = call.failed("POST", now=NOW + 5)
    assert verdict == GiveUp("total_timeout", "ReadTimeout: 0 s are left of total_timeout=5")


def test_the_tally() -> None:
    call = Call(polls=1)
    for _ in range(39):
        call.answered(redirect("1"))
    call.answered(answer(502))
    call.failed("GET")
    assert call.progress.tally() == "303 x 40, 502 x 1, ReadTimeout x 1"


@pytest.mark.parametrize(
    ("failures", "now", "changes", "expected"),
    [
        (0, 0, {}, 60),
        (1, 60, {}, 120),
        (3, 400, {}, 260),  # what is left of the outage
        (3, 650, {}, 60),
        (3, 400, {"outage_max": None}, 480),
        (3, 400, {"poll_timeout": None}, None),
    ],
)
def test_P6_how_long_a_poll_may_take_to_answer(
    failures: int, now: float, changes: dict[str, Any], expected: float | None
) -> None:
    policy = PollingPolicy(**changes)
    progress = Progress(0, None, failures=failures, failing_since=60)
    assert progress.patience(policy, now) == expected


@pytest.mark.parametrize(
    ("answer", "passes_by"),
    [
        (redirect("0"), False),
        (redirect("0", 301), True),
        (redirect("0")._replace(from_cache=True), True),
        (Answer("GET", 202, {}, is_pending=True), False),
        (Answer("GET", 202, {}, is_pending=True, from_cache=True), True),
        (Answer("GET", 200, {}, is_pending=True), True),
        (Answer("GET", 429, {"Retry-After": "0"}, from_cache=True), False),  # the caller's request
    ],
)
def test_what_caches_may_keep_is_asked_of_the_server(answer: Answer, passes_by: bool) -> None:
    due = Call().answered(answer)
    assert isinstance(due, Due)
    assert due.storable == passes_by


def test_P1_half_an_answer_asks_to_wait_too() -> None:
    progress, due = Call(polls=1).progress.failed("GET", "cut short", PLAIN, NOW, asked=60.0)
    assert progress.failures == 1
    assert isinstance(due, Due)
    assert due.at == NOW + 60


def test_P3_redirects_count_anew_after_a_poll() -> None:
    """A job each of whose polls passes an ordinary redirect may take ten thousand of them."""
    call = Call()
    for _ in range(3):
        call.progress = call.progress.redirected()
    assert call.progress.redirects == 3
    call.followed(redirect("0"))
    assert call.progress.redirects == 0
    call.progress = call.progress.redirected()
    call.followed(answer(429, "0"))
    assert call.progress.redirects == 1


def test_what_comes_in_between_ends_refusals_in_a_row() -> None:
    for between in (answer(200), answer(404), redirect()):
        call = Call(PLAIN.replace(backoff_factor=8))
        for _ in range(2):
            assert seconds(call.answered(answer(429, "0"))) == 0
            call.answered(between)
