"""One call's progress: facts go in, a verdict comes out.

Every decision about polling is taken here and only here. Nothing here does I/O, looks at a clock
or knows an HTTP library: the drivers (``session``, ``adapter``) tell the facts and the time, and
act on the verdict.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from ._retry_after import parse_retry_after
from .policy import PollingPolicy

# RFC 9110 section 15.4: the redirects that a user agent follows by itself, as requests does
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

# RFC 9110 sections 15.4.2 and 15.4.9: those that a cache may keep without being told to
_STORABLE = frozenset({301, 308})

# RFC 9110 section 15.6: failures of the server that may pass
_FAILURES = frozenset({500, 502, 503, 504})

# RFC 9110 section 9.2.1: safe, so asking again cannot do the work twice
_POLL_METHODS = frozenset({"GET", "HEAD"})

Limit = Literal["total_timeout", "max_polls", "retry_after_max", "poll_failures"]


class Answer(NamedTuple):
    """What is to know of a response. ``headers`` must be case-insensitive."""

    method: str
    status: int
    headers: Mapping[str, str]


class Due(NamedTuple):
    """When the next request may be sent, by what was answered; the limits are not yet asked.

    :param at: the instant of the monotonic clock, in seconds.
    :param reason: why, in words.
    :param asked: whether the server named the time.
    :param poll: whether a poll is followed; else the same request is sent again.
    :param storable: whether a cache may have kept the answer, and give it again for ever.
    :param smooth: False where something went wrong: a failed poll, or a malformed header.
    :param jitter: False where ``at`` has it already.
    """

    at: float
    reason: str
    asked: bool = True
    poll: bool = False
    storable: bool = False
    smooth: bool = True
    jitter: bool = True


class Pause(NamedTuple):
    """Go on after ``seconds``, at the instant ``until`` of the monotonic clock."""

    seconds: float
    until: float


class GiveUp(NamedTuple):
    """The policy's ``limit`` is reached."""

    limit: Limit
    reason: str


def is_final(status: int) -> bool:
    """Whether an answer is the result, whatever else it says (RFC 9110 section 15.3)."""
    return 200 <= status < 300


def is_poll(status: int, headers: Mapping[str, str]) -> bool:
    """A poll is a redirect that carries Retry-After (RFC 9110 section 10.2.3)."""
    return status in _REDIRECTS and "Retry-After" in headers and "Location" in headers


def deadline(policy: PollingPolicy, begun: float) -> float | None:
    """The instant at which a call that began at the instant ``begun`` ends; None: never."""
    return None if policy.total_timeout is None else begun + policy.total_timeout


class Spent(NamedTuple):
    """What a call that goes on with another one has behind it.

    :param polls: polls followed in all.
    :param counted: those of them that count against ``max_polls``.
    :param elapsed: seconds that count against ``total_timeout``.
    :param left: the seconds that are left at the most; None: as many as ``total_timeout`` leaves.
    """

    polls: int = 0
    counted: int = 0
    elapsed: float = 0.0
    left: float | None = None


