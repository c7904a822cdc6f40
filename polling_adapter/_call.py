"""One call as the drivers share it: a Poll that decides, and the clock, log and errors it acts by.

While a session resolves a call, the adapters below it find the call in a context variable and join
it: there is one owner of the waiting at a time, and nothing is kept on a session or an adapter.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import requests
from requests.utils import rewind_body
from urllib3.util import Timeout

from ._body import release
from ._poll import Answer, Due, GiveUp, Limit, Poll, Spent, is_final
from ._repetition import Led
from ._token import Token
from .exceptions import PollingError, PollingTimeout, RetryAfterTooLong, TooManyPolls
from .policy import PollingPolicy, Wait

logger = logging.getLogger("polling_adapter")

Result = TypeVar("Result")

_ERRORS: dict[Limit, type[PollingError]] = {
    "total_timeout": PollingTimeout,
    "max_polls": TooManyPolls,
    "retry_after_max": RetryAfterTooLong,
    "poll_failures": PollingError,
}

# What a poll may fail with: no connection, no answer in time, an answer cut short
_FAILURES = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)

_current: ContextVar[Call | None] = ContextVar("polling_adapter_call", default=None)


class OutOfTime(Exception):
    """Carries ``error`` through urllib3 and requests, which would make one of theirs of it."""

    def __init__(self, error: PollingError) -> None:
        super().__init__(error)
        self.error = error


class NotYet(Exception):
    """Carries ``request``, which is due at the instant ``at`` of the monotonic clock, out of a call
    that does not wait."""

    def __init__(self, request: requests.PreparedRequest, at: float) -> None:
        super().__init__(request, at)
        self.request = request
        self.at = at


class Call:
    """One call of a session, or one chain of redirects seen by an adapter alone.

    :param policy: the caller's choices.
    :param request: the request that begins the call; None: it is yet to be made.
    :param polling: False: the call is left to requests.
    :param spent: what the call has behind it.
    """

    __slots__ = (
        "_clock",
        "_hooks",
        "_judged",
        "_poll",
        "first_url",
        "following",
        "led",
        "policy",
        "polling",
        "proxies",
        "request",
        "response",
    )

    def __init__(
        self,
        policy: PollingPolicy,
        request: requests.PreparedRequest | None = None,
        *,
        polling: bool = True,
        spent: Spent | None = None,
    ) -> None:
        self.policy = policy
        self.polling = polling
        self.following = False
        self.request: Any = None
        self.response: requests.Response | None = None
        self.first_url: str | None = None
        self.led: Led = None
        self.proxies: tuple[object, dict[str, str]] | None = None  # by origin
        self._clock = policy.clock
        self._poll = Poll(policy, self._clock.monotonic(), spent=spent)
        self._hooks: object = None
        self._judged: weakref.ref[Exception] | None = None
        if request is not None:
            self.begins_with(request)

    def begins_with(self, request: requests.PreparedRequest) -> None:
        """``request`` belongs to this call, and so do its copies."""
        self.request = request
        self._hooks = request.hooks
        if self.first_url is None:
            self.first_url = request.url

    @classmethod
    def current(cls) -> Call | None:
        """The call under way in this context."""
        return _current.get()

    @classmethod
    def of(cls, request: requests.PreparedRequest) -> Call | None:
        """The call under way in this context, where ``request`` belongs to it."""
        call = _current.get()
        # PreparedRequest.copy() shares the hooks, a request made anew has its own: so a hop is
        # told from a request that a hook or an auth handler sends on the side.
        return call if call is not None and call._hooks is request.hooks else None

    def run(self, function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Call ``function``; meanwhile, this is the call that the adapters join."""
        token = _current.set(self)
        try:
            return function(*args, **kwargs)
        finally:
            _current.reset(token)

    def send(
        self,
        send: Callable[..., requests.Response],
        request: requests.PreparedRequest,
        *,
        preload: bool = False,
        timeout: Any = None,
        **kwargs: Any,
    ) -> requests.Response:
        """``send`` the request until it is neither refused for now nor a failed poll.

        :param preload: read the result's body too, so that one cut short is a failed poll.
        :raises PollingError: a cap of the policy is reached.
        :raises requests.exceptions.UnrewindableBodyError: the body cannot be sent again.
        """
        self.request = request
        polls = self.polls
        while True:
            response: requests.Response | None
            try:
                response = send(request, timeout=self._within(timeout), **kwargs)
                due = self._answered(response, request)
                if due is None:
                    if preload and not response.is_redirect:
                        _ = response.content
                    return response
            except PollingError:
                raise
            except OutOfTime as out_of_time:
                raise out_of_time.error from None
            except _FAILURES as error:
                if self.polls != polls:  # this request was answered; what failed came later
                    raise
                response, due = None, self._failed(error, request)
            self.wait(due, request, response)

    def redirected(self, response: requests.Response) -> Due | None:
        """When a redirect may be followed; None where it is no poll."""
        self.response = response
        return self._poll.redirected(_answer(response), self._clock.monotonic(), self._clock.time())

    def wait(
        self, due: Due, upcoming: requests.PreparedRequest, response: requests.Response | None
    ) -> None:
        """Wait until ``upcoming`` is due, as ``response`` asks; None: as an error has it.

        :raises PollingError: a cap of the policy is reached.
        """
        self._sleep_until(self._pause(due, upcoming, response))

    def retried(self, seconds: float) -> None:
        """Wait where a transport below retries by itself.

        :raises OutOfTime: the wait does not fit into the call.
        """
        due = self._poll.retried(seconds, self._clock.monotonic())
        try:
            self._sleep_until(self._pause(due, self.request, None))
        except PollingError as error:
            raise OutOfTime(error) from None

    def release(self, response: requests.Response) -> None:
        """Give the connection of a response that is not the result back."""
        release(response, out_of_time=lambda: self.is_over)

    @property
    def is_over(self) -> bool:
        """Whether ``total_timeout`` has gone by."""
        return self._left() == 0

    @property
    def polls(self) -> int:
        """How many polls were followed."""
        return self._poll.polls

    @property
    def elapsed(self) -> float:
        """Seconds since the call began, those of the calls that it goes on with included."""
        return self._clock.monotonic() - self._poll.started

    def token(
        self, request: requests.PreparedRequest, at: float, headers: tuple[str, ...] = ()
    ) -> Token:
        """What another call needs to go on with ``request``, due at the monotonic instant ``at``.

        :param headers: the names of those headers that it holds.
        """
        return Token(
            url=_without_userinfo(request.url or ""),
            method=request.method or "",
            due=self._clock.time() + max(0.0, at - self._clock.monotonic()),
            polls=self.polls,
            counted=self._poll.counted,
            elapsed=self.elapsed,
            left=self._left(),
            origin=_without_userinfo(self.first_url or ""),
            has_body=request.body is not None,
            headers={
                name: str(request.headers[name]) for name in headers if name in request.headers
            },
        )

    def _pause(
        self, due: Due, upcoming: requests.PreparedRequest, response: requests.Response | None
    ) -> float:
        """Until which instant to wait; all is done that is to be done before."""
        verdict = self._poll.pause(due, self._clock.monotonic())
        if isinstance(verdict, GiveUp):
            raise self._error(verdict, upcoming, due.at)
        if response is not None:
            self.release(response)
        if due.storable:  # RFC 9111 section 5.2.1.4: the next answer is the server's
            upcoming.headers.setdefault("Cache-Control", "no-cache")
        self._tell(due, verdict.seconds, upcoming.url or "", response)
        return verdict.until

    def _sleep_until(self, until: float) -> None:
        # to the nanosecond, as sums of instants are not exact
        self._clock.sleep(max(0.0, round(until - self._clock.monotonic(), 9)))

    def _answered(
        self, response: requests.Response, request: requests.PreparedRequest
    ) -> Due | None:
        if self.response is response:  # an adapter below has seen to it
            return None
        self.response = response
        if is_final(response.status_code):
            return None
        verdict = self._poll.answered(
            _answer(response), self._clock.monotonic(), self._clock.time()
        )
        if verdict is None:
            return None
        if isinstance(verdict, GiveUp):  # the failure reaches the caller as requests gives it
            logger.warning("%s: %s", printable(request.url), verdict.reason)
            return None
        self._rewind(request, response)
        return verdict

    def _failed(self, error: requests.RequestException, request: requests.PreparedRequest) -> Due:
        """When a failed poll may be sent again; else ``error`` is raised."""
        if self._judged is not None and self._judged() is error:  # by an adapter below
            raise error
        # Weakly, as the error knows this call by its traceback: a cycle would keep the connection
        # pool open after it is closed, until the collector comes.
        self._judged = weakref.ref(error)
        now = self._clock.monotonic()
        verdict = self._poll.failed(
            request.method or "", type(error).__name__, isinstance(error, requests.Timeout), now
        )
        if verdict is None:
            raise error
        if isinstance(verdict, GiveUp):
            ours = self._error(verdict, request, now)
            if verdict.limit == "poll_failures":  # it reaches the caller as requests gives it
                raise error from ours
            raise ours from error
        return verdict

    def _rewind(self, request: requests.PreparedRequest, response: requests.Response) -> None:
        """Make the body ready to be sent again, or say before any wait that it is not."""
        if request.body is None or isinstance(request.body, (bytes, str)):
            return
        try:
            rewind_body(request)
        except requests.exceptions.UnrewindableBodyError as error:
            self.release(response)
            raise requests.exceptions.UnrewindableBodyError(
                f"{printable(request.url)} answers {response.status_code}: send this again later. "
                "But the body cannot be rewound: give bytes or a seekable file",
                request=request,
                response=response,
            ) from error

    def _tell(self, due: Due, seconds: float, url: str, response: requests.Response | None) -> None:
        level = logging.DEBUG if due.smooth else logging.WARNING
        if logger.isEnabledFor(level):
            logger.log(level, "%s is asked in %.3f s: %s", printable(url), seconds, due.reason)
        if self.policy.on_wait is not None:
            number, elapsed = self._poll.pauses, self.elapsed
            self.policy.on_wait(Wait(url, seconds, due.reason, number, elapsed, response))

    def _error(
        self, verdict: GiveUp, upcoming: requests.PreparedRequest, at: float
    ) -> PollingError:
        if self.response is not None:
            self.release(self.response)
        return _ERRORS[verdict.limit](
            f"{verdict.reason}; seen so far: {self._poll.tally()}; "
            f"resume with {upcoming.method} {printable(upcoming.url)}",
            request=self.request,
            response=self.response,
            url=upcoming.url,
            polls=self.polls,
            elapsed=self.elapsed,
            continuation_token=str(self.token(upcoming, at).anew()),
        )

    def _left(self) -> float | None:
        return self._poll.left(self._clock.monotonic())

    def _within(self, timeout: Any) -> Any:
        """``timeout`` (as requests takes it), but no longer than what is left."""
        left = self._left()
        if left is None:
            return timeout
        left = max(left, 0.001)  # urllib3 refuses 0
        if isinstance(timeout, tuple):
            return tuple(_shorter(part, left) for part in timeout)
        if isinstance(timeout, Timeout):
            bounded = timeout.clone()
            bounded.total = _shorter(timeout.total, left)
            return bounded
        return _shorter(timeout, left)


