"""The session: resolves redirects hop by hop, and waits before those that are polls."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Literal

import requests

from ._address import origin
from ._call import Call
from ._chain import Redirect, followed_by, forget, pending, remember
from ._choice import carrying, choice_of, chosen
from ._hooks import hooks_of
from ._hops import Hops
from ._poll import is_final, is_poll
from ._repetition import decide_alike, led, repeats
from ._steps import CallInSteps
from .adapter import PollingAdapter, PollingAdapterMixin
from .policy import PollingPolicy, checked
from .poller import Poller

#: Of polls in a row, so many are kept in ``response.history``, the newest: it stays bounded.
HISTORY_POLLS = 30

_Stock = requests.Session

if TYPE_CHECKING:
    _Base = requests.Session
else:
    _Base = object


class PollingMixin(_Base):
    """Respects Retry-After on redirects, in any :class:`requests.Session` that it is mixed into.

    :param policy: the policy of all calls that name none of their own.
    """

    policy: PollingPolicy = PollingPolicy()
    _has_stock_methods = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Nothing but requests is around the adapters, and nothing else says what a redirect is.
        cls._has_stock_methods = (
            cls.get_adapter is _Stock.get_adapter
            and cls.get_redirect_target is _Stock.get_redirect_target
            and super().send is _Stock.send
        )

    def __init__(self, *args: Any, policy: PollingPolicy | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if policy is not None:
            self.policy = checked(policy)

    def request(
        self,
        method: str,
        url: str | bytes,
        *args: Any,
        polling: PollingPolicy | Literal[False] | None = None,
        **kwargs: Any,
    ) -> requests.Response:
        """As :meth:`requests.Session.request`.

        :param polling: another policy for this call; False: as requests does it.
        :raises PollingError: a cap of the policy is reached.
        """
        if polling is not None:
            kwargs["hooks"] = carrying(chosen(polling), kwargs.get("hooks"), self)
        return super().request(method, url, *args, **kwargs)

    def send(
        self,
        request: requests.PreparedRequest,
        *,
        polling: PollingPolicy | Literal[False] | None = None,
        **kwargs: Any,
    ) -> requests.Response:
        """As :meth:`requests.Session.send`, with ``polling`` as in :meth:`request`."""
        if Call.of(request) is not None:
            return super().send(request, **kwargs)
        if polling is None and not hooks_of(request):  # nothing is chosen, nothing followed
            policy = self.policy
            if not self._adapters_lead(policy):
                return self._send(Call(policy, request), request, kwargs)
            response = super().send(request, **kwargs)
            if is_final(response.status_code):  # as mostly, so it costs as little as it can
                return response
            return self._not_final(policy, response, request, kwargs)
        choice = choice_of(request) if polling is None else chosen(polling)
        if isinstance(choice, CallInSteps):
            if not choice.begun:
                return self._begin(choice, request, kwargs)
            choice = choice.policy  # a request of a job, sent again by hand
        if choice is False:
            call = Call(self.policy, request, polling=False)
            return call.run(functools.partial(super().send, request, **kwargs))
        call = Call(choice or self.policy, request)
        redirect = followed_by(request)
        if redirect is not None:  # handed out before, and followed by hand
            call.run(redirect.wait, call, request)
            forget(redirect)
        return self._send(call, request, kwargs)

    def begin(
        self,
        method: str,
        url: str,
        *,
        polling: PollingPolicy | None = None,
        **kwargs: Any,
    ) -> Poller:
        """Send a request, as :meth:`request`, and return at once, whatever is answered.

        :param polling: another policy for this job.
        :return: what asks for the result, whenever the caller wants to.
        :raises requests.RequestException: no answer came, so there is nothing to ask for; any other
            error is the result's.
        """
        policy = self.policy if polling is None else checked(polling)
        return Poller.begun(self, policy, method, url, kwargs)

    def resume(self, token: str, *, polling: PollingPolicy | None = None, **kwargs: Any) -> Poller:
        """Go on with a job, by the token of a :class:`Poller` or a :exc:`PollingError`. Nothing is
        sent yet.

        The session's credentials, and those in netrc, are for the origin that the job began at: one
        that was redirected to another origin does not get them.

        :param polling: another policy; default: this session's, and no more than the time that was
            left.
        :param kwargs: those of :meth:`request` that the token does not hold: headers, auth...
        :raises ValueError: the token is damaged or of a newer version, or its request needs a body.
        """
        return Poller.resumed(self, token, polling, kwargs)

    def _begin(
        self, call: CallInSteps, request: requests.PreparedRequest, kwargs: dict[str, Any]
    ) -> requests.Response:
        call.begun = True
        call.begins_with(request)
        call.options = dict(kwargs)
        preload = not kwargs.get("stream", self.stream)
        kwargs["stream"] = True
        return call.run(call.send, super().send, request, kwargs, preload)

    def _adapters_lead(self, policy: PollingPolicy) -> bool:
        """Whether the adapters begin the calls, by the same policy, and nothing is in between: then
        a request that is answered at once needs nothing of this class."""
        if not self._has_stock_methods or "get_adapter" in self.__dict__:
            return False
        for adapter in self.adapters.values():
            if not isinstance(adapter, PollingAdapterMixin) or adapter.policy is not policy:
                return False
        return True

    def _not_final(
        self,
        policy: PollingPolicy,
        response: requests.Response,
        request: requests.PreparedRequest,
        kwargs: dict[str, Any],
    ) -> requests.Response:
        """See to what comes of a request that the adapters were left with."""
        if response.history:  # the end of a chain that was followed
            return response
        call = Call(policy, request)
        due = call.answered(response, request)
        if due is not None:  # something takes the place of the adapter, as mocks do
            response = call.run(call.again, due, response, super().send, request, kwargs)
        return self._hand_out(response, call)

    def _send(
        self, call: Call, request: requests.PreparedRequest, kwargs: dict[str, Any]
    ) -> requests.Response:
        return self._hand_out(call.run(call.send, super().send, request, kwargs), call)

    def _hand_out(self, response: requests.Response, call: Call) -> requests.Response:
        request = response.request
        if response.next is not None and pending(response, request) is None:
            remember(Redirect(request, response, call.redirected(response), call))
        return response

    def resolve_redirects(
        self,
        resp: requests.Response,
        req: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: dict[str, str] | None = None,
        yield_requests: bool = False,
        **adapter_kwargs: Any,
    ) -> Generator[requests.Response, None, None]:
        """As :meth:`requests.Session.resolve_redirects`, but a poll is waited for.

        Of polls in a row, the newest ``HISTORY_POLLS`` are yielded, after the last of them.
        """
        final = is_final(resp.status_code)
        if final and self._has_stock_methods:  # it is no redirect: there is no need to look
            return _nothing()
        if not self.get_redirect_target(resp):  # an empty Location leads nowhere
            if not final:
                _release_if_asked_again(resp, req)
            return _nothing()
        call = Call.of(req) or self._begun(resp, req, yield_requests)
        options = {"timeout": timeout, "verify": verify, "cert": cert, **adapter_kwargs}
        if call.polling and not yield_requests:
            return _history(Hops(self, call, stream=stream, proxies=proxies, **options), resp, req)
        if call.following:
            return self._upcoming(call, resp, req, proxies=proxies, **options)
        stock = super().resolve_redirects(
            resp, req, stream=stream, proxies=proxies, yield_requests=yield_requests, **options
        )
        return _each_in(call, stock)

    def _begun(
        self, resp: requests.Response, req: requests.PreparedRequest, yield_requests: bool
    ) -> Call:
        """The call of an adapter that has led so far, or a new one."""
        redirect = pending(resp, req)
        if redirect is None or resp.next is not None:  # its time went by in the caller's hands
            return Call(self.policy, req)
        if not yield_requests:
            forget(redirect)
        return redirect.call

    def _upcoming(
        self,
        call: Call,
        resp: requests.Response,
        req: requests.PreparedRequest,
        **options: Any,
    ) -> Generator[Any, None, None]:
        """The request that requests makes of a redirect."""
        call.release(resp)  # within bounds, before requests reads all of it
        if repeats(call.led, resp, req, self.cookies) and decide_alike(self, PollingSession):
            yield req
            return
        stock: requests.Session = super()  # type: ignore[assignment]
        if self.max_redirects < 1:
            stock = super(PollingMixin, self._with_a_redirect_left())  # type: ignore[assignment]
        upcoming: Any
        for upcoming in stock.resolve_redirects(resp, req, yield_requests=True, **options):
            call.led = led(resp, req, upcoming)
            yield upcoming

    def rebuild_proxies(
        self, prepared_request: requests.PreparedRequest, proxies: dict[str, str] | None
    ) -> dict[str, str]:
        """As :meth:`requests.Session.rebuild_proxies`, but the environment is asked once for the
        polls of a call that stay on one origin."""
        call = Call.of(prepared_request)
        if call is None or not call.following:
            return super().rebuild_proxies(prepared_request, proxies)
        here = origin(prepared_request.url)
        if call.proxies is None or call.proxies[0] != here:
            call.proxies = here, super().rebuild_proxies(prepared_request, proxies)
        return call.proxies[1]

    def _with_a_redirect_left(self) -> PollingMixin:
        """This session with ``max_redirects`` 1: requests checks it before it prepares the next
        request, but a poll must go on when no redirect is left."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, max_redirects=1)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "policy": self.policy}