class Poll:
    """The counters and the deadline of one call.

    :param policy: the caller's choices.
    :param now: the monotonic instant, in seconds, at which the call begins.
    :param random: a number in [0, 1), for the jitter.
    :param spent: what the call has behind it.
    """

    # What most calls never change is of the class: to make a Poll costs every request.
    polls = 0
    pauses = 0
    _uncounted = 0  # polls that do not count against max_polls
    _failures = 0  # failed polls in a row
    _unusable = 0  # Retry-After headers in a row that name no usable time
    _seen: tuple[tuple[object, int], ...] = ()  # what came, and how often

    def __init__(
        self,
        policy: PollingPolicy,
        now: float,
        random: Callable[[], float] = random.random,
        spent: Spent | None = None,
    ) -> None:
        self.policy = policy
        self.started = now
        self._random = random
        self._total = policy.total_timeout
        self.deadline = deadline(policy, now)
        if spent is not None:
            self._goes_on(spent, now)

    def answered(self, answer: Answer, now: float, wall: float) -> Due | GiveUp | None:
        """A response came: should the same request be sent again?

        :param now: monotonic seconds. :param wall: seconds since the epoch.
        :return: None where the response stands: an answer, or a redirect to follow.
        """
        self._saw(answer.status)
        if answer.status < 400 and not self._failures:
            return None
        if self._is_refusal(answer):
            self._failures = 0
            return self._due_as_asked(answer, now, wall)
        if answer.status in _FAILURES and self._survives(answer.method):
            return self._due_after_failure(f"status {answer.status}", answer, now, wall)
        self._failures = 0
        return None

    def redirected(self, answer: Answer, now: float, wall: float) -> Due | None:
        """A redirect came: when may it be followed?

        :return: None where it is no poll and is followed at once.
        """
        if not is_poll(answer.status, answer.headers):
            return None
        return self._due_as_asked(answer, now, wall, poll=True)

    def failed(self, method: str, what: str, timed_out: bool, now: float) -> Due | GiveUp | None:
        """A request brought no response.

        :return: None where the error is the caller's: it was not a poll that failed.
        """
        self._saw(what)
        if timed_out and self.left(now) == 0:
            return self._out_of_time(f"{what}: 0 s are left")
        if not self._survives(method):
            return None
        return self._due_after_failure(what, None, now, 0)

    def pause(self, due: Due, now: float) -> Pause | GiveUp:
        """The wait until ``due``, if the limits allow it."""
        policy = self.policy
        if due.poll and policy.max_polls is not None and self.counted >= policy.max_polls:
            return GiveUp("max_polls", f"the work is not done after max_polls={policy.max_polls}")
        seconds = max(0.0, round(due.at - now, 9))  # sums of instants are not exact
        left = self.left(now)
        if left is not None and (seconds > left or left == 0):
            return self._out_of_time(
                f"the next request is due in {_number(seconds)} s ({due.reason}), "
                f"{_number(left)} s are left"
            )
        longest = policy.retry_after_max
        if longest is not None and due.asked and seconds > longest:
            return GiveUp(
                "retry_after_max",
                f"the server asks to wait {_number(seconds)} s, "
                f"retry_after_max={_number(longest)} is accepted",
            )
        self.pauses += 1
        self.polls += due.poll
        if due.jitter:
            extra = seconds * policy.jitter * self._random()
            # the jitter, unlike the server, can do with less: the request needs time as well
            seconds += extra if left is None else min(extra, (left - seconds) / 2)
        return Pause(seconds, now + seconds)

    def overdue(self, now: float) -> GiveUp | None:
        """Nothing more may be sent where ``total_timeout`` has gone by."""
        return self._out_of_time("0 s are left") if self.left(now) == 0 else None

    def retried(self, seconds: float, now: float) -> Due:
        """A transport below retries by itself, after ``seconds``."""
        return self._due(seconds, "max_retries", now, asked=False, smooth=False)

    def left(self, now: float) -> float | None:
        """Seconds left of ``total_timeout``; None where there is no limit."""
        return None if self.deadline is None else max(0.0, self.deadline - now)

    def tally(self) -> str:
        """The answers seen, as ``303 x 40, 502 x 3``."""
        often_first = sorted(self._seen, key=lambda seen: -seen[1])
        return ", ".join(f"{what} x {times}" for what, times in often_first) or "nothing"

    @property
    def counted(self) -> int:
        """The polls that count against ``max_polls``."""
        return self.polls - self._uncounted

    def _goes_on(self, spent: Spent, now: float) -> None:
        self.started = now - spent.elapsed
        self.polls = spent.polls
        self._uncounted = spent.polls - spent.counted
        if spent.left is not None:
            allowed = spent.elapsed + spent.left
            self._total = allowed if self._total is None else min(allowed, self._total)
        self.deadline = None if self._total is None else self.started + self._total

    def _saw(self, what: object) -> None:
        # Of few kinds, so a tuple: it is smaller than a dict, and ten thousand calls may wait.
        for place, (known, times) in enumerate(self._seen):
            if known == what:
                self._seen = (*self._seen[:place], (what, times + 1), *self._seen[place + 1 :])
                return
        self._seen = (*self._seen, (what, 1))

    def _is_refusal(self, answer: Answer) -> bool:
        methods = self.policy.retry_methods
        return (
            answer.status in self.policy.retry_statuses
            and "Retry-After" in answer.headers
            and (methods is None or answer.method in methods)
        )

    def _survives(self, method: str) -> bool:
        # Never the request that starts the work: nobody knows whether it has begun.
        return self.polls > 0 and method in _POLL_METHODS

    def _due_as_asked(self, answer: Answer, now: float, wall: float, poll: bool = False) -> Due:
        asked = _retry_after(answer, wall)
        reason = f"{answer.status} with Retry-After: {_excerpt(answer.headers['Retry-After'])}"
        how = {"poll": poll, "storable": answer.status in _STORABLE}
        if asked is not None:
            self._unusable = 0
            return self._due(asked, reason, now, **how)
        self._unusable += 1
        seconds = self._backoff(self._unusable)
        reason += ", which names no usable time"
        return self._due(seconds, reason, now, asked=False, smooth=False, **how)

    def _due_after_failure(
        self, what: str, answer: Answer | None, now: float, wall: float
    ) -> Due | GiveUp:
        self._failures += 1
        allowed = self.policy.poll_failures
        if self._failures > allowed:
            return GiveUp("poll_failures", f"{what} outlasts poll_failures={allowed}")
        # P1: what a server asks for holds for a failure too (RFC 9110 section 10.2.3)
        asked = 0.0 if answer is None else _retry_after(answer, wall) or 0.0
        backoff = self._backoff(self._failures)
        reason = f"{what}, failed poll {self._failures} of {allowed} in a row"
        return self._due(max(backoff, asked), reason, now, asked=asked > backoff, smooth=False)

    def _due(self, seconds: float, reason: str, now: float, **how: bool) -> Due:
        return Due(now + max(seconds, self.policy.min_wait), reason, **how)

    def _backoff(self, number: int) -> float:
        doubled = self.policy.backoff_factor * 2.0 ** min(number - 1, 63)
        return min(doubled, self.policy.backoff_max)

    def _out_of_time(self, why: str) -> GiveUp:
        total = "None" if self._total is None else _number(self._total)
        return GiveUp("total_timeout", f"{why} of total_timeout={total}")


def _retry_after(answer: Answer, wall: float) -> float | None:
    headers = answer.headers
    return parse_retry_after(
        headers.get("Retry-After"), headers.get("Date"), age=headers.get("Age"), now=wall
    )


def _number(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".") if seconds < 1e15 else f"{seconds:g}"


def _excerpt(value: str) -> str:
    """A header's value as a log can take it: its odd characters escaped, its length bounded."""
    shown = ascii(value)[1:-1]
    return shown if len(shown) <= 40 else f"{shown[:40]}..."
