"""The adapter: asks again where it is told to, and polls below any session."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.hooks import dispatch_hook
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import EmptyPoolError

from ._call.above import (
    Challenged,
    Redirect,
    call_after,
    challenges,
    followed_by,
    forget,
    hand_to_hooks,
    hand_to_session,
)
from ._call.below import sent_in, wait_within_calls, within_call
from ._call.call import Call
from ._call.choice import checked
from ._call.cookies import Cookies
from ._call.exchange import until_answered
from ._call.handed_out import HandedOut
from ._call.hooks import done, has_hooks, mark_of, owned, owner_of
from ._call.job import Next
from ._call.meaning import redirect_of
from ._call.messages import WITH_A_SESSION
from ._call.next_request import (
    Repetition,
    foreseen,
    made_of,
    next_request,
    repeats,
    repetition,
    unreadable,
)
from ._continuation import continuation_token
from ._rules.address import origin, printable, same
from ._rules.answer import is_error
from .policy import PollingPolicy

if TYPE_CHECKING:
    _Base = HTTPAdapter
else:
    _Base = object

_logger = logging.getLogger("polling_adapter")

_Send = Callable[..., requests.Response]


class PollingAdapterMixin(_Base):
    """Respects Retry-After, in any :class:`requests.adapters.BaseAdapter` that it is mixed into.

    :param policy: caps, jitter and timeouts; below a :class:`PollingSession` its policy counts.
    :raises TypeError: ``policy`` is no :class:`PollingPolicy`.
    """

    policy: PollingPolicy = PollingPolicy()

    def __init__(self, *args: Any, policy: PollingPolicy | None = None, **kwargs: Any) -> None:
        if any(isinstance(one, PollingPolicy) for one in args):
            raise TypeError("a policy is given by its name: policy=PollingPolicy(...)")
        if policy is not None:
            self.policy = checked(policy)
        super().__init__(*args, **kwargs)

    @property
    def max_retries(self) -> urllib3.Retry:
        """urllib3's retries, as :class:`requests.adapters.HTTPAdapter` takes them: the very object
        that was given. What a call sends is retried by a copy, within its deadline."""
        return within_call(self._max_retries)

    @max_retries.setter
    def max_retries(self, retries: urllib3.Retry) -> None:
        self._max_retries = retries

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
        **more: Any,
    ) -> requests.Response:
        """As :meth:`requests.adapters.HTTPAdapter.send`. Whoever owns the call decides:

        1. Below a session that polls, the session: the request is sent, once, within the call's
           time.
        2. With ``polling=False``, requests: it is sent as it is.
        3. Below any other session, this adapter: it waits for what it follows, and asks until there
           is an answer; polls are answered here while they leave the session nothing to decide.

        :param more: what an adapter that this is mixed into takes besides.
        :raises PollingError: a limit of the policy is reached.
        """
        options = {
            "stream": stream,
            "timeout": timeout,
            "verify": verify,
            "cert": cert,
            "proxies": proxies,
            **more,
        }
        owner = owner_of(request)
        if isinstance(owner, Call):
            if owner.exchange is not None:  # else it is no request of it: on_wait sends something
                return _send_in(owner, super().send, request, options)
        elif owner is not None:
            with sent_in(None):
                return super().send(request, **options)
        redirect = followed_by(request)
        answered = challenges(request) if redirect is None else []
        followed = redirect or (answered[0] if answered else None)
        before = mark_of(request, HandedOut) if followed is None else followed.handed
        call = call_after(before, self.policy, upcoming=request)
        call.opening = WITH_A_SESSION
        chain = _Chain(call, super().send, options, request.hooks, answered)
        return call.run(chain.answer, request, redirect)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As :meth:`requests.adapters.HTTPAdapter.init_poolmanager`, but who waits for a connection
        of a pool that blocks stays within the call."""
        super().init_poolmanager(*args, **kwargs)
        wait_within_calls(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`requests.adapters.HTTPAdapter.proxy_manager_for`, in the same way."""
        manager = super().proxy_manager_for(*args, **kwargs)
        wait_within_calls(manager)
        return manager

    def __getstate__(self) -> dict[str, Any]:
        stock: Any = getattr(super(), "__getstate__", None)  # from Python 3.11 on, any object's
        return {**((stock and stock()) or vars(self)), "policy": self.policy}


class PollingAdapter(PollingAdapterMixin, HTTPAdapter):
    """A :class:`requests.adapters.HTTPAdapter` that respects Retry-After.

    :param policy: caps, jitter and timeouts; every other argument is HTTPAdapter's.
    """


def _send_in(
    call: Call, send: _Send, request: requests.PreparedRequest, options: dict[str, Any]
) -> requests.Response:
    """``send`` a request, no longer than ``call`` lasts."""
    if call.exchange.is_shown_below:
        upcoming = call.upcoming()
        if upcoming is not None and same(request.url, upcoming.url):
            # a session that a hook has called follows what we have seen
            call.wait(Next(request, call.job.due, call.job.response))
    timeout = call.timeout(options["timeout"])
    try:
        with sent_in(call):
            call.goes_out()
            # at once, whatever interrupts then
            call.arrived = response = send(request, **{**options, "timeout": timeout})
    except EmptyPoolError as error:  # which requests lets through
        call.stays_here()
        raise requests.exceptions.ConnectTimeout(error, request=request) from error
    return response


class _Chain:
    """The requests of one call of an adapter alone, between two that the session above sends."""

    _follows = False  # what it answers was a redirect, so redirects are followed
    _is_first = True  # what is sent is the session's request, and not yet a poll
    _are_hooks_done = False  # they have seen the latest answer
    _brought: requests.Response | None = None  # what they have brought in place of an answer

    def __init__(
        self,
        call: Call,
        send: _Send,
        options: dict[str, Any],
        hooks: Any,
        challenges: list[Challenged],
    ) -> None:
        self._call = call
        self._challenges = challenges  # answered by its request: a session may follow with theirs
        self._hooks = hooks  # those that requests goes through afterwards
        self._send = send
        self._options = options
        self._cookies = Cookies()
        self._repetition: Repetition = None

    def answer(
        self, request: requests.PreparedRequest, redirect: Redirect | None
    ) -> requests.Response:
        """What the session above gets for its ``request``.

        :param redirect: what it follows. Where it follows none, its caller may want to see the
            first answer, whatever it is.
        """
        call, sent = self._call, request
        self._follows = redirect is not None and redirect.request() is not request
        call.wait(Next(request, call.job.due, call.job.response))
        if redirect is not None:
            forget(redirect, request)
        response = self._asked(Next(request, None, None))
        self._is_first = False
        while (upcoming := self._next_poll(response, sent)) is not None:
            call.release(response)
            sent = upcoming
            self._cookies.are_in_next()
            response = self._asked(Next(sent, call.job.due, response))
        self._hand_over(response, sent, request)
        return response

    def _hand_over(
        self,
        response: requests.Response,
        sent: requests.PreparedRequest,
        request: requests.PreparedRequest,
    ) -> None:
        """The session above, which has sent ``request``, gets the answer to ``sent``."""
        call = self._call
        if self._cookies:
            self._cookies.hand_to_session(response, call.clock.time())
        if sent is not request and (self._follows or response.is_redirect):
            # What requests does next is of the request that was answered: what its URL means for
            # a cookie, whether there is still a body, which headers a redirect keeps. Else
            # the caller's own request stays as it is, to be sent again.
            _become(request, sent)
            for challenge in self._challenges if response.is_redirect else ():
                _become(challenge.request() or request, sent, is_copied=True)
            sent = request
            if response is not self._brought:
                response.request = request
        if response.is_redirect and response.headers["Location"]:  # an empty one leads nowhere
            self._hand_out(response, request)
        elif is_error(response.status_code) and has_hooks(request) and not self._are_hooks_done:
            if response.request is not None:  # what before_poll has made of it is nobody's
                response.request = made_of(response.request)
            hand_to_hooks(response, sent, call, self._hooks)
        if self._are_hooks_done:
            done(self._hooks, response)
        if response is not self._brought or continuation_token(response) is None:
            call.tell(response)  # else who has brought it knows more

    def _asked(self, step: Next) -> requests.Response:
        """The answer that stands, however often it takes."""
        reads = not self._options["stream"]
        return until_answered(self._call, step, self._sent, reads=reads)[0]

    def _sent(self, request: requests.PreparedRequest) -> requests.Response:
        call, clock = self._call, self._call.clock
        ready = call.sends(request)
        started = clock.monotonic()
        response = _send_in(call, self._send, ready, self._options)
        response.elapsed = timedelta(seconds=clock.monotonic() - started)
        if "Set-Cookie" in response.headers:
            self._cookies.add(response, request.url or "", clock.time())
        self._are_hooks_done = False
        if has_hooks(request):
            call.exchange.judge(response)
            if call.exchange.again is None and self._is_ours_to_show(response, request):
                return self._shown(response, request)
        return response

    def _is_ours_to_show(
        self, response: requests.Response, request: requests.PreparedRequest
    ) -> bool:
        """Whether nobody above shows ``response`` to the hooks: a poll that is followed here, or in
        a hook what refuses one. An auth handler answers that by a copy of the request (RFC 9110
        section 11), requests' own by any 4xx that names a scheme, and a hook of the caller's as it
        likes."""
        if is_error(response.status_code):
            return not self._is_first
        before, upcoming = self._repetition, self._next_poll(response, request)
        self._repetition = before  # the same answer is looked at again, when hooks have seen it
        return upcoming is not None

    def _shown(
        self, response: requests.Response, request: requests.PreparedRequest
    ) -> requests.Response:
        """What the hooks make of ``response``."""
        # What they answer a challenge by, which is a copy of its request, belongs to this call.
        own, hooks = owned(response.request or request, self._call)
        if is_error(response.status_code):
            response.request, self._call.exchange.is_shown_below = own, True
        answer = response
        try:
            response = dispatch_hook("response", {"response": hooks}, response, **self._options)
        finally:
            hooks.owner = None
        self._are_hooks_done = True
        if response is not answer:
            self._brought = response
            self._cookies.add(response, response.url, self._call.clock.time())
        return response

    def _next_poll(
        self, response: requests.Response, request: requests.PreparedRequest
    ) -> requests.PreparedRequest | None:
        """The next poll; None where there is none, or it is the session's to send it: a redirect
        to one that may not follow it, for one."""
        call, redirect = self._call, redirect_of(response)
        is_redirect = redirect is response
        is_followed = self._follows and call.job.due is not None and response.is_redirect
        if is_redirect and not is_followed:
            return None
        if repeats(self._repetition, redirect, request, request._cookies or self._cookies):
            return request
        if self._cookies:
            self._cookies.hand_to_next(response, call.clock.time())
        try:
            upcoming = next_request(redirect, request, self._options["proxies"])
        except (ValueError, requests.RequestException) as error:
            if is_redirect or not isinstance(error, ValueError):
                return None  # the session raises what is wrong with it
            call.release(response)
            raise unreadable(error, request, redirect) from None
        if upcoming is None or (is_redirect and upcoming.method != request.method):
            return None
        if origin(upcoming.url) != origin(request.url):
            if not is_redirect:
                url, other = printable(request.url), printable(upcoming.url)
                _logger.warning("%s leads to %s, where no adapter sends it", url, other)
            return None
        self._repetition = repetition(redirect, request, upcoming)
        return upcoming

    def _hand_out(self, response: requests.Response, request: requests.PreparedRequest) -> None:
        """The session above may follow a redirect, or not."""
        call = self._call
        if call.job.due is not None:
            # within bounds, before the session reads all of it
            if has_hooks(request):
                call.leave_unread(response)
            else:
                call.release(response)
        try:
            upcoming = foreseen(response, request)
        except ValueError as error:
            if call.job.progress.is_job:  # else it is the session's to raise it, if it follows
                raise unreadable(error, request, response) from None
            upcoming = None
        url = None if upcoming is None else upcoming.url
        call.job = call.job._replace(upcoming=upcoming)
        hand_to_session(response, request, url, call)


def _become(
    request: requests.PreparedRequest, other: requests.PreparedRequest, is_copied: bool = False
) -> None:
    """``request`` is ``other`` from here on.

    :param is_copied: that comes of a copy, whose credentials are its own.
    """
    headers = other.headers
    if is_copied:
        kept = {k: v for k, v in request.headers.items() if k in headers}
        headers = CaseInsensitiveDict(kept)
    for name in ("method", "url", "body", "_cookies", "_body_position"):
        setattr(request, name, getattr(other, name))
    request.headers = headers
