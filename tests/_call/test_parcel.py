"""A request is the same when it is unpacked."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
import requests

from polling_adapter._call.parcel import Parcel, Unprepared


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
    unpacked = Parcel(request, {}).request()
    for name in ("method", "url", "headers", "body", "hooks", "_body_position"):
        assert getattr(unpacked, name) == getattr(request, name)
    assert dict(unpacked._cookies or {}) == dict(request._cookies or {})
    assert unpacked.copy().headers == request.headers


def test_what_is_not_prepared_yet() -> None:
    unprepared = Unprepared("POST", "http://example.org/", {"json": {}, "headers": {"A": None}})
    assert unprepared.url == "http://example.org/"
    assert unprepared.headers == {}
    given = {"data": b"", "json": {"a": 1}, "files": None, "headers": {"A": "1"}}
    assert Unprepared("POST", "http://example.org/", given).body == b""
    assert Unprepared("POST", "http://example.org/", {"data": {}}).body is None
