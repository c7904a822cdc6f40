"""One call: what was asked, what came back, what comes next and when.

A call has one owner, who sends its requests one by one: the session, the adapter below a session
that knows nothing of polling, or a poller. Where the call stands is one value, the Job. It is
replaced as soon as an answer is in hand and before any code of the caller runs: so errors, tokens
and whoever goes on after an interruption find it as it is (P1, P6).
"""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import requests

from .._clock import Result, at_work
from .._rules.address import printable, without_userinfo
from .._rules.answer import Answer, is_final, retry_after
from .._rules.progress import Due, GiveUp, Progress, Verdict
from .._rules.token import Token
from ..exceptions import PollingError, WorkFailed
from ..policy import PollingPolicy, Wait
from .body import drop, leave_unread, release
from .failures import is_timeout, show_no_secrets, what_failed
from .hooks import Hook, OwnedHooks, Owner, owned, owner_of
from .job import Job, Next, Upcoming
from .meaning import find_meaning, is_known, is_looked_into, meaning_of, presume
from .messages import ERRORS, line, resume_by, without_token
from .next_request import keeps_credentials, stand_in
from .timeout import within

logger = logging.getLogger("polling_adapter")

# Who waits so long, in seconds, without a word, is taken for one that hangs.
_LONG = 10


