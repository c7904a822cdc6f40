"""A chain of redirects as a session follows it: one request at a time, each when it is due."""

from __future__ import annotations

import sys
from typing import Any

import requests

from ._call import Call


class Hops:
    """Follows the redirects of ``call`` in ``session``; the options are ``Session.send()``'s."""

    __slots__ = (
        "_call",
        "_cert",
        "_more",
        "_proxies",
        "_redirects",
        "_session",
        "_stream",
        "_timeout",
        "_verify",
    )

    def __init__(
        self,
        session: requests.Session,
        call: Call,
        *,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        self._session = session
        self._call = call
        self._stream = stream
        self._timeout = timeout
        # requests reads the path of a bundle anew for each call; the same is kept once
        self._verify = sys.intern(verify) if type(verify) is str else verify
        self._cert = cert
        self._proxies = proxies or None
        self._more = more or None
        self._redirects = 0
        call.following = True

    def _options(self) -> dict[str, Any]:
        return {
            "timeout": self._timeout,
            "verify": self._verify,
            "cert": self._cert,
            "proxies": self._proxies or {},
            **(self._more or {}),
        }

    def leads_on(self, response: requests.Response) -> bool:
        """Whether ``response`` is a redirect."""
        return bool(self._session.get_redirect_target(response))

    def upcoming(
        self, response: requests.Response, request: requests.PreparedRequest
    ) -> requests.PreparedRequest:
        """The request that follows ``response``, the answer to ``request``, once it is due.

        :raises PollingError: a cap of the policy is reached.
        :raises requests.TooManyRedirects: ``max_redirects`` that are no polls were followed.
        """
        return self._call.run(self._when_due, response, request)

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        """Send a request; what it answers is not followed.

        :raises PollingError: a cap of the policy is reached.
        """
        options = {"stream": True, "allow_redirects": False, **self._options()}
        send = self._session.send
        return self._call.run(self._call.send, send, request, options, not self._stream)

    def _when_due(
        self, response: requests.Response, request: requests.PreparedRequest
    ) -> requests.PreparedRequest:
        due = self._call.redirected(response)
        upcoming = response.next or self._prepared(response, request)
        if upcoming is not request:
            # If there is no adapter for it, requests says so: before any wait.
            self._session.get_adapter(upcoming.url)  # type: ignore[arg-type]
            self._proxies = self._session.rebuild_proxies(upcoming, self._proxies) or None
        if due is not None:
            self._call.wait(due, upcoming, response)
        elif self._redirects >= self._session.max_redirects:
            raise requests.TooManyRedirects(
                f"Exceeded {self._session.max_redirects} redirects.", response=response
            )
        else:
            self._redirects += 1
        return upcoming

    def _prepared(
        self, response: requests.Response, request: requests.PreparedRequest
    ) -> requests.PreparedRequest:
        """The request that requests makes of a redirect."""
        peeked: Any = self._session.resolve_redirects(
            response, request, yield_requests=True, **self._options()
        )
        prepared: requests.PreparedRequest = next(peeked)
        return prepared
