"""Requests, responses and a token, made by hand."""

from __future__ import annotations

from typing import Any

import requests
from requests.structures import CaseInsensitiveDict

from polling_adapter._rules.token import Token

URL = "http://example.org/work"
TOKEN = Token(
    url="http://example.org/work/42",
    method="GET",
    due=0.0,
    polls=3,
    counted=3,
    elapsed=20.0,
    left=40.0,
    origin="http://example.org",
    has_body=False,
    headers={},
)


def request(url: str = URL, method: str = "GET", **kwargs: Any) -> requests.PreparedRequest:
    return requests.Request(method, url, **kwargs).prepare()


def response(
    status: int = 303, location: str | None = "/work", url: str = URL, **headers: str
) -> requests.Response:
    named = {} if location is None else {"Location": location}
    made = requests.Response()
    made.status_code = status
    made.url = url
    made.headers = CaseInsensitiveDict({**named, **headers})
    return made


def answer(to: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
    made = response(*args, url=to.url or "", **kwargs)
    made.request = to
    return made
