"""What type checkers see of a session that polls: each method takes ``polling=``, and no argument
that requests does not know. Nothing of this exists at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from http.cookiejar import CookieJar
from typing import Any, Literal, TypeAlias, TypedDict, overload

import requests
import urllib3
from typing_extensions import Unpack

from .policy import PollingPolicy

Hooks: TypeAlias = Mapping[str, Callable[..., Any] | Iterable[Callable[..., Any]]]
Timeout: TypeAlias = float | tuple[float | None, float | None] | urllib3.Timeout

class _Common(TypedDict, total=False):
    """What every method of a session takes. What else may be given as a query, a body or a
    credential, requests itself checks when it is called."""

    headers: Mapping[str, str | bytes | None] | None
    cookies: CookieJar | Mapping[str, str] | None
    files: Any
    auth: Any
    timeout: Timeout | None
    allow_redirects: bool
    proxies: MutableMapping[str, str] | None
    hooks: Hooks | None
    stream: bool | None
    verify: bool | str | None
    cert: str | tuple[str, str] | None

class Arguments(_Common, total=False):
    """All that ``Session.request()`` takes besides method and URL."""

    params: Any
    data: Any
    json: Any

Polling: TypeAlias = PollingPolicy | Literal[False] | None

class OfGet(_Common, total=False):
    data: Any
    json: Any

class OfPost(_Common, total=False):
    params: Any

class OfPut(_Common, total=False):
    params: Any
    json: Any

class OfAny(_Common, total=False):
    params: Any
    data: Any
    json: Any

class TypedSession(requests.Session):
    # Without polling=, each is what requests says that it is: pyright asks for that.
    @overload
    def get(
        self, url: str | bytes, params: Any = None, **kwargs: Unpack[OfGet]
    ) -> requests.Response: ...
    @overload
    def get(
        self, url: str | bytes, params: Any = None, *, polling: Polling, **kwargs: Unpack[OfGet]
    ) -> requests.Response: ...
    @overload
    def options(self, url: str | bytes, **kwargs: Unpack[OfAny]) -> requests.Response: ...
    @overload
    def options(
        self, url: str | bytes, *, polling: Polling, **kwargs: Unpack[OfAny]
    ) -> requests.Response: ...
    @overload
    def head(self, url: str | bytes, **kwargs: Unpack[OfAny]) -> requests.Response: ...
    @overload
    def head(
        self, url: str | bytes, *, polling: Polling, **kwargs: Unpack[OfAny]
    ) -> requests.Response: ...
    @overload
    def post(
        self, url: str | bytes, data: Any = None, json: Any = None, **kwargs: Unpack[OfPost]
    ) -> requests.Response: ...
    @overload
    def post(
        self,
        url: str | bytes,
        data: Any = None,
        json: Any = None,
        *,
        polling: Polling,
        **kwargs: Unpack[OfPost],
    ) -> requests.Response: ...
    @overload
    def put(
        self, url: str | bytes, data: Any = None, **kwargs: Unpack[OfPut]
    ) -> requests.Response: ...
    @overload
    def put(
        self, url: str | bytes, data: Any = None, *, polling: Polling, **kwargs: Unpack[OfPut]
    ) -> requests.Response: ...
    @overload
    def patch(
        self, url: str | bytes, data: Any = None, **kwargs: Unpack[OfPut]
    ) -> requests.Response: ...
    @overload
    def patch(
        self, url: str | bytes, data: Any = None, *, polling: Polling, **kwargs: Unpack[OfPut]
    ) -> requests.Response: ...
    @overload
    def delete(self, url: str | bytes, **kwargs: Unpack[OfAny]) -> requests.Response: ...
    @overload
    def delete(
        self, url: str | bytes, *, polling: Polling, **kwargs: Unpack[OfAny]
    ) -> requests.Response: ...
