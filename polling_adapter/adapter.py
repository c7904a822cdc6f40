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
    target,
)
from ._hooks import has_hooks
from ._poll import is_final
from ._repetition import led, repeats
from ._retries import Retries
from .policy import PollingPolicy, checked

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

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, stream: bool = False, **kwargs: Any
    ) -> requests.Response:
        """As :meth:`requests.adapters.HTTPAdapter.send`.

        :raises PollingError: a cap of the policy is reached.
        """
        kwargs["stream"] = stream
        call = Call.of(request)
        if call is None:
            return self._poll(request, kwargs)
        if not call.polling:
            return super().send(request, **kwargs)
        return call.send(super().send, request, kwargs)

    def _poll(self, request: requests.PreparedRequest, kwargs: dict[str, Any]) -> requests.Response:
        """Send without a polling session above. The first redirect goes to the session at once,
        which may not follow it; once it does, polls are answered here while they stay here."""
        redirect = followed_by(request)
        if redirect is None:
            call = Call(self.policy, request)
            follow = False
        else:
            # A call whose time went by in the caller's hands begins anew.
            call = Call(self.policy, request) if redirect.call.is_over else redirect.call
            redirect.wait(call, request)
            forget(redirect)
            follow = redirect.request is not request
        preload = follow and not kwargs["stream"]
        send = super().send
        response = call.run(call.send, send, request, dict(kwargs), preload)
        if is_final(response.status_code) or not response.is_redirect:
            return response
        history = History()
        while response.is_redirect:
            due = call.redirected(response)
            if due is not None:
                call.release(response)  # within bounds, before the session reads all of it
                upcoming = self._upcoming(call, response, request, kwargs) if follow else None
                if upcoming is not None:
                    response = dispatch_hook("response", request.hooks, response, **kwargs)
                    if has_hooks(request):  # they may have changed what is copied
                        upcoming = self._upcoming(call, response, request, kwargs) or upcoming
                    history.add(response)
                    call.wait(due, upcoming, response)
                    request = upcoming
                    response = call.run(call.send, send, request, dict(kwargs), preload)
                    continue
            url = target(response, request)
            remember(Redirect(request, response, url, due, call))
            break
        if history:
            response.history = list(history)
        return response

    def _upcoming(
        self,
        call: Call,
        response: requests.Response,
        request: requests.PreparedRequest,
        kwargs: dict[str, Any],
    ) -> requests.PreparedRequest | None:
        """The next poll; None where it is the session's to send it."""
        if repeats(call.led, response, request, request._cookies):
            return request
        upcoming = next_request(response, request, kwargs.get("proxies"))
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
