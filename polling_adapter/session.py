"""The session: resolves redirects hop by hop, and waits before those that are polls."""

from __future__ import annotations

from collections.abc import Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

import requests

from ._call import FAILURES, Call, release
from .adapter import PollingAdapter
from .policy import PollingPolicy

#: So many of a call's polls are kept in ``response.history``, the newest: it stays bounded.
HISTORY_POLLS = 30

# The ``polling=`` of Session.request on its way to Session.send
_requested: ContextVar[PollingPolicy | Literal[False] | None] = ContextVar(
    "polling_adapter_requested", default=None
)

if TYPE_CHECKING:
    _Base = requests.Session
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
            self.policy = _checked(policy)

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
        token = _requested.set(None if polling is None else _checked(polling))
        try:
            return super().request(method, url, *args, **kwargs)
        finally:
            _requested.reset(token)

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
        chosen = _checked(polling) if polling is not None else _requested.get()
        token = _requested.set(None)  # a request sent on the side, by a hook, is a call of its own
        try:
            call = Call(chosen if chosen else self.policy, request, polling=chosen is not False)
            with call.current():
                return super().send(request, **kwargs)
        finally:
            _requested.reset(token)

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
        """As :meth:`requests.Session.resolve_redirects`, but a poll is waited for."""
        call = Call.of(req)
        options = {"timeout": timeout, "verify": verify, "cert": cert, **adapter_kwargs}
        if yield_requests or (call is not None and not call.polling):
            if yield_requests and call is not None and call.following:
                release(resp)  # within bounds, before requests reads all of it
            stock = super().resolve_redirects
            if yield_requests and self.max_redirects < 1 and call is not None and call.following:
                stock = super(PollingMixin, self._with_a_redirect_left()).resolve_redirects
            yield from stock(
                resp, req, stream=stream, proxies=proxies, yield_requests=yield_requests, **options
            )
            return
        if call is None:
            call = Call(self.policy, req)
        yield from self._resolve(call, resp, req, proxies or {}, options)

    def _resolve(
        self,
        call: Call,
        resp: requests.Response,
        req: requests.PreparedRequest,
        proxies: dict[str, str],
        options: dict[str, Any],
    ) -> Generator[requests.Response, None, None]:
        redirects = 0
        history: list[requests.Response] = []
        with call.current(), call.follows():
            while True:
                if call.again(resp, req):
                    upcoming = req
                elif self.get_redirect_target(resp) is None:
                    return
                else:
                    upcoming = self._next(resp, req, proxies, options)
                    if not call.follow(resp, upcoming.url):
                        resp.history = history[:]
                        redirects += 1
                        if redirects > self.max_redirects:
                            raise requests.TooManyRedirects(
                                f"Exceeded {self.max_redirects} redirects.", response=resp
                            )
                        release(resp)
                history.append(resp)
                del history[: max(0, len(history) - HISTORY_POLLS - redirects)]
                proxies = self.rebuild_proxies(upcoming, proxies)
                resp = self._send_hop(call, upcoming, proxies, options)
                requests.cookies.extract_cookies_to_jar(self.cookies, upcoming, resp.raw)
                req = upcoming
                yield resp

    def _next(
        self,
        resp: requests.Response,
        req: requests.PreparedRequest,
        proxies: dict[str, str],
        options: dict[str, Any],
    ) -> requests.PreparedRequest:
        if resp.next is not None:
            return resp.next
        return next(  # type: ignore[return-value]
            self.resolve_redirects(resp, req, proxies=proxies, yield_requests=True, **options)
        )

    def _send_hop(
        self,
        call: Call,
        request: requests.PreparedRequest,
        proxies: dict[str, str],
        options: dict[str, Any],
    ) -> requests.Response:
        while True:
            try:
                return self.send(
                    request, stream=True, proxies=proxies, allow_redirects=False, **options
                )
            except FAILURES as error:
                call.survive(error, request)

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


def _checked(policy: Any) -> Any:
    if policy is False or isinstance(policy, PollingPolicy):
        return policy
    raise TypeError(f"polling={policy!r} is not accepted: it takes a PollingPolicy or False")
