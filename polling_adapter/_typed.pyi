"""What type checkers see of a session that polls: each method takes ``polling=``, and no argument
that requests does not know. Nothing of this exists at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from http.cookiejar import CookieJar
from typing import Any, Literal, TypeAlias, TypedDict

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

class _Polling(_Common, total=False):
    polling: PollingPolicy | Literal[False] | None

class OfGet(_Polling, total=False):
    data: Any
    json: Any

class OfPost(_Polling, total=False):
    params: Any

class OfPut(_Polling, total=False):
    params: Any
    json: Any

class OfAny(_Polling, total=False):
    params: Any
    data: Any
    json: Any

class TypedSession(requests.Session):
    def get(
        self, url: str | bytes, params: Any = None, **kwargs: Unpack[OfGet]
    ) -> requests.Response: ...
    def options(self, url: str | bytes, **kwargs: Unpack[OfAny]) -> requests.Response: ...
    def head(self, url: str | bytes, **kwargs: Unpack[OfAny]) -> requests.Response: ...
    def post(
        self, url: str | bytes, data: Any = None, json: Any = None, **kwargs: Unpack[OfPost]
    ) -> requests.Response: ...
    def put(
        self, url: str | bytes, data: Any = None, **kwargs: Unpack[OfPut]
    ) -> requests.Response: ...
    def patch(
        self, url: str | bytes, data: Any = None, **kwargs: Unpack[OfPut]
    ) -> requests.Response: ...
    def delete(self, url: str | bytes, **kwargs: Unpack[OfAny]) -> requests.Response: ...
