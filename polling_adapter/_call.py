"""One call as the drivers share it: a Poll that decides, and the clock, log and errors it acts by.

While a session resolves a call, the adapters below it find the call in a context variable and join
it: there is one owner of the waiting at a time, and nothing is kept on a session or an adapter.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.utils import rewind_body
from urllib3.util import Timeout

from ._poll import Answer, GiveUp, Limit, Pause, Poll
from .exceptions import PollingError, PollingTimeout, RetryAfterTooLong, TooManyPolls
from .policy import PollingPolicy, Wait

logger = logging.getLogger("polling_adapter")

# The most that is read of the body of a response that is not the result, in bytes. More costs the
# connection, which is cheaper than reading on.
BODY_LIMIT = 65536

_ERRORS: dict[Limit, type[PollingError]] = {
    "total_timeout": PollingTimeout,
    "max_polls": TooManyPolls,
    "retry_after_max": RetryAfterTooLong,
    "poll_failures": PollingError,
}

# What a poll may fail with: no connection, no answer in time, an answer cut short
FAILURES = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)

_current: ContextVar[Call | None] = ContextVar("polling_adapter_call", default=None)


class Call:
    """One call of a session, or one chain of redirects seen by an adapter alone.

    :param policy: the caller's choices.
    :param request: the request that begins the call.
    :param polling: False: the call is left to requests.
    """

    def __init__(
        self, policy: PollingPolicy, request: requests.PreparedRequest, polling: bool = True
    ) -> None:
        self.policy = policy
        self.polling = polling
        self.following = False
        self.clock = policy.clock
        self.poll = Poll(policy, self.clock.monotonic())
        self.response: requests.Response | None = None
        self._judged: object = None
        self._verdict: Pause | GiveUp | None = None
        self.hooks = request.hooks

    @classmethod
    def of(cls, request: requests.PreparedRequest) -> Call | None:
        """The call under way in this context that ``request`` belongs to."""
        call = _current.get()
        # PreparedRequest.copy() shares the hooks, a request made anew has its own: so a hop is
        # told from a request that a hook or an auth handler sends on the side.
        return call if call is not None and call.hooks is request.hooks else None

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make this the call that the adapters join."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    @contextmanager
    def follows(self) -> Iterator[None]:
        """While redirects are followed, not handed to the caller."""
        self.following = True
        try:
            yield
        finally:
            self.following = False

    def send(
        self,
        send: Callable[..., requests.Response],
        request: requests.PreparedRequest,
        timeout: Any = None,
        **kwargs: Any,
    ) -> requests.Response:
        """``send`` the request until it is neither refused for now nor a failed poll.

        :raises PollingError: a cap of the policy is reached.
        :raises requests.exceptions.UnrewindableBodyError: the body cannot be sent again.
        """
        while True:
            try:
                response = send(request, timeout=self._within(timeout), **kwargs)
            except FAILURES as error:
                self.survive(error, request)
                continue
            if not self.again(response, request):
                return response

    def again(self, response: requests.Response, request: requests.PreparedRequest) -> bool:
        """Wait where ``response`` means that ``request`` is to be sent again."""
        # An adapter and the session above it may both ask: one answer is judged once.
        if self._judged is not response:
            self._judged = self.response = response
            self._verdict = self.poll.answered(
                _answer(response), self.clock.monotonic(), self.clock.time()
            )
        verdict, self._verdict = self._verdict, None
        if verdict is None:
            return False
        if isinstance(verdict, GiveUp):
            if verdict.limit == "poll_failures":  # as requests would have given it
                logger.warning("%s: %s", printable(request.url), verdict.reason)
                return False
            raise self.error(verdict, request)
        _rewind(request, response)
        self.wait(verdict, request.url, response)
        return True

    def follow(
        self, response: requests.Response, url: str | None, since: float | None = None
    ) -> bool:
        """Wait where the redirect ``response`` to ``url`` is a poll.

        :param since: the monotonic instant at which the response came; default: now.
        :return: whether it is a poll.
        """
        now = self.clock.monotonic() if since is None else since
        self.response = response
        verdict = self.poll.redirected(_answer(response), now, self.clock.time())
        if verdict is None:
            return False
        if isinstance(verdict, GiveUp):
            raise self.error(verdict, response.request, url)
        self.wait(verdict, url, response)
        return True

    def survive(self, error: requests.RequestException, request: requests.PreparedRequest) -> None:
        """Wait where ``error`` is a failed poll that the policy survives; else raise it."""
        if self._judged is error:  # an adapter below has given up already
            raise error
        self._judged = error
        verdict = self.poll.failed(
            request.method or "",
            type(error).__name__,
            isinstance(error, requests.Timeout),
            self.clock.monotonic(),
        )
        if verdict is None:
            raise error
        if isinstance(verdict, GiveUp):
            ours = self.error(verdict, request)
            if verdict.limit == "poll_failures":  # as requests would have given it
                raise error from ours
            raise ours from error
        self.wait(verdict, request.url, None)

    def wait(self, pause: Pause, url: str | None, response: requests.Response | None) -> None:
        """Tell the log and the hook, let go of the connection, and sleep."""
        level = logging.DEBUG if response is not None and response.is_redirect else logging.INFO
        if "no usable time" in pause.reason or "failure" in pause.reason:
            level = logging.WARNING
        logger.log(level, "%s in %.3f s: %s", printable(url), pause.seconds, pause.reason)
        if response is not None:
            release(response)
        if self.policy.on_wait is not None:
            elapsed = self.clock.monotonic() - self.poll.started
            self.policy.on_wait(
                Wait(url or "", pause.seconds, pause.reason, self.poll.pauses, elapsed, response)
            )
        self.clock.sleep(max(0.0, pause.until - self.clock.monotonic()))

    def error(
        self, verdict: GiveUp, request: requests.PreparedRequest, url: str | None = None
    ) -> PollingError:
        """The error for ``verdict``; ``url`` is still to be asked (default: the request's own)."""
        method = "GET" if url is not None else request.method
        url = request.url if url is None else url
        return _ERRORS[verdict.limit](
            f"{verdict.reason}; seen so far: {self.poll.tally()}; "
            f"resume with {method} {printable(url)}",
            request=request,
            response=self.response,
            url=url,
            polls=self.poll.polls,
            elapsed=self.clock.monotonic() - self.poll.started,
        )

    def _within(self, timeout: Any) -> Any:
        """``timeout`` (as requests takes it), but no longer than what is left."""
        left = self.poll.left(self.clock.monotonic())
        if left is None:
            return timeout
        left = max(left, 0.001)  # urllib3 refuses 0
        if timeout is None:
            return left
        if isinstance(timeout, tuple):
            return tuple(left if part is None else min(part, left) for part in timeout)
        if isinstance(timeout, Timeout):
            total = timeout.total
            total = min(total, left) if isinstance(total, (int, float)) else left
            return Timeout(total=total, connect=timeout._connect, read=timeout._read)
        return min(timeout, left)


def release(response: requests.Response) -> None:
    """Give the connection of a response that is not the result back, its body read within
    ``BODY_LIMIT``: a waiting call holds no connection."""
    raw = response.raw
    if raw is None or response._content_consumed:
        return
    try:
        if _is_short(response):
            _ = response.content
        else:
            raw.read(BODY_LIMIT, decode_content=False)
            response._content = b""
            response._content_consumed = True
            raw.close()  # what is left unread would be taken for the next response
    except Exception as error:  # the body is of no use: whatever is wrong with it, let it go
        logger.debug("body of %s dropped: %s", printable(response.url), type(error).__name__)
        response._content = b""
        response._content_consumed = True
        raw.close()
    response.close()


def printable(url: str | None) -> str:
    """``url`` without userinfo, which may hold a password (RFC 9110 section 4.2.4)."""
    parts = urlsplit(url or "")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _is_short(response: requests.Response) -> bool:
    length = response.headers.get("Content-Length", "")
    return (
        length.isascii()
        and length.isdigit()
        and int(length) <= BODY_LIMIT
        and "Content-Encoding" not in response.headers
    )


def _answer(response: requests.Response) -> Answer:
    return Answer(response.request.method or "", response.status_code, response.headers)


def _rewind(request: requests.PreparedRequest, response: requests.Response) -> None:
    """Make the body ready to be sent again, or say before any wait that it is not."""
    if request.body is None or isinstance(request.body, (bytes, str)):
        return
    try:
        rewind_body(request)
    except requests.exceptions.UnrewindableBodyError as error:
        raise requests.exceptions.UnrewindableBodyError(
            f"{printable(request.url)} answered {response.status_code} and asks to send the "
            f"request again later, but its body cannot be rewound: give bytes or a seekable file",
            request=request,
            response=response,
        ) from error
