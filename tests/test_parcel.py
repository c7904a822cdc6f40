"""A request is the same when it is unpacked."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
import requests

from polling_adapter import PollingPolicy
from polling_adapter._choice import Choice
from polling_adapter._parcel import Parcel, Unprepared


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"headers": {"X-A": "1", "x-b": "2"}, "cookies": {"a": "1"}},
        {"data": b"body"},
        {"data": BytesIO(b"body")},
        {"json": {"a": 1}, "hooks": {"response": [print]}},
    ],
)
def test_what_is_packed(kwargs: dict[str, Any]) -> None:
    request = requests.Request("PUT", "http://example.org/work?a=b#c", **kwargs).prepare()
    unpacked = Parcel(request).request()
    for name in ("method", "url", "headers", "body", "hooks", "_body_position"):
        assert getattr(unpacked, name) == getattr(request, name)
    assert dict(unpacked._cookies or {}) == dict(request._cookies or {})
    assert unpacked.copy().headers == request.headers


def test_the_choice_of_a_call_is_not_kept() -> None:
    request = requests.Request("GET", "http://example.org/").prepare()
    request.hooks = {"response": [Choice(PollingPolicy())]}
    assert Parcel(request).request().hooks == {"response": []}


def test_what_is_not_prepared_yet() -> None:
    unprepared = Unprepared("POST", "http://example.org/", {"json": {}, "headers": {"A": None}})
    assert unprepared.url == "http://example.org/"
    assert unprepared.request().body is not None
    assert "A" not in unprepared.request().headers