class Call(Owner):
    """One call of a session, of an adapter alone, or of a poller.

    :param policy: the caller's choices.
    :param job: where it stands; None: it begins now.
    :param origin: a URL of where its first request goes; None: it is yet to be known.
    """

    __slots__ = (
        "_hooks",
        "_noted",
        "_ready",
        "_told",
        "arrived",
        "clock",
        "exchange",
        "following",
        "follows",
        "job",
        "opening",
        "origin",
        "policy",
        "until",
    )

    def __init__(
        self, policy: PollingPolicy, job: Job | None = None, *, origin: str | None = None
    ) -> None:
        self.policy = policy
        self.clock = policy.clock
        self.job = Job(Progress.begin(policy, self.clock.monotonic())) if job is None else job
        self.origin = origin
        self.follows = True  # redirects: then the caller has no use for their bodies
        self.opening = ""  # what a line of code begins with that goes on with it
        self.arrived: requests.Response | None = None  # the answer, until the job tells of it
        self.exchange: Any = None  # what is under way
        self.following: Any = None  # what a session follows its redirects with
        self.until: float | None = None  # the instant at which whoever asks has no more time
        self._hooks: OwnedHooks | None = None  # of all its requests
        self._ready: OwnedHooks | None = None  # of the one that was made ready last
        self._noted: str | None = None  # the note of this job that an error has
        self._told = False  # of a long wait

    def run(self, function: Callable[..., Result], *args: Any) -> Result:
        """Call ``function``, which is all of this call: its error says where the job is."""
        try:
            return self.step(function, *args)
        except BaseException as error:
            self.complete(error)  # which may have come at the very end
            self.log_end(type(error).__name__)
            if self.arrived is not None and not self.arrived._content_consumed:
                drop(self.arrived)
            raise

    def step(self, function: Callable[..., Result], *args: Any) -> Result:
        """Call ``function``: an error says where the job is, which may go on."""
        try:
            return at_work(self.clock, function, *args)
        except BaseException as error:
            self.complete(error)
            raise
        finally:
            for hooks in (self._hooks, self._ready):
                if hooks is not None:
                    hooks.owner = None  # its requests are nobody's, from here on
            self._hooks = self._ready = None

    def begins(self) -> None:
        """Its time counts from now on."""
        progress = Progress.begin(self.policy, self.clock.monotonic())
        self.job = self.job._replace(progress=progress)

    def owns(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """``request``, and all that are made of it, as those of this call."""
        own, self._hooks = owned(request, self)
        return own

    def hooks(self, callers: list[Hook]) -> Iterator[Hook]:
        """The hooks that see the answer to the request under way."""
        return iter(callers) if self.exchange is None else self.exchange.hooks(callers)

    @property
    def sent(self) -> requests.PreparedRequest:
        """The request that was sent last, or is about to be."""
        request: Any = self.job.request
        return request  # type: ignore[no-any-return]

    @property
    def survives(self) -> bool:
        """Whether the request under way may fail without ending the call."""
        return self.job.progress.survives(self.sent.method or "")

    @property
    def awaits_answer(self) -> bool:
        """Whether a request is under way that has no answer yet, or one that is asked again."""
        exchange = self.exchange
        return exchange is not None and (exchange.answer is None or exchange.again is not None)

    def sends(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """``request`` is about to be sent.

        :return: what is sent in its place, where ``before_poll`` gives another.
        :raises PollingTimeout: the time is over.
        """
        ready = request
        if self.origin is None:
            self.origin = sys.intern(str(request.url))  # many jobs that wait began at the same
        elif self.policy.before_poll is not None and self.job.progress.is_job:
            ready = self._made_ready(request, self.policy.before_poll)
            stand_in(ready, request)
        progress, response = self.job.progress, self.job.response
        verdict = self.overdue()
        if verdict is not None:
            self.job = self.job._replace(upcoming=request)
            raise self.ended(verdict)
        self.job = Job(progress, None, request, request, response)
        self.exchange.is_sent = True
        return ready

    def _made_ready(
        self, request: requests.PreparedRequest, before_poll: Callable[..., Any]
    ) -> requests.PreparedRequest:
        """A copy of ``request``, as the caller's ``before_poll`` leaves it: nothing of that is in
        what is sent again, or goes elsewhere."""
        if not keeps_credentials(self.origin, request.url):
            return request
        copy = self._owned_copy(request.copy())
        changed = before_poll(copy)
        if changed is None:
            return copy
        if not isinstance(changed, requests.PreparedRequest):
            raise TypeError(
                f"before_poll returned {changed!r}: it may return a PreparedRequest, or None"
            )
        return changed if owner_of(changed) is self else self._owned_copy(changed)

    def _owned_copy(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        before = self._ready
        copy, self._ready = owned(request, self)
        if before is not None:
            before.owner = None
        return copy

    def goes_out(self) -> None:
        """From here on, until it is answered, nobody knows what becomes of the request; nor, where
        an auth handler sends another one, of that."""
        job = self.job
        upcoming = job.upcoming or job.request
        self.job = Job(job.progress, None, upcoming, job.request, job.response, True)

    def stays_here(self) -> None:
        """There was no connection to send the request on."""
        self.job = self.job._replace(unanswered=False)

    def verdict(self, response: requests.Response) -> tuple[Progress, Verdict]:
        """What is to be done about an answer to the request."""
        request, clock = self.sent, self.clock
        meaning = meaning_of(response)
        answer = Answer(
            request.method or "",
            response.status_code or 0,
            response.headers,
            is_pending=meaning.location is not None and not meaning.is_result,
            leads_to_result=meaning.is_result,
            named=meaning.seconds,
            from_cache=getattr(response, "from_cache", False),
        )
        return self.job.progress.answered(answer, self.policy, clock.monotonic(), clock.time())

    def find_meaning(self, response: requests.Response) -> bool:
        """Ask the policy what ``response``, which has just arrived, means.

        :return: False where it cannot be read to its end, and nobody knows.
        :raises Exception: what a function of the caller's raises.
        """
        policy = self.policy
        if policy.pending is None and policy.retry_after is None:
            return True
        self.arrived = response
        wall, is_result = self.clock.time(), self.job.progress.is_result
        if find_meaning(response, policy, wall, self._is_out_of_time, is_result):
            return True
        # What cannot be asked again counts as far as it came.
        return meaning_of(response).location is not None and not self.survives

    def answered(self, response: requests.Response, progress: Progress, verdict: Verdict) -> None:
        """``response`` is the answer to the request, about which there is a ``verdict``."""
        failures = self.job.progress.failures
        self.job = self._answered(response, progress, verdict)
        self.arrived = None
        if failures and not progress.failures and logger.isEnabledFor(logging.INFO):
            url = printable(self.sent.url)
            logger.info("%s answers again, after %d failed polls in a row", url, failures)

    def settle(self) -> bool:
        """An answer that has arrived counts, although something has interrupted what saw to it; but
        where that was reading its body, a poll is to be sent again, when the answer says.

        :return: whether what comes next is to be waited for, or sent at once.
        :raises requests.RequestException: it is cut short.
        """
        response = self.arrived
        if response is None:
            return False
        if not is_known(response) and is_looked_into(response, self.policy):
            if self.survives:
                drop(response)
                due = self.held(response)
                self.job, self.arrived = self.job._replace(upcoming=self.sent, due=due), None
                return due is not None
            if not self.find_meaning(response):
                _ = response.content
        self.job = self.current()
        self.arrived = None
        return True

    def current(self) -> Job:
        """Where the call stands, an answer included that has just arrived."""
        if self.arrived is None:
            return self.job
        if not self.job.progress.is_result:
            presume(self.arrived, self.policy)
        return self._answered(self.arrived, *self.verdict(self.arrived))

    def _answered(self, response: requests.Response, progress: Progress, verdict: Verdict) -> Job:
        request, due = self.job.request, verdict if isinstance(verdict, Due) else None
        again = due is not None and not due.poll
        held = self.held(response) if due is None else None
        return Job(progress, due, request if again else None, request, response, held=held)

    def held(self, response: Any) -> Due | None:
        """When a response that stands, a 404 or one failure too many, or that came in half, may be
        asked for again (RFC 9110 section 10.2.3)."""
        if "Retry-After" not in response.headers:
            return None
        asked = retry_after(response.headers, self.clock.time())
        reason = "an answer with Retry-After"
        return None if asked is None else Due(self.clock.monotonic() + asked, reason, asked)

    def answered_before(
        self, response: requests.Response, request: requests.PreparedRequest, known: bool
    ) -> None:
        """``request`` was answered, outside of this call.

        :param known: the call knows when what follows is due.
        """
        self.job = self.job._replace(request=request, response=response)
        if not known:
            self.find_meaning(response)
            self.answered(response, *self.verdict(response))

    def failed(
        self, error: requests.RequestException, half: requests.Response | None = None
    ) -> Verdict:
        """The request brought no answer: when may it be sent again? None: ``error`` ends it.

        :param half: what there is of an answer: it was cut short, or kept below.
        """
        request, held = self.sent, None if half is None else self.held(half)
        progress, verdict = self.job.progress.failed(
            request.method or "",
            what_failed(error),
            self.policy,
            self.clock.monotonic(),
            timed_out=is_timeout(error),
            asked=None if held is None else held.asked,
        )
        due = verdict if isinstance(verdict, Due) else None
        self.job = self.job._replace(progress=progress, due=due, upcoming=request, held=held)
        self.arrived = None  # what has come of it is no answer
        return verdict

    def timeout(self, given: Any) -> Any:
        """The timeout of the request that is sent now, where the caller gave this one."""
        self.exchange.timeout = given
        if given is None and self.survives:
            given = self.job.progress.patience(self.policy, self.clock.monotonic())
        return within(self.ends, self.clock, given)

    @property
    def ends(self) -> float | None:
        """The instant until which the request under way may take; None: for ever.

        A start is not cut, however little time whoever asks has: nobody would know whether the work
        has begun.
        """
        deadline, until = self.job.progress.deadline, self.until
        if until is None or not self.survives:
            return deadline
        return until if deadline is None else min(until, deadline)

    def pause(self, step: Next) -> float:
        """Until which instant to wait before ``step``; all is done that is to be done before.

        :raises PollingError: a limit of the policy is reached.
        """
        upcoming, due, job = step.request, step.due, self.job
        now = self.clock.monotonic()
        if due is None:
            return now
        verdict = job.progress.pause(due, self.policy, now, random.random())
        if isinstance(verdict, GiveUp):
            self.job = job._replace(due=due, upcoming=upcoming)
            raise self.ended(verdict)
        progress, until = verdict
        if due.storable:  # RFC 9111 section 5.2.1.4: the next answer is the server's
            upcoming.headers.setdefault("Cache-Control", "no-cache")
        # its reason is told, and its limits are asked
        rest = Due(until, "it was asked to wait", due.asked, jitter=False)
        self.job = Job(progress, rest, upcoming, job.request, job.response, job.unanswered)
        self._tell(due, until - now, step)
        return until

    def wait(self, step: Next) -> None:
        """Wait until ``step`` is due.

        :raises PollingError: a limit of the policy is reached.
        """
        if step.due is not None:
            until = self.pause(step)
            # to the nanosecond, as sums of instants are not exact
            self.clock.sleep(max(0.0, round(until - self.clock.monotonic(), 9)))

    def rest(self, upcoming: Upcoming) -> None:
        """``upcoming`` is kept until it is due, and nothing of what was sent and answered, unless
        no token can be made without it."""
        job = Job(self.job.progress, self.job.due, upcoming)
        is_enough = job.resumable() is not None
        self.job = job if is_enough else self.job._replace(upcoming=upcoming)
        self.following.rest()

    @property
    def goes_on(self) -> bool:
        """Whether the answer is ours to follow: a poll, or what tells where the result is."""
        job = self.job
        if job.due is not None or job.response is None:
            return job.due is not None
        return meaning_of(job.response).location is not None

    @property
    def passes_by(self) -> bool:
        """Whether nobody is to read the body of the answer."""
        return self.follows and self.goes_on

    def release(self, response: requests.Response) -> None:
        """Give the connection of a response that is not the result back."""
        release(response, self._is_out_of_time)

    def leave_unread(self, response: requests.Response) -> None:
        """See that its body is no longer than the call has use for, and leave it unread."""
        leave_unread(response, self._is_out_of_time)

    def _is_out_of_time(self) -> bool:
        ends = self.ends
        return ends is not None and self.clock.monotonic() > ends

    def overdue(self) -> GiveUp | None:
        """Nothing more may be sent where ``total_timeout`` has gone by."""
        return self.job.progress.overdue(self.clock.monotonic())

    @property
    def is_begun(self) -> bool:
        """Whether something was asked to wait for."""
        return self.current().is_begun

    @property
    def elapsed(self) -> float:
        """Seconds since it began, those of the calls that it goes on with included."""
        return self.clock.monotonic() - self.job.progress.started

    def upcoming(self) -> Upcoming | None:
        """The request that comes next, and of which a token can be made; None: there is none."""
        return self.current().resumable()

    def token(self, headers: tuple[str, ...] = ()) -> Token | None:
        """What another call needs to go on with this; None: there is nothing to go on with.

        :param headers: the names of those headers of the request that it holds.
        """
        now, wall, pending = self.clock.monotonic(), self.clock.time(), self.policy.pending
        return self.current().token(now, wall, self.origin, pending is not None, headers)

    def ended(self, verdict: GiveUp) -> PollingError:
        """The error of a call that gives up before what comes next."""
        job = self.job
        if job.response is not None and self.follows:
            self.release(job.response)
        upcoming: Any = job.upcoming or job.resumable() or job.request
        token = self.token()
        if token is None:
            how = without_token(upcoming, job.may_be_sent(upcoming))
        else:
            how = resume_by(token, upcoming, self.policy, self.clock.time(), self.opening)
        more = {"seconds": verdict.asked} if verdict.limit == "retry_after_max" else {}
        begun = "" if self.origin is None else f"begun at {printable(self.origin)}, "
        error = ERRORS[verdict.limit](
            f"{verdict.reason}; {begun}seen so far: {job.progress.tally()}; {how}",
            request=job.asked,
            response=job.response,
            url=without_userinfo(upcoming.url),
            polls=job.progress.polls,
            elapsed=self.elapsed,
            continuation_token=None if token is None else str(token.anew()),
            **more,
        )
        error.policy = self.policy
        return error

    def tell(self, response: requests.Response) -> None:
        """What is handed out and is no result says how to go on, to :func:`continuation_token`."""
        status = response.status_code
        if not response.is_redirect:
            self.log_end(status)
        leads_on = meaning_of(response).location is not None
        if leads_on or (status is not None and not is_final(status)):
            token = self.token() if self.is_begun else None
            if token is not None:
                vars(response)["_continuation_token"] = token.anew()

    def log_end(self, what: object) -> None:
        """Log the end of a job, if it has polled.

        :param what: has ended it: the status of an answer, or the kind of an error.
        """
        polls = self.job.progress.polls
        if polls and logger.isEnabledFor(logging.INFO):
            url = printable(self.origin)
            logger.info("%s: %s after %d polls, %.1f s", url, what, polls, self.elapsed)

    def complete(self, error: BaseException) -> None:
        """What ends a job that is no error of ours gets what ours have: an error of another job,
        too, which something of the caller's asked for meanwhile."""
        job = self.current()
        if isinstance(error, PollingError):
            is_whole = error.url is not None
            if not is_whole:  # it is of the caller's predicate, which cannot know all
                at: Any = job.upcoming or job.request
                error.request, error.url = job.asked, without_userinfo(at.url)
                error.polls, error.elapsed = job.progress.polls, self.elapsed
                error.response = job.response if error.response is None else error.response
            if error.request is job.asked and (is_whole or isinstance(error, WorkFailed)):
                self._note(error, error.continuation_token)
                return
        if not (job.is_begun or job.unanswered):
            return
        if isinstance(error, requests.RequestException) and job.is_begun:
            error.request = error.request or job.asked
            error.response = job.response if error.response is None else error.response
            show_no_secrets(error)
        token = self.token()
        if token is not None:
            text = str(token.anew())
            vars(error)["continuation_token"] = text  # set, as errors of some may be frozen
            self._note(error, text)

    def _note(self, error: BaseException, text: str | None) -> None:
        """The token, ``text``, is in the traceback: when the process is gone, nothing else has it.
        None: there is none."""
        token = self.token()
        if text is None or token is None or self._noted in getattr(error, "__notes__", ()):
            return
        how = "the job goes on" if self.is_begun else "it may be sent again"
        self._noted = f"{how}: {self.opening}{line(token, self.upcoming(), repr(text))}"
        with suppress(AttributeError):  # from Python 3.11 on
            error.add_note(self._noted)  # type: ignore[attr-defined,unused-ignore]

    def _tell(self, due: Due, seconds: float, step: Next) -> None:
        url, seconds = step.request.url or "", max(0.0, round(seconds, 9))
        level = logging.WARNING if due.wrong else logging.DEBUG
        if seconds >= _LONG and level == logging.DEBUG and not self._told:
            level, self._told = logging.INFO, True
        if logger.isEnabledFor(level):
            logger.log(level, "%s is asked in %.3f s: %s", printable(url), seconds, due.reason)
        if self.policy.on_wait is not None:
            job, number = without_userinfo(self.origin or url), self.job.progress.pauses
            wait = Wait(
                job=job,
                url=without_userinfo(url),
                seconds=seconds,
                reason=due.reason,
                number=number,
                elapsed=self.elapsed,
                response=step.response,
            )
            self.policy.on_wait(wait)
