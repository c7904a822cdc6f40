"""Requests and responses, made by hand."""

from __future__ import annotations

from typing import Any

import requests
from requests.structures import CaseInsensitiveDict

URL = "http://example.org/work"


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
