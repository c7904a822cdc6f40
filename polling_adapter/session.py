"""The session: resolves redirects hop by hop, and waits before those that are polls."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar

from ._call.above import call_after, hand_out, handed_to
from ._call.call import Call
from ._call.choice import carrying, checked, chosen, take_choice
from ._call.exchange import until_answered
from ._call.following import Following, leads_on
from ._call.handed_out import HandedOut
from ._call.hooks import REQUESTS, give_back, mark, mark_of, owned, owner_of
from ._call.job import Next
from ._call.meaning import redirect_of
from ._call.next_request import decide_alike, made_of
from ._call.parcel import Unprepared
from ._call.resumed import resumed
from .adapter import PollingAdapter, PollingAdapterMixin
from .policy import PollingPolicy
from .poller import Poller

# What is kept to a host, for as_completed() with many workers. Each is opened when it is needed, so
# that a larger number costs nothing.
_CONNECTIONS = 100

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._typed import Arguments
    from ._typed import TypedSession as _Base
else:
    _Base = object


class PollingMixin(_Base):
    """Respects Retry-After on redirects, in any :class:`requests.Session` that it is mixed into.

    :param policy: the policy of all calls that name none of their own.
    """

    policy: PollingPolicy = PollingPolicy()

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
        **kwargs: Unpack[Arguments],
    ) -> requests.Response:
        """As :meth:`requests.Session.request`.

        :param polling: another policy for this call; False: as requests does it.
        :raises PollingError: a limit of the policy is reached.
        """
        if polling is not None:
            kwargs["hooks"] = carrying(chosen(polling), kwargs.get("hooks"), self)
        return super().request(method, url, *args, **kwargs)  # type: ignore[arg-type]

    def send(
        self,
        request: requests.PreparedRequest,
        *,
        polling: PollingPolicy | Literal[False] | None = None,
        **kwargs: Any,
    ) -> requests.Response:
        """As :meth:`requests.Session.send`, with ``polling`` as in :meth:`request`:

        1. A request of a call that is under way is sent, once, within the call's time.
        2. With ``polling=False``, it is requests' own from here on, and so is what it refuses.
        3. Else a call begins, or goes on where a redirect was handed out: it waits until that is
           due.
        4. The request is sent until its answer is not to be asked again; requests itself then
           follows the redirects, by :meth:`resolve_redirects`.
        5. Where redirects are not followed, the next request carries where the call stands.
        6. Whatever ends it by an error says where the job is.
        """
        owner = owner_of(request)
        if isinstance(owner, Call) and owner.awaits_answer:
            return self._send_in(owner, kwargs, request)
        if owner is REQUESTS or isinstance(request, requests.Request):
            return super().send(request, **kwargs)
        choice = take_choice(request) if polling is None else chosen(polling)
        if choice is False:
            own, hooks = owned(request, REQUESTS)
            try:
                answered = super().send(own, **kwargs)
            finally:
                hooks.owner = None  # what follows is another call
            if isinstance(answered, requests.Response):
                give_back(own, request, answered)
            return answered
        if isinstance(choice, Call) and choice.awaits_answer:  # a poller's first
            options = {name: kwargs[name] for name in kwargs if name != "allow_redirects"}
            choice.following = self._following(options)
            choice.exchange.is_looked_ahead = True
            own = choice.owns(request)
            request.hooks = own.hooks  # so it is known, if somebody above sends it again
            return self._send_in(choice, kwargs, own)
        # A request of a job may be sent again by hand.
        policy = choice.policy if isinstance(choice, Call) else choice
        call = call_after(handed_to(request), self.policy, policy, request)
        call.follows = kwargs.get("allow_redirects", True)
        response = call.run(self._first, call, request, kwargs)
        if not call.follows:
            upcoming = getattr(response, "_next", None)  # a copied or pickled response has none
            if isinstance(upcoming, requests.PreparedRequest):
                mark(upcoming, hand_out(call, response))
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
        """As :meth:`requests.Session.resolve_redirects`, but a poll is waited for:

        1. Outside of a call of ours, and where requests only looks at the next request, it is
           requests' own.
        2. In a call, each redirect leads to a request, which requests' own code prepares.
        3. It waits until that is due, if it is a poll, and else counts against ``max_redirects``.
        4. It is sent until its answer is not to be asked again, which is the next response.
        5. Of polls in a row, the newest 30 are yielded, after the last of them.
        """
        options = {
            "stream": stream,
            "timeout": timeout,
            "verify": verify,
            "cert": cert,
            "proxies": proxies,
            **adapter_kwargs,
        }

        owner = owner_of(req)
        if owner is REQUESTS:
            return super().resolve_redirects(resp, req, yield_requests=yield_requests, **options)
        if owner is None and yield_requests:
            return self._peeked_by_hand(resp, req, options)
        if not isinstance(owner, Call):
            return self._resolved_by_hand(resp, req, options)
        if yield_requests:
            following: Following = owner.following or self._following(options)
            req = made_of(req)
            stock = partial(self._stock_peek, owner, req, options)
            return following.peek(owner, resp, req, stock)  # type: ignore[return-value]
        if not leads_on(self, owner, redirect_of(resp)):
            return iter(())  # type: ignore[return-value]
        options["timeout"] = owner.exchange.timeout  # the caller's, not what was left of the call
        owner.exchange.is_followed = True
        owner.following = following = self._following(options)
        return following.responses(owner, resp, req)

    def begin(
        self,
        method: str,
        url: str,
        *,
        polling: PollingPolicy | None = None,
        **kwargs: Unpack[Arguments],
    ) -> Poller:
        """Send a request, as :meth:`request`, and return at once, whatever is answered.

        :param polling: another policy for this job.
        :return: what asks for the result, whenever the caller wants to.
        :raises requests.RequestException: no answer came, so there is nothing to ask for; any other
            error is the result's.
        """
        return PollingMixin.submit(self, method, url, polling=polling, **kwargs)._begin()

    def submit(
        self,
        method: str,
        url: str,
        *,
        polling: PollingPolicy | None = None,
        **kwargs: Unpack[Arguments],
    ) -> Poller:
        """As :meth:`begin`, but nothing is sent yet: the first request goes as every other one, by
        the poller's own methods or :func:`as_completed`, and its error is the result's.

        :param polling: another policy for this job.
        """
        call = Call(self.policy if polling is None else checked(polling, "polling"))
        first = Unprepared(method.upper(), url, dict(kwargs), self.params)
        call.job = call.job._replace(upcoming=first)
        return Poller(self, call)

    def resume(
        self, token: str, *, polling: PollingPolicy | None = None, **kwargs: Unpack[Arguments]
    ) -> Poller:
        """Go on with a job, by the token of a :class:`Poller` or a :exc:`PollingError`. Nothing is
        sent yet.

        The session's credentials, and those in netrc, are for the origin that the job began at: one
        that was redirected to another origin does not get them.

        :param polling: another policy; default: this session's, and no more than the time that was
            left.
        :param kwargs: those of :meth:`request` that the token does not hold: headers, auth... A
            body is sent where the request that goes on has one, and else left out.
        :raises ValueError: the token is damaged or of a newer version, or its request needs a body,
            or the Idempotency-Key that it had.
        """
        if polling is not None:
            checked(polling, "polling")
        call = resumed(self, token, self.policy, polling, dict(kwargs))
        return Poller(self, call)._check_limits()

    def rebuild_proxies(
        self, prepared_request: requests.PreparedRequest, proxies: dict[str, str] | None
    ) -> dict[str, str]:
        """As :meth:`requests.Session.rebuild_proxies`, but the environment is asked once for the
        polls of a call that stay on one origin."""
        stock = partial(super().rebuild_proxies, prepared_request, proxies)
        owner = owner_of(prepared_request)
        if not isinstance(owner, Call) or owner.following is None:
            return stock()
        return owner.following.proxies(prepared_request, stock)  # type: ignore[no-any-return]

    def _first(
        self, call: Call, request: requests.PreparedRequest, kwargs: dict[str, Any]
    ) -> requests.Response:
        """Send what begins ``call``, when it is due, until there is an answer that stands."""
        own = call.owns(request)
        step = Next(own, call.job.due, call.job.response)
        send = partial(self._send_in, call, kwargs)
        result, _ = until_answered(call, step, send, reads=not kwargs.get("stream", self.stream))
        if not isinstance(result, requests.Response):
            return result  # what somebody has put in the place of requests' own send()
        give_back(own, request, result)
        call.tell(result)
        return result

    def _send_in(
        self, call: Call, kwargs: dict[str, Any], request: requests.PreparedRequest
    ) -> requests.Response:
        """Send a request of ``call``, once, within its time."""
        if call.exchange.again is not None:
            call.wait(call.exchange.take_again())
        request = call.sends(request)
        call.exchange.timeout = kwargs.get("timeout")
        adapter = self.get_adapter(request.url)  # type: ignore[arg-type]
        # Ours see to it themselves, and what has no sockets has nothing to bound.
        if not isinstance(adapter, PollingAdapterMixin):
            if isinstance(adapter, HTTPAdapter):
                kwargs = {**kwargs, "timeout": call.timeout(kwargs.get("timeout"))}
            call.goes_out()
        response = super().send(request, **kwargs)
        if call.exchange.again is not None and "Set-Cookie" in response.headers:
            # requests has stored it, but what is made of this request has cookies of its own.
            jar, kept = RequestsCookieJar(), made_of(request)
            jar.update(kept._cookies or RequestsCookieJar())
            extract_cookies_to_jar(jar, request, response.raw)
            kept._cookies = jar
        return response

    def _resolved_by_hand(
        self, resp: requests.Response, req: requests.PreparedRequest, options: dict[str, Any]
    ) -> Generator[requests.Response, None, None]:
        """What comes of an answer that a caller has, who wants to see each as it comes; or of one
        that somebody has asked for around our :meth:`send`, as requests-mock does for one session.
        """
        choice = take_choice(req)
        if choice is False:
            yield from super().resolve_redirects(resp, req, **options)
            return
        handed = self._handed_out_with(resp)
        policy = choice if isinstance(choice, PollingPolicy) else None
        call = call_after(handed, self.policy, policy)
        call.origin = call.origin or req.url
        own = call.owns(req)
        call.following = following = self._following(options)

        def responses() -> Generator[requests.Response, None, None]:
            call.answered_before(resp, own, known=handed is not None)
            yield from following.responses(call, resp, own)

        steps = responses()
        while (response := call.run(next, steps, None)) is not None:
            yield response

    def _peeked_by_hand(
        self, resp: requests.Response, req: requests.PreparedRequest, options: dict[str, Any]
    ) -> Generator[Any, None, None]:
        """The request that follows a redirect, for who sends it later."""
        handed = self._handed_out_with(resp)
        redirect = redirect_of(resp)
        for upcoming in super().resolve_redirects(redirect, req, yield_requests=True, **options):
            if handed is not None:
                mark(upcoming, handed)  # type: ignore[arg-type]
            yield upcoming

    def _handed_out_with(self, resp: requests.Response) -> HandedOut | None:
        upcoming = getattr(resp, "_next", None)  # a pickled response has none
        return None if upcoming is None else mark_of(upcoming, HandedOut)

    def _following(self, options: dict[str, Any]) -> Following:
        return Following(self, options, repeats=decide_alike(self, PollingSession))

    def _stock_peek(
        self,
        call: Call,
        req: requests.PreparedRequest,
        options: dict[str, Any],
        resp: requests.Response,
    ) -> Generator[Any, None, None]:
        """The next request, prepared by requests, which otherwise refuses to where no redirect is
        left: a job goes on then."""
        stock: Any = super()
        if self.max_redirects < 1 and call.goes_on:
            twin = object.__new__(type(self))
            twin.__dict__.update(self.__dict__, max_redirects=1)
            stock = super(PollingMixin, twin)
        return stock.resolve_redirects(resp, req, yield_requests=True, **options)  # type: ignore[no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "policy": self.policy}


class PollingSession(PollingMixin, requests.Session):
    """A :class:`requests.Session` that polls, with a :class:`PollingAdapter` on http and https. It
    keeps up to 100 connections to a host: as many as are used at once.

    :param policy: the policy of all calls that name none of their own.
    """

    def __init__(self, policy: PollingPolicy | None = None) -> None:
        super().__init__(policy=policy)
        for prefix in ("https://", "http://"):
            self.mount(prefix, PollingAdapter(policy=self.policy, pool_maxsize=_CONNECTIONS))
