"""A request while it waits to be sent: small, as ten thousand may be waiting."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import requests
from requests.cookies import RequestsCookieJar
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict

from ._hooks import has_hooks

if TYPE_CHECKING:
    from ._steps import CallInSteps
    from .session import PollingMixin


class Unprepared:
    """What the caller wants to be sent: the arguments of ``Session.request()``."""

    __slots__ = ("_kwargs", "_method", "url")

    def __init__(self, method: str, url: str, kwargs: dict[str, Any]) -> None:
        self._method = method
        self.url = url
        self._kwargs = kwargs

    def send(self, session: PollingMixin, call: CallInSteps) -> requests.Response:
        """Send it, as the first request of ``call``."""
        polling: Any = call
        return session.request(
            self._method, self.url, allow_redirects=False, polling=polling, **self._kwargs
        )

    def request(self) -> requests.PreparedRequest:
        """What is known of the request, without what the session adds to it."""
        known = {name: self._kwargs.get(name) for name in ("data", "json", "files")}
        given = self._kwargs.get("headers") or {}
        headers = {name: value for name, value in given.items() if value is not None}
        return requests.Request(self._method, self.url, headers, **known).prepare()


class Parcel:
    """A request that is prepared: what is in it, without the objects that hold it."""

    __slots__ = ("_body", "_body_position", "_cookies", "_headers", "_hooks", "_method", "url")

    def __init__(self, request: requests.PreparedRequest) -> None:
        self.url = request.url or ""
        self._method = request.method
        self._headers: tuple[Any, ...] = tuple(chain.from_iterable(request.headers.items()))
        self._cookies = request._cookies or None
        self._body = request.body
        self._body_position = request._body_position
        self._hooks = request.hooks if has_hooks(request) else None

    def request(self) -> requests.PreparedRequest:
        """The request, as it was."""
        request = requests.PreparedRequest()
        request.method = self._method
        request.url = self.url
        names, values = self._headers[::2], self._headers[1::2]
        request.headers = CaseInsensitiveDict(zip(names, values, strict=True))
        request._cookies = RequestsCookieJar() if self._cookies is None else self._cookies
        request.body = self._body
        request._body_position = self._body_position
        request.hooks = default_hooks() if self._hooks is None else self._hooks
        return request
