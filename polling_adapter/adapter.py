"""The adapter: asks again where it is told to, and polls below any session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.hooks import dispatch_hook

from ._call import Call
from ._chain import (
    History,
    Redirect,
    followed_by,
    forget,
    next_request,
    remember,
    stays_here,
)
from ._hooks import has_hooks, hooks_of
from ._poll import deadline, is_final
from ._repetition import led, repeats
from ._retries import Retries
from ._timeout import for_urllib3, within
from .policy import PollingPolicy, checked

_STOCK_SEND = HTTPAdapter.send  # mocks may take its place

if TYPE_CHECKING:
    _Base = HTTPAdapter
else:
    _Base = object


class PollingAdapterMixin(_Base):
    """Respects Retry-After, in any :class:`requests.adapters.HTTPAdapter` that it is mixed into.

    :param policy: caps, jitter and timeouts; below a :class:`PollingSession` its policy counts.
    :raises TypeError: ``policy`` is no :class:`PollingPolicy`.
    """

    policy: PollingPolicy = PollingPolicy()

    def __init__(self, *args: Any, policy: PollingPolicy | None = None, **kwargs: Any) -> None:
        if policy is not None:
            self.policy = checked(policy)
        super().__init__(*args, **kwargs)

    @property
    def max_retries(self) -> urllib3.Retry:
        """urllib3's retries, as :class:`requests.adapters.HTTPAdapter` takes them. They happen
        below a poll, within its deadline."""
        return self._max_retries

    @max_retries.setter
    def max_retries(self, retries: urllib3.Retry) -> None:
        self._max_retries = Retries.within_calls(retries)

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
        """As :meth:`requests.adapters.HTTPAdapter.send`.

        :param more: what an adapter that this is mixed into takes besides.
        :raises PollingError: a cap of the policy is reached.
        """
        call = Call.of(request)
        if call is None and not (
            hooks_of(request) or isinstance(self._max_retries, Retries) or more
        ):
            return self._ask(request, stream, timeout, verify, cert, proxies)
        options = _options(stream, timeout, verify, cert, proxies, **more)
        if call is None:
            return self._lead(request, options)
        if not call.polling:
            return super().send(request, **options)
        return call.send(super().send, request, options)

    def _ask(
        self,
        request: requests.PreparedRequest,
        stream: bool,
        timeout: Any,
        verify: Any,
        cert: Any,
        proxies: Any,
    ) -> requests.Response:
        """Send what neither follows a redirect nor asks for the call that it is made in. Most such
        requests are answered at once: a call is made only for those that are not."""
        policy, clock = self.policy, self.policy.clock
        begun = clock.monotonic()
        send = super().send
        bound = for_urllib3 if getattr(send, "__func__", None) is _STOCK_SEND else within
        bounded = bound(deadline(policy, begun), clock, timeout)
        try:
            response = send(
                request, stream=stream, timeout=bounded, verify=verify, cert=cert, proxies=proxies
            )
        except requests.Timeout as error:
            Call(policy, request, begun=begun).end_if_out_of_time(error, request)
            raise
        if is_final(response.status_code):
            return response
        call = Call(policy, request, begun=begun)
        due = call.answered(response, request)
        if due is not None:
            options = _options(stream, timeout, verify, cert, proxies)
            response = call.run(call.again, due, response, send, request, options)
        return _hand_out(response, request, call)

    def _lead(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        """Send without a call above: either what follows a redirect, or what begins a call."""
        redirect = followed_by(request)
        if redirect is not None:
            return self._follow(redirect, request, options)
        call = Call(self.policy, request)
        response = call.run(call.send, super().send, request, options)
        return _hand_out(response, request, call)

    def _follow(
        self, redirect: Redirect, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        """The session above follows: from here on, polls are answered here while they stay here."""
        # A call whose time went by in the caller's hands begins anew.
        call = Call(self.policy, request) if redirect.call.is_over else redirect.call
        redirect.wait(call, request)
        forget(redirect)
        follow = redirect.request is not request
        preload = follow and not options["stream"]
        send = super().send
        response = call.run(call.send, send, request, dict(options), preload)
        history = History()
        while follow and response.is_redirect:
            due = call.redirected(response)
            if due is None:
                break
            call.release(response)  # within bounds, before requests reads all of it
            upcoming = self._upcoming(call, response, request, options)
            if upcoming is None:
                break
            response = dispatch_hook("response", request.hooks, response, **options)
            if has_hooks(request):  # they may have changed what is copied
                upcoming = self._upcoming(call, response, request, options) or upcoming
            history.add(response)
            call.wait(due, upcoming, response)
            request = upcoming
            response = call.run(call.send, send, request, dict(options), preload)
        if history:
            response.history = list(history)
        return _hand_out(response, request, call)

    def _upcoming(
        self,
        call: Call,
        response: requests.Response,
        request: requests.PreparedRequest,
        options: dict[str, Any],
    ) -> requests.PreparedRequest | None:
        """The next poll; None where it is the session's to send it."""
        if repeats(call.led, response, request, request._cookies):
            return request
        upcoming = next_request(response, request, options["proxies"])
        if upcoming is None or not stays_here(upcoming, request):
            return None
        call.led = led(response, request, upcoming)
        return upcoming

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "policy": self.policy}


class PollingAdapter(PollingAdapterMixin, HTTPAdapter):
    """A :class:`requests.adapters.HTTPAdapter` that respects Retry-After.

    :param policy: caps, jitter and timeouts; every other argument is HTTPAdapter's.
    """


def _options(
    stream: bool, timeout: Any, verify: Any, cert: Any, proxies: Any, **more: Any
) -> dict[str, Any]:
    return {
        "stream": stream,
        "timeout": timeout,
        "verify": verify,
        "cert": cert,
        "proxies": proxies,
        **more,
    }


def _hand_out(
    response: requests.Response, request: requests.PreparedRequest, call: Call
) -> requests.Response:
    """``response`` for the session above, which may follow a redirect or not."""
    if response.is_redirect and response.headers["Location"]:  # an empty one leads nowhere
        due = call.redirected(response)
        if due is not None:
            call.release(response)  # within bounds, before the session reads all of it
        remember(Redirect(request, response, due, call))
    return response