class CallInSteps(Call):
    """A call that never waits for what comes next: it raises :exc:`NotYet` instead."""

    __slots__ = ("begun", "options")

    def __init__(self, policy: PollingPolicy, spent: Spent | None = None) -> None:
        super().__init__(policy, spent=spent)
        self.following = True
        self.begun = False
        #: what the session gave to ``send()`` with the first request
        self.options: dict[str, Any] | None = None

    def goes_on_with(self, request: requests.PreparedRequest, at: float) -> None:
        """``request``, which was due at the instant ``at``, is about to be sent.

        :raises PollingTimeout: its time has gone by.
        """
        self.begins_with(request)
        self._check_time(request, at)

    def comes_to_rest(self) -> None:
        """Keep nothing of what was sent and answered: ten thousand calls may be waiting."""
        self.request = self.response = self._hooks = None
        self.led = self.proxies = self._judged = None

    def resumes(self, request: requests.PreparedRequest, due: float) -> None:
        """``request`` is due at ``due``, in seconds since the epoch.

        :raises NotYet: always, unless
        :raises PollingError: that is later than the policy allows.
        """
        at = self._clock.monotonic() + max(0.0, due - self._clock.time())
        self._check_time(request, at)
        self.wait(Due(at, "resumed", jitter=False), request, None)

    def wait(
        self, due: Due, upcoming: requests.PreparedRequest, response: requests.Response | None
    ) -> NoReturn:
        """:raises NotYet: always, unless
        :raises PollingError: a cap of the policy is reached.
        """
        raise NotYet(upcoming, self._pause(due, upcoming, response))

    def _check_time(self, request: requests.PreparedRequest, at: float) -> None:
        verdict = self._poll.overdue(self._clock.monotonic())
        if verdict is not None:
            raise self._error(verdict, request, at)


def printable(url: str | None) -> str:
    """``url`` without userinfo, which may hold a password (RFC 9110 section 4.2.4)."""
    try:
        return _without_userinfo(url or "")
    except ValueError:
        return "a URL that cannot be read"


def _without_userinfo(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _shorter(timeout: Any, left: float) -> Any:
    if timeout is None:
        return left
    # what is no number is for requests to refuse, or is urllib3's mark for "the default"
    return min(timeout, left) if isinstance(timeout, (int, float)) else timeout


def _answer(response: requests.Response) -> Answer:
    return Answer(response.request.method or "", response.status_code, response.headers)
