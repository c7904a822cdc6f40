"""The adapter: asks again where it is told to, and polls below any session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter
from requests.hooks import dispatch_hook
from requests.sessions import SessionRedirectMixin

from ._call import Call, release
from ._poll import is_poll
from .policy import PollingPolicy

if TYPE_CHECKING:
    _Base = HTTPAdapter
else:
    _Base = object


class PollingAdapterMixin(_Base):
    """Respects Retry-After, in any :class:`requests.adapters.HTTPAdapter` that it is mixed into.

    :param policy: caps, jitter and timeouts; below a :class:`PollingSession` its policy counts.
    """

    policy: PollingPolicy = PollingPolicy()

    def __init__(self, *args: Any, policy: PollingPolicy | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if policy is not None:
            if not isinstance(policy, PollingPolicy):
                raise TypeError(f"policy={policy!r} is not accepted: it takes a PollingPolicy")
            self.policy = policy
        retries = self.max_retries
        # urllib3 would sleep below us, outside of the deadline, and clip what the server asks for
        self.max_retries = retries.new(
            respect_retry_after_header=False,
            status_forcelist=frozenset(retries.status_forcelist) - self.policy.retry_statuses,
        )

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, stream: bool = False, **kwargs: Any
    ) -> requests.Response:
        """As :meth:`requests.adapters.HTTPAdapter.send`.

        :raises PollingError: a cap of the policy is reached.
        """
        call = Call.of(request)
        if call is None:
            return self._follow(request, stream=stream, **kwargs)
        if not call.polling:
            return super().send(request, stream=stream, **kwargs)
        return call.send(super().send, request, stream=stream, **kwargs)

    def _follow(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        chain = _Chain.of(request)
        pending = chain.take(request)
        if pending is None:
            call = Call(self.policy, request)
        else:
            call = pending.call
            call.follow(pending.response, request.url, pending.since)
        history: list[requests.Response] = []
        while True:
            response = call.send(super().send, request, **kwargs)
            if not is_poll(response.status_code, response.headers):
                break
            upcoming = _next_request(response, request, kwargs.get("proxies"))
            if upcoming is None:
                break
            if pending is None or not _same_origin(upcoming, request):
                chain.pending.append(
                    _Pending(request, upcoming, call, response, call.clock.monotonic())
                )
                break
            response = dispatch_hook("response", request.hooks, response, **kwargs)
            history.append(response)
            del history[:-30]
            call.follow(response, upcoming.url)
            request = upcoming
        response.history = history
        return response

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "policy": self.policy}


class PollingAdapter(PollingAdapterMixin, HTTPAdapter):
    """A :class:`requests.adapters.HTTPAdapter` that respects Retry-After.

    :param policy: caps, jitter and timeouts; every other argument is HTTPAdapter's.
    """


class _Pending(NamedTuple):
    """A poll that was handed to a session, which may or may not follow it."""

    request: requests.PreparedRequest
    upcoming: requests.PreparedRequest
    call: Call
    response: requests.Response
    since: float


class _Chain(dict[str, Any]):
    """The hooks of a request, which all copies of it share, and the polls they may follow.

    PreparedRequest.copy() shares the hooks, and requests builds each redirect with it: so a request
    that follows a redirect can be told from one made anew, without any state on the adapter.
    """

    def __init__(self, hooks: dict[str, Any]) -> None:
        super().__init__(hooks)
        self.pending: list[_Pending] = []

    @classmethod
    def of(cls, request: requests.PreparedRequest) -> _Chain:
        if not isinstance(request.hooks, _Chain):
            request.hooks = cls(request.hooks)
        return request.hooks

    def take(self, request: requests.PreparedRequest) -> _Pending | None:
        for pending in reversed(self.pending):
            if request is not pending.request and (request.method, request.url) == (
                pending.upcoming.method,
                pending.upcoming.url,
            ):
                self.pending.remove(pending)
                return pending
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class _Redirect(SessionRedirectMixin):
    """Only prepares the next request, with the logic of requests."""

    max_redirects = 1
    trust_env = False  # netrc has had its say on the first request of this origin

    def __init__(self) -> None:
        self.cookies = requests.cookies.RequestsCookieJar()


def _next_request(
    response: requests.Response, request: requests.PreparedRequest, proxies: Any
) -> requests.PreparedRequest | None:
    release(response)
    following = _Redirect().resolve_redirects(
        response, request, proxies=proxies, yield_requests=True
    )
    return next(following, None)  # type: ignore[return-value]


def _same_origin(one: requests.PreparedRequest, other: requests.PreparedRequest) -> bool:
    if one.method not in ("GET", "HEAD"):
        return False
    return not _Redirect().should_strip_auth(other.url or "", one.url or "")