class PollingSession(PollingMixin, requests.Session):
    """A :class:`requests.Session` that polls, with a :class:`PollingAdapter` on http and https.

    :param policy: the policy of all calls that name none of their own.
    """

    def __init__(self, policy: PollingPolicy | None = None) -> None:
        super().__init__(policy=policy)
        self.mount("https://", PollingAdapter(policy=self.policy))
        self.mount("http://", PollingAdapter(policy=self.policy))


def _release_if_asked_again(resp: requests.Response, req: requests.PreparedRequest) -> None:
    """Read what is not the result within bounds, before requests reads all of it."""
    call = Call.of(req)
    if call is not None and call.polling and call.answered(resp, req) is not None:
        call.release(resp)


def _each_in(
    call: Call, steps: Generator[requests.Response, None, None]
) -> Generator[requests.Response, None, None]:
    """The ``steps``, each of them in ``call``, which completes the errors of requests."""
    while (step := call.run(next, steps, None)) is not None:
        yield step


def _nothing() -> Generator[requests.Response, None, None]:
    yield from ()


def _history(
    hops: Hops, resp: requests.Response, req: requests.PreparedRequest
) -> Generator[requests.Response, None, None]:
    """What comes of ``resp``, in order; of polls in a row the newest."""
    history = [resp]
    polls: deque[requests.Response] = deque(maxlen=HISTORY_POLLS)
    while hops.leads_on(resp):
        resp.history = [*history, *polls][:-1]
        req = hops.upcoming(resp, req)
        if is_poll(resp.status_code, resp.headers):
            resp.history = []  # or each would keep all before it alive
        resp = hops.send(req)
        if is_poll(resp.status_code, resp.headers):
            polls.append(resp)
        else:
            passed = [*polls, resp]
            polls.clear()
            history.extend(passed)
            yield from passed
    yield from polls
