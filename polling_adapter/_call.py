"""One call as the drivers share it: a Poll that decides, and the clock, log and errors it acts by.

While a session resolves a call, the adapters below it find the call in a context variable and join
it: there is one owner of the waiting at a time, and nothing is kept on a session or an adapter.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

import requests
from requests.utils import rewind_body

from ._address import printable, without_userinfo
from ._body import release
from ._endings import complete, ended
from ._failures import FAILURES, is_raised_by_a_hook
from ._hooks import hooks_of
from ._poll import Answer, Due, GiveUp, Poll, Spent, is_final
from ._repetition import Led
from ._timeout import within
from ._token import Token
from .exceptions import PollingError
from .policy import PollingPolicy, Wait

logger = logging.getLogger("polling_adapter")

Result = TypeVar("Result")

_current: ContextVar[Call | None] = ContextVar("polling_adapter_call", default=None)


class OutOfTime(Exception):
    """Carries ``error`` through urllib3 and requests, which would make one of theirs of it."""

    def __init__(self, error: PollingError) -> None:
        super().__init__(error)
        self.error = error


class Call:
    """One call of a session, or one chain of redirects seen by an adapter alone.

    :param policy: the caller's choices.
    :param request: the request that begins the call; None: it is yet to be made.
    :param begun: the instant of the policy's monotonic clock at which it began; None: now.
    :param polling: False: the call is left to requests.
    :param spent: what the call has behind it.
    """

    # What most calls never change is of the class: to make a Call costs every request.
    following = False
    request: Any = None
    response: requests.Response | None = None
    first_url: str | None = None
    led: Led = None
    proxies: tuple[object, dict[str, str]] | None = None  # by origin
    _due: Due | None = None
    _redirect: tuple[requests.Response, Due | None] | None = None
    _hooks: object = None
    _judged: weakref.ref[Exception] | None = None

    def __init__(
        self,
        policy: PollingPolicy,
        request: requests.PreparedRequest | None = None,
        *,
        begun: float | None = None,
        polling: bool = True,
        spent: Spent | None = None,
    ) -> None:
        self.policy = policy
        self.polling = polling
        self._clock = policy.clock
        started = self._clock.monotonic() if begun is None else begun
        self._poll = Poll(policy, started, spent=spent)
        if request is not None:
            self.begins_with(request)

    def begins_with(self, request: requests.PreparedRequest) -> None:
        """``request`` belongs to this call, and so do its copies."""
        self.request = request
        self._hooks = hooks_of(request)
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
        if call is None or not request.hooks or call._hooks is not request.hooks.get("response"):
            return None
        return call

    def run(self, function: Callable[..., Result], *args: Any) -> Result:
        """Call ``function``; meanwhile, this is the call that the adapters join."""
        token = _current.set(self)
        try:
            return function(*args)
        except requests.RequestException as error:
            complete(error, self, self._clock.monotonic())
            raise
        finally:
            _current.reset(token)

    def send(
        self,
        send: Callable[..., requests.Response],
        request: requests.PreparedRequest,
        options: dict[str, Any],
        preload: bool = False,
    ) -> requests.Response:
        """``send`` the request until it is neither refused for now nor a failed poll.

        :param options: the keyword arguments of ``send``; its timeout is bounded by the call.
        :param preload: read the result's body too, so that one cut short is a failed poll.
        :raises PollingError: a cap of the policy is reached.
        :raises requests.exceptions.UnrewindableBodyError: the body cannot be sent again.
        """
        self.request = request
        timeout = options.get("timeout")
        while True:
            before, response = self.response, None
            options["timeout"] = within(self._poll.deadline, self._clock, timeout)
            try:
                response = send(request, **options)
                due = self.answered(response, request)
                if due is None:
                    if preload and not response.is_redirect:
                        _ = response.content
                    return response
            except PollingError:
                raise
            except OutOfTime as out_of_time:
                raise out_of_time.error from None
            except FAILURES as error:
                answered = self.response is not before or is_raised_by_a_hook(error, Call.of)
                if response is None and answered:  # it is no failure of the request
                    raise
                verdict = self._failed(error, request)
                # No name may hold an error that is raised here: its traceback knows this frame, and
                # the cycle would keep connections open until the collector comes.
                if verdict is None:
                    raise
                if isinstance(verdict, GiveUp):
                    if verdict.limit == "poll_failures":  # the caller gets what requests raised
                        raise error from self._ended(verdict, request)
                    raise self._ended(verdict, request) from error
                response, due = None, verdict
            self.wait(due, request, response)

    def again(
        self,
        due: Due,
        response: requests.Response,
        send: Callable[..., requests.Response],
        request: requests.PreparedRequest,
        options: dict[str, Any],
    ) -> requests.Response:
        """:meth:`send` once more, when it is ``due``, as ``response`` asks."""
        self.wait(due, request, response)
        return self.send(send, request, options)

    def end_if_out_of_time(
        self, error: requests.Timeout, request: requests.PreparedRequest
    ) -> None:
        """:raises PollingTimeout: ``error`` came because the call's time has gone by."""
        verdict = self._failed(error, request)
        if isinstance(verdict, GiveUp):
            raise self._ended(verdict, request) from error

    def answered(
        self, response: requests.Response, request: requests.PreparedRequest
    ) -> Due | None:
        """When ``request`` may be sent again; None where ``response`` stands."""
        if self.response is not response:  # else an adapter below has seen to it
            self.response = response
            final = is_final(response.status_code)
            self._due = None if final else self._judge(response, request)
        return self._due

    def redirected(self, response: requests.Response) -> Due | None:
        """When a redirect may be followed; None where it is no poll."""
        if self._redirect is None or self._redirect[0] is not response:
            self._redirect = response, self._judge_redirect(response)
        return self._redirect[1]

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
    def tally(self) -> str:
        """The answers seen, in words."""
        return self._poll.tally()

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
            url=without_userinfo(request.url or ""),
            method=request.method or "",
            due=self._clock.time() + max(0.0, at - self._clock.monotonic()),
            polls=self.polls,
            counted=self._poll.counted,
            elapsed=self.elapsed,
            left=self._left(),
            origin=without_userinfo(self.first_url or ""),
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
            raise self._ended(verdict, upcoming, due.at)
        if response is not None:
            self.release(response)
            self._check_time(upcoming, due.at)  # the body may have dripped
        if due.storable:  # RFC 9111 section 5.2.1.4: the next answer is the server's
            upcoming.headers.setdefault("Cache-Control", "no-cache")
        self._tell(due, verdict.seconds, upcoming.url or "", response)
        return verdict.until

    def _sleep_until(self, until: float) -> None:
        # to the nanosecond, as sums of instants are not exact
        self._clock.sleep(max(0.0, round(until - self._clock.monotonic(), 9)))

    def _judge(self, response: requests.Response, request: requests.PreparedRequest) -> Due | None:
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

    def _judge_redirect(self, response: requests.Response) -> Due | None:
        answer, now, wall = _answer(response), self._clock.monotonic(), self._clock.time()
        if self.response is not response:  # no adapter below has told of it
            self.response = response
            self._poll.answered(answer, now, wall)
        return self._poll.redirected(answer, now, wall)

    def _failed(
        self, error: requests.RequestException, request: requests.PreparedRequest
    ) -> Due | GiveUp | None:
        """When a failed poll may be sent again; None: ``error`` is the caller's."""
        if self._judged is not None and self._judged() is error:  # by an adapter below
            return None
        self._judged = weakref.ref(error)  # weakly, as its traceback knows this call
        return self._poll.failed(
            request.method or "",
            type(error).__name__,
            isinstance(error, requests.Timeout),
            self._clock.monotonic(),
        )

    def _ended(
        self, verdict: GiveUp, upcoming: requests.PreparedRequest, at: float | None = None
    ) -> PollingError:
        """The error of a call that ends where ``upcoming`` is due ``at`` an instant; None: now."""
        if self.response is not None:
            self.release(self.response)
        return ended(self, verdict, upcoming, self._clock.monotonic() if at is None else at)

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

    def _left(self) -> float | None:
        return self._poll.left(self._clock.monotonic())

    def _check_time(self, request: requests.PreparedRequest, at: float) -> None:
        verdict = self._poll.overdue(self._clock.monotonic())
        if verdict is not None:
            raise self._ended(verdict, request, at)


def _answer(response: requests.Response) -> Answer:
    return Answer(response.request.method or "", response.status_code, response.headers)
