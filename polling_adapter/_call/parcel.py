"""A request while it waits to be sent: small, as ten thousand may be waiting."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import Cookie
from itertools import chain
from typing import Any, NamedTuple

import requests
from requests.cookies import RequestsCookieJar, merge_cookies
from requests.sessions import merge_setting
from requests.structures import CaseInsensitiveDict

from .hooks import has_hooks, hooks_of
from .next_request import made_of, stand_in


def by_name(headers: Mapping[Any, Any] | None) -> dict[str, Any]:
    """``headers`` as the caller gives them, whose names may be bytes."""
    given = (headers or {}).items()
    return {k.decode("ascii") if isinstance(k, bytes) else k: v for k, v in given}


class Unprepared(NamedTuple):
    """What the caller wants to be sent: the arguments of ``Session.request()``.

    :param given: the URL.
    :param params: those of the session.
    :param is_resumed: it goes on with a job, so that its URL is the one that was named.
    """

    method: str
    given: str
    kwargs: dict[str, Any]
    params: Any = None
    is_resumed: bool = False

    @property
    def url(self) -> str:
        """What requests makes of the URL and the parameters; where it refuses to, the URL."""
        request = requests.PreparedRequest()
        try:
            request.prepare_url(self.given, merge_setting(self.kwargs.get("params"), self.params))
        except (ValueError, requests.RequestException):
            return str(self.given)
        return request.url or ""

    @property
    def headers(self) -> CaseInsensitiveDict[Any]:
        """Those that the caller gives."""
        given = by_name(self.kwargs.get("headers"))
        return CaseInsensitiveDict({k: v for k, v in given.items() if v is not None})

    @property
    def body(self) -> Any:
        """What it is made of; None: there is none."""
        given = {name: self.kwargs.get(name) for name in ("data", "json", "files")}
        parts = (part for name, part in given.items() if name == "json" or part != {})
        return next((part for part in parts if part is not None), None)


class Parcel:
    """A request that is prepared: what is in it, without the objects that hold it.

    :param known: the session's cookies, which requests adds to what follows from it. A request that
        has no other ones keeps none: else they grew with the square of the jobs that set them.
    """

    __slots__ = (
        "_body_position",
        "_cookies",
        "_headers",
        "_hooks",
        "_made_of",
        "body",
        "method",
        "url",
    )

    def __init__(self, request: requests.PreparedRequest, known: Any) -> None:
        self.url = request.url
        self.method = request.method
        self._headers: tuple[Any, ...] = tuple(chain.from_iterable(request.headers.items()))
        given = request._cookies
        self._cookies = None if not given or all(_has(known, one) for one in given) else given
        self.body = request.body
        self._body_position = request._body_position
        self._hooks = hooks_of(request) if has_hooks(request) else None
        other = made_of(request)
        self._made_of = None if other is request else Parcel(other, known)

    @property
    def headers(self) -> CaseInsensitiveDict[Any]:
        """Those that it is sent with."""
        names, values = self._headers[::2], self._headers[1::2]
        return CaseInsensitiveDict(zip(names, values, strict=True))

    def request(self, known: Any) -> requests.PreparedRequest:
        """The request, as it was.

        :param known: the session's cookies, as they are now.
        """
        request = requests.PreparedRequest()
        request.method = self.method
        request.url = self.url
        request.headers = self.headers
        kept = merge_cookies(RequestsCookieJar(), known) if self._cookies is None else self._cookies
        request._cookies = kept
        request.body = self.body
        request._body_position = self._body_position
        request.hooks = {"response": self._hooks or []}
        if self._made_of is not None:
            stand_in(request, self._made_of.request(known))
        return request


def _has(jar: Any, cookie: Cookie) -> bool:
    """Whether ``jar`` has the very ``cookie``. It is looked up, as other threads may add to it."""
    domains = getattr(jar, "_cookies", {})  # of a dict, which requests takes too, nothing is known
    same = domains.get(cookie.domain, {}).get(cookie.path, {}).get(cookie.name)
    return same is not None and vars(same) == vars(cookie)
