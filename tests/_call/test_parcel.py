"""A request is the same when it is unpacked."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
import requests

from polling_adapter._call.next_request import made_of, stand_in
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
    unpacked = Parcel(request, {}).request({})
    for name in ("method", "url", "headers", "body", "hooks", "_body_position"):
        assert getattr(unpacked, name) == getattr(request, name)
    assert dict(unpacked._cookies or {}) == dict(request._cookies or {})
    assert unpacked.copy().headers == request.headers


def test_what_is_sent_in_place_of_another() -> None:
    request = requests.Request("GET", "http://example.org/work").prepare()
    signed = request.copy()
    signed.headers["Authorization"] = "Digest"
    stand_in(signed, request)
    unpacked = Parcel(signed, {}).request({})
    assert unpacked.headers["Authorization"] == "Digest"
    assert made_of(unpacked).headers == request.headers
    assert made_of(request) is request


def test_cookies_are_those_of_the_session_where_it_knows_them_all() -> None:
    known = requests.cookies.cookiejar_from_dict({"a": "1", "b": "2"})
    for cookies in ({}, {"a": "1"}):
        given = requests.cookies.cookiejar_from_dict(cookies)
        request = requests.Request("GET", "http://example.org/", cookies=given).prepare()
        assert dict(Parcel(request, known).request(known)._cookies or {}) == {"a": "1", "b": "2"}
    request = requests.Request("GET", "http://example.org/", cookies={"a": "own"}).prepare()
    assert dict(Parcel(request, known).request(known)._cookies or {}) == {"a": "own"}


def test_what_is_not_prepared_yet() -> None:
    unprepared = Unprepared("POST", "http://example.org/", {"json": {}, "headers": {"A": None}})
    assert unprepared.url == "http://example.org/"
    assert unprepared.headers == {}
    given = {"data": b"", "json": {"a": 1}, "files": None, "headers": {"A": "1"}}
    assert Unprepared("POST", "http://example.org/", given).body == b""
    assert Unprepared("POST", "http://example.org/", {"data": {}}).body is None
