"""A chain of redirects as a session follows it: one request at a time, each when it is due."""

from __future__ import annotations

from typing import Any

import requests

from ._call import Call


class Hops:
    """Follows the redirects of ``call`` in ``session``.

    :param proxies: those of the last request; the other options are those of ``Session.send()``.
    """

    __slots__ = ("_call", "_options", "_proxies", "_redirects", "_session", "_stream")

    def __init__(
        self,
        session: requests.Session,
        call: Call,
        *,
        stream: bool = False,
        proxies: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        self._session = session
        self._call = call
        self._stream = stream
        self._proxies = proxies or {}
        self._options = options
        self._redirects = 0
        call.following = True

    def leads_on(self, response: requests.Response) -> bool:
        """Whether ``response`` is a redirect."""
        return self._session.get_redirect_target(response) is not None

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
        return self._call.run(
            self._call.send,
            self._session.send,
            request,
            preload=not self._stream,
            stream=True,
            proxies=self._proxies,
            allow_redirects=False,
            **self._options,
        )

    def _when_due(
        self, response: requests.Response, request: requests.PreparedRequest
    ) -> requests.PreparedRequest:
        upcoming = response.next or self._prepared(response, request)
        if upcoming is not request:
            # If there is no adapter for it, requests says so: before any wait.
            self._session.get_adapter(upcoming.url)  # type: ignore[arg-type]
            self._proxies = self._session.rebuild_proxies(upcoming, self._proxies)
        due = self._call.redirected(response)
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
            response, request, proxies=self._proxies, yield_requests=True, **self._options
        )
        prepared: requests.PreparedRequest = next(peeked)
        return prepared
