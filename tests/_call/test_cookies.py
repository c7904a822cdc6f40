"""Cookies of several answers, brought by one."""

from __future__ import annotations

import http.client
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from polling_adapter._call.cookies import Cookies

from .made import URL, response

NOW = 1_700_000_000.0


def brought(*lines: str) -> requests.Response:
    """A response that http.client has read, with these ``Set-Cookie``."""
    message = http.client.HTTPMessage()
    for line in lines:
        message.add_header("Set-Cookie", line)
    made = response()
    made.raw = SimpleNamespace(_original_response=SimpleNamespace(msg=message))
    return made


def lines_of(made: Any) -> list[str]:
    return list(made.raw._original_response.msg.get_all("Set-Cookie", ()))


def test_the_session_gets_those_of_all_answers_of_each_the_latest() -> None:
    cookies, last = Cookies(), brought("b=2; Path=/")
    for one in (brought("a=1; Path=/", "b=1; Path=/"), brought("a=3; Path=/other"), last):
        cookies.add(one, URL, NOW)
    cookies.hand_to_session(last, NOW)
    assert lines_of(last) == ["a=1; Path=/", "a=3; Path=/other", "b=2; Path=/"]


def test_the_next_request_has_those_of_before_already() -> None:
    cookies, first, second = Cookies(), brought("a=1; Path=/"), brought("b=2; Path=/")
    cookies.add(first, URL, NOW)
    cookies.are_in_next()
    cookies.add(second, URL, NOW)
    cookies.hand_to_next(second, NOW)
    assert lines_of(second) == ["b=2; Path=/"]
    cookies.hand_to_session(second, NOW)
    assert lines_of(second) == ["a=1; Path=/", "b=2; Path=/"]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://example.org/jobs/42", "/jobs"),
        ("http://example.org/jobs", "/"),
        ("http://example.org", "/"),
    ],
)
@pytest.mark.parametrize("line", ["a=1", "a=1; Path", "a=1; Path="])
def test_P7_a_path_that_is_not_named_is_that_of_the_address(line: str, url: str, path: str) -> None:
    cookies, last = Cookies(), brought()
    cookies.add(brought(line), url, NOW)
    cookies.add(last, URL, NOW)
    cookies.hand_to_session(last, NOW)
    assert lines_of(last)[0].endswith(f"; Path={path}")
    assert lines_of(last)[0].startswith("a=1")


def test_max_age_counts_from_when_it_came() -> None:
    cookies, last = Cookies(), brought()
    cookies.add(brought("a=1; Path=/; Max-Age=60", "b=2; max-age=5; Path=/"), URL, NOW)
    cookies.add(last, URL, NOW + 20)
    cookies.hand_to_session(last, NOW + 20)
    assert lines_of(last) == ["a=1; Path=/; Max-Age=40", "b=2; max-age=0; Path=/"]


def test_what_one_answer_alone_has_set_stays_as_it_came() -> None:
    cookies, only = Cookies(), brought("a=1", "b=2; Max-Age=60")
    cookies.add(only, URL, NOW)
    cookies.hand_to_session(only, NOW + 20)
    assert lines_of(only) == ["a=1", "b=2; Max-Age=60"]


@pytest.mark.parametrize("raw", [None, SimpleNamespace(), SimpleNamespace(_original_response=None)])
def test_what_http_client_has_not_read_has_none(raw: Any) -> None:
    cookies, mocked = Cookies(), response()
    mocked.raw = raw
    cookies.add(mocked, URL, NOW)
    cookies.hand_to_session(mocked, NOW)
    assert not cookies
