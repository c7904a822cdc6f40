"""The session: resolves redirects hop by hop, and waits before those that are polls."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Literal

import requests

from ._call import Call
from ._chain import Chain, Redirect
from ._poll import is_poll
from .adapter import PollingAdapter
from .policy import PollingPolicy, checked

#: Of polls in a row, so many are kept in ``response.history``, the newest: it stays bounded.
HISTORY_POLLS = 30

if TYPE_CHECKING:
    _Base = requests.Session
else:
    _Base = object


class _Choice:
    """A response hook that does nothing but carry the ``polling=`` of a request to ``send()``,
    whichever session, thread or process that is called in."""

    def __init__(self, polling: PollingPolicy | Literal[False]) -> None:
        self.polling = polling

    def __call__(self, response: requests.Response, **_: Any) -> None:
        pass


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
        **kwargs: Any,
    ) -> requests.Response:
        """As :meth:`requests.Session.request`.

        :param polling: another policy for this call; False: as requests does it.
        :raises PollingError: a cap of the policy is reached.
        """
        if polling is not None:
            kwargs["hooks"] = self._carrying(_chosen(polling), kwargs.get("hooks"))
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
        chosen = _carried(request) if polling is None else _chosen(polling)
        if chosen is False:
            with Call(self.policy, request, polling=False).under_way():
                return super().send(request, **kwargs)
        return self._call(request, chosen or self.policy, kwargs)

    def _carrying(self, polling: PollingPolicy | Literal[False], hooks: Any) -> dict[str, Any]:
        # Those of the request take the place of those of the session, as requests merges them.
        given = (hooks or {}).get("response") or self.hooks["response"]
        return {"response": [*([given] if callable(given) else given), _Choice(polling)]}

    def _call(
        self, request: requests.PreparedRequest, policy: PollingPolicy, kwargs: dict[str, Any]
    ) -> requests.Response:
        chain = Chain.of(request)
        call = Call(policy, request)
        redirect = chain.followed_by(request)
        with call.under_way():
            if redirect is not None:  # handed out before, and followed by hand
                redirect.wait(call, request)
                chain.forget(redirect)
            response = call.send(super().send, request, **kwargs)
        if response.next is not None:
            due = call.redirected(response)
            chain.remember(Redirect(response.request, response, response.next.url, due, call))
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
        call = Call.of(req) or Call(self.policy, req)
        options = {"timeout": timeout, "verify": verify, "cert": cert, **adapter_kwargs}
        if call.polling and not yield_requests:
            yield from self._resolve(call, resp, req, stream, proxies or {}, options)
            return
        stock: requests.Session = super()  # type: ignore[assignment]
        if call.following and self.get_redirect_target(resp) is not None:
            call.release(resp)  # within bounds, before requests reads all of it
            if self.max_redirects < 1:
                stock = super(PollingMixin, self._with_a_redirect_left())  # type: ignore[assignment]
        yield from stock.resolve_redirects(
            resp, req, stream=stream, proxies=proxies, yield_requests=yield_requests, **options
        )

    def _resolve(
        self,
        call: Call,
        resp: requests.Response,
        req: requests.PreparedRequest,
        stream: bool,
        proxies: dict[str, str],
        options: dict[str, Any],
    ) -> Generator[requests.Response, None, None]:
        redirects = 0
        history = [resp]
        polls: deque[requests.Response] = deque(maxlen=HISTORY_POLLS)
        while self.get_redirect_target(resp) is not None:
            with call.under_way(), call.follows():
                upcoming = self._upcoming(resp, req, proxies, options)
                due = call.redirected(resp)
                resp.history = [*history, *polls][:-1]
                if due is not None:
                    call.wait(due, upcoming, resp)
                    resp.history = []  # or each would keep all before it alive
                elif redirects >= self.max_redirects:
                    raise requests.TooManyRedirects(
                        f"Exceeded {self.max_redirects} redirects.", response=resp
                    )
                else:
                    redirects += 1
                proxies = self.rebuild_proxies(upcoming, proxies)
                hop = {"stream": True, "proxies": proxies, "allow_redirects": False, **options}
                resp = call.send(self.send, upcoming, preload=not stream, **hop)
            req = upcoming
            if is_poll(resp.status_code, resp.headers):
                polls.append(resp)
            else:
                passed = [*polls, resp]
                polls.clear()
                history.extend(passed)
                yield from passed
        yield from polls

    def _upcoming(
        self,
        resp: requests.Response,
        req: requests.PreparedRequest,
        proxies: dict[str, str],
        options: dict[str, Any],
    ) -> requests.PreparedRequest:
        """The request that requests makes of a redirect."""
        following: Any = resp.next or next(
            self.resolve_redirects(resp, req, proxies=proxies, yield_requests=True, **options)
        )
        self.get_adapter(following.url)  # if there is none, requests says so, before any wait
        return following  # type: ignore[no-any-return]

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


def _carried(request: requests.PreparedRequest) -> PollingPolicy | Literal[False] | None:
    choices = [hook for hook in request.hooks["response"] if isinstance(hook, _Choice)]
    return choices[-1].polling if choices else None


def _chosen(polling: Any) -> PollingPolicy | Literal[False]:
    if polling is False or isinstance(polling, PollingPolicy):
        return polling
    raise TypeError(f"polling={polling!r} is not accepted: it takes a PollingPolicy or False")
