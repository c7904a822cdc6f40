"""How far a call has come, and what to do next: facts go in, a verdict comes out.

Every decision about polling is taken here and only here. Nothing here does I/O, looks at a clock
or knows an HTTP library: whoever drives a call tells the facts and the time, and acts on the
verdict. A Progress is a value: each fact makes a new one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from ..policy import PollingPolicy
from .answer import IDEMPOTENT, SAFE, STORABLE, Answer, is_poll, retry_after

# A server that answers 500 is there, and fails: so many in a row are its answer.
_ENOUGH_OF_500 = 5

Limit = Literal["total_timeout", "max_polls", "retry_after_max", "outage_max"]


class Due(NamedTuple):
    """When the next request may be sent, by what was answered; the limits are not yet asked.

    :param at: the instant of the monotonic clock, in seconds.
    :param reason: why, in words.
    :param asked: the seconds that the server named, when it did; None: it named none.
    :param poll: whether a poll is followed; else the same request is sent again.
    :param storable: whether a cache may have kept the answer, and give it again for ever.
    :param wrong: whether something went wrong: a failed poll, or a malformed header.
    :param jitter: False where ``at`` has it already.
    """

    at: float
    reason: str
    asked: float | None = None
    poll: bool = False
    storable: bool = False
    wrong: bool = False
    jitter: bool = True


class GiveUp(NamedTuple):
    """The policy's ``limit`` is reached.

    :param asked: the seconds that the server asked for, where they are too many.
    """

    limit: Limit
    reason: str
    asked: float = 0.0


Verdict: TypeAlias = "Due | GiveUp | None"

#: What came, statuses and kinds of errors, and how often
Seen: TypeAlias = tuple[tuple[str | int, int], ...]


class Progress(NamedTuple):
    """The counters and the deadline of one call.

    :param started: the monotonic instant, in seconds, at which it began; of a call that goes on
        with another, as if it were one.
    :param deadline: the instant at which it ends; None: never.
    :param polls: polls followed in all.
    :param counted: those of them that count against ``max_polls``.
    :param pauses: waits that have begun.
    :param redirects: those followed that are no polls, since the last poll.
    :param failures: failed polls in a row.
    :param failing_since: the instant of the first of them.
    :param fives: answers of 500 in a row.
    :param refusals: refusals in a row, with a time to come back.
    :param unusable: answers in a row that ask to wait, and name no usable time.
    :param is_result: what comes next stands, whatever it is.
    :param seen: what came so far; a tuple, as it is of few kinds and 100,000 calls may wait.
    """

    started: float
    deadline: float | None
    polls: int = 0
    counted: int = 0
    pauses: int = 0
    redirects: int = 0
    failures: int = 0
    failing_since: float = 0.0
    fives: int = 0
    refusals: int = 0
    unusable: int = 0
    is_result: bool = False
    seen: Seen = ()

    @classmethod
    def begin(cls, policy: PollingPolicy, now: float) -> Progress:
        """That of a call that begins at the monotonic instant ``now``."""
        total = policy.total_timeout
        return cls(now, None if total is None else now + total)

    @property
    def is_job(self) -> bool:
        """Whether what is asked next is no start: a poll, or the result that was named."""
        return self.polls > 0 or self.is_result

    def left(self, now: float) -> float | None:
        """Seconds left of ``total_timeout``; None where there is no limit."""
        return None if self.deadline is None else max(0.0, self.deadline - now)

    def answered(
        self, answer: Answer, policy: PollingPolicy, now: float, wall: float
    ) -> tuple[Progress, Verdict]:
        """A response came: when is what follows from it due?

        :param now: monotonic seconds. :param wall: seconds since the epoch.
        :return: None where nothing is to be waited for: an answer, or a redirect that is no poll.
        """
        poll = answer.is_pending or is_poll(answer.status, answer.headers)
        refused = not poll and _is_refusal(answer, policy)
        if poll or refused:
            return self._asked(answer, policy, now, wall, poll)
        if answer.status in policy.failure_statuses and self.survives(answer.method):
            return self._failed(answer.status, retry_after(answer.headers, wall), policy, now)
        seen = _seen(self.seen, answer.status)
        is_result = self.is_result or answer.leads_to_result
        after = self._replace(failures=0, fives=0, refusals=0, is_result=is_result, seen=seen)
        return after, None

    def failed(
        self,
        method: str,
        what: str | int,
        policy: PollingPolicy,
        now: float,
        *,
        timed_out: bool = False,
        asked: float | None = None,
    ) -> tuple[Progress, Verdict]:
        """A request brought no response, or half of one.

        :param what: the kind of the error; of one that says which status came, that.
        :param asked: the seconds that half a response asks to wait.
        :return: None where the error is the caller's: it was not a poll that failed.
        """
        if timed_out and self.left(now) == 0:
            return self, self._out_of_time(f"{what}: 0 s are left")
        if not self.survives(method):
            return self, None
        return self._failed(what, asked, policy, now)

    def survives(self, method: str) -> bool:
        """Whether a request by ``method`` may fail without ending the call: one that follows a
        poll, or is put off and safe.

        Never the request that starts the work: nobody knows whether it has begun.
        """
        if self.is_job:
            return method in IDEMPOTENT
        return self.refusals > 0 and method in SAFE

    def patience(self, policy: PollingPolicy, now: float) -> float | None:
        """How long, in seconds, a poll may take to answer; None: there is no limit.

        Twice as long with each that fails, as long as the outage may last.
        """
        longest, outage = policy.poll_timeout, policy.outage_max
        if longest is None or not self.failures:
            return longest
        doubled = longest * 2.0 ** min(self.failures, 63)
        left = doubled if outage is None else self.failing_since + outage - now
        return max(longest, min(doubled, left))

    def redirected(self) -> Progress:
        """A redirect that is no poll is followed."""
        return self._replace(redirects=self.redirects + 1)

    def polled(self) -> Progress:
        """A poll is followed: whatever comes, it is no loop of redirects."""
        return self._replace(polls=self.polls + 1, counted=self.counted + 1, redirects=0)

    def pause(
        self, due: Due, policy: PollingPolicy, now: float, random: float
    ) -> tuple[Progress, float] | GiveUp:
        """The wait until ``due``, if the limits allow it.

        :param random: a number in [0, 1), for the jitter.
        :return: the progress when it begins, and the monotonic instant at which it ends.
        """
        if due.poll and policy.max_polls is not None and self.counted >= policy.max_polls:
            return GiveUp("max_polls", f"the work is not done after max_polls={policy.max_polls}")
        seconds = max(0.0, round(due.at - now, 9))  # sums of instants are not exact
        longest = policy.retry_after_max
        if longest is not None and due.asked is not None and min(seconds, due.asked) > longest:
            return GiveUp(
                "retry_after_max",
                f"the server asks to wait {_number(due.asked)} s, "
                f"retry_after_max={_number(longest)} is accepted",
                due.asked,
            )
        left = self.left(now)
        if left is not None and (seconds > left or self.overdue(now) is not None):
            return self._out_of_time(
                f"the next request is due in {_number(seconds)} s ({due.reason}), "
                f"{_number(left)} s are left"
            )
        if due.jitter:
            extra = seconds * policy.jitter * random
            # the jitter, unlike the server, can do with less: the request needs time as well
            seconds += extra if left is None else min(extra, (left - seconds) / 2)
        progress = self.polled() if due.poll else self
        return progress._replace(pauses=self.pauses + 1), now + seconds

    def overdue(self, now: float) -> GiveUp | None:
        """Nothing more may be sent where ``total_timeout`` has gone by."""
        if self.deadline is None or now <= self.deadline:
            return None
        return self._out_of_time("0 s are left")

    def tally(self) -> str:
        """The answers seen, as ``303 x 40, 502 x 3``."""
        often_first = sorted(self.seen, key=lambda seen: -seen[1])
        return ", ".join(f"{what} x {times}" for what, times in often_first) or "nothing"

    def _asked(
        self, answer: Answer, policy: PollingPolicy, now: float, wall: float, poll: bool
    ) -> tuple[Progress, Verdict]:
        asked, seen = retry_after(answer.headers, wall), _seen(self.seen, answer.status)
        header = answer.headers.get("Retry-After")
        reason = str(answer.status)
        reason += ", pending" if answer.is_pending else ""
        reason += "" if header is None else f" with Retry-After: {_excerpt(header)}"
        if asked is None and answer.named is not None:
            asked = answer.named
            reason += f", {_number(asked)} s by the policy's retry_after"
        storable = poll and (answer.status in STORABLE or answer.from_cache)
        refusals = 0 if poll else self.refusals + 1
        after = self._replace(failures=0, fives=0, refusals=refusals, unusable=0, seen=seen)
        if asked is not None:
            # A server that refuses again and again is asked less and less often.
            slower = 0.0 if refusals < 2 else _backoff(refusals - 2, policy)
            at = now + max(asked, slower, policy.min_wait)
            return after, Due(at, reason, asked, poll, storable)
        at = now + max(_backoff(self.unusable, policy), policy.min_wait)
        reason += "" if header is None else ", which names no usable time"
        due = Due(at, reason, poll=poll, storable=storable, wrong=header is not None)
        return after._replace(unusable=self.unusable + 1), due

    def _failed(
        self, what: str | int, asked: float | None, policy: PollingPolicy, now: float
    ) -> tuple[Progress, Verdict]:
        since = self.failing_since if self.failures else now
        after = self._replace(
            failures=self.failures + 1,
            failing_since=since,
            fives=self.fives + 1 if what == 500 else 0,
            seen=_seen(self.seen, what),
        )
        shown = _shown(what)
        enough = after._enough(shown, policy, now)
        if enough is not None:
            return after, GiveUp("outage_max", enough)
        # P1: what a server asks for holds for a failure too (RFC 9110 section 10.2.3)
        at = now + max(_backoff(self.failures, policy), asked or 0.0, policy.min_wait)
        allowed = "" if policy.poll_failures is None else f" of {policy.poll_failures}"
        reason = f"{shown}, failed poll {after.failures}{allowed} in a row"
        return after, Due(at, reason, asked, wrong=True)

    def _enough(self, what: str, policy: PollingPolicy, now: float) -> str | None:
        """Why no failed poll is survived any more."""
        if policy.poll_failures is not None and self.failures > policy.poll_failures:
            return f"{what} outlasts poll_failures={policy.poll_failures}"
        if self.fives >= _ENOUGH_OF_500:
            return f"{what} came {self.fives} times in a row"
        outage, longest = now - self.failing_since, policy.outage_max
        if longest is not None and outage >= longest:
            return f"{what} outlasts outage_max={longest}: polls failed for {_number(outage)} s"
        return None

    def _out_of_time(self, why: str) -> GiveUp:
        total = 0.0 if self.deadline is None else self.deadline - self.started
        return GiveUp("total_timeout", f"{why} of total_timeout={_number(round(total, 6))}")


def retried(
    what: str | int, seconds: float, asked: float | None, policy: PollingPolicy, now: float
) -> Due:
    """A transport below retries by itself what has failed, after ``seconds``; those ``asked`` for
    by the server."""
    at = now + max(seconds, policy.min_wait)
    return Due(at, f"{_shown(what)}, retried by max_retries", asked, wrong=True)


def _shown(what: str | int) -> str:
    """What has failed, for a reader."""
    return f"status {what}" if isinstance(what, int) else what


@lru_cache(maxsize=256)
def _seen(before: Seen, what: str | int) -> Seen:
    """``before``, and ``what``. Calls that have seen the same share it."""
    times = dict(before)
    times[what] = times.get(what, 0) + 1
    return tuple(times.items())


def _is_refusal(answer: Answer, policy: PollingPolicy) -> bool:
    methods = policy.retry_methods
    return (
        answer.status in policy.retry_statuses
        and ("Retry-After" in answer.headers or answer.named is not None)
        and (methods is None or answer.method in methods)
    )


def _backoff(number: int, policy: PollingPolicy) -> float:
    """The wait after ``number`` others in a row, in seconds."""
    return min(policy.backoff_factor * 2.0 ** min(number, 63), policy.backoff_max)


def _number(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".") if seconds < 1e15 else f"{seconds:g}"


def _excerpt(value: str) -> str:
    """A header's value as a log can take it: its odd characters escaped, its length bounded."""
    shown = ascii(value)[1:-1]
    return shown if len(shown) <= 40 else f"{shown[:40]}..."
