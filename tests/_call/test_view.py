"""What a predicate of the caller's sees of a response: it stays unread."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
import requests
import urllib3

from polling_adapter._call.read_ahead import BODY_LIMIT
from polling_adapter._call.view import View

from .made import response

Make = Callable[[bytes], requests.Response]


def on_a_wire(body: bytes) -> requests.Response:
    made = response(200, None)
    made.raw = urllib3.HTTPResponse(BytesIO(body), {}, 200, preload_content=False)
    return made


def of_a_mock(body: bytes) -> requests.Response:
    """It knows nothing of wires."""
    made = response(200, None)
    made.raw = BytesIO(body)
    return made


def that_is_read(body: bytes) -> requests.Response:
    made = of_a_mock(body)
    assert made.content == body
    return made


kinds = pytest.mark.parametrize("make", [on_a_wire, of_a_mock, that_is_read])


def view_of(made: requests.Response) -> View:
    return View(made, lambda: False)


@kinds
def test_it_reads_and_the_response_is_as_it_was(make: Make) -> None:
    made = make(b'{"status": "running"}')
    was_read, view = made._content_consumed, view_of(made)
    assert view.json() == {"status": "running"}
    assert b"".join(view_of(made).iter_content(5)) == view.content == b'{"status": "running"}'
    assert made._content_consumed is was_read
    assert made.content == b'{"status": "running"}'


@kinds
def test_no_more_than_64_KiB(make: Make) -> None:
    assert BODY_LIMIT == 64 * 1024
    assert view_of(make(bytes(BODY_LIMIT))).content == bytes(BODY_LIMIT)
    made = make(bytes(BODY_LIMIT + 1))
    view = view_of(made)
    with pytest.raises(OverflowError):
        _ = view.content
    assert view.trouble is OverflowError
    assert made.content == bytes(BODY_LIMIT + 1)


def test_what_a_predicate_does_to_it_is_not_done_to_the_response() -> None:
    made = on_a_wire(b"body")
    view = view_of(made)
    view.status_code, view.encoding = 500, "ascii"
    view.close()
    assert view.raw is None
    assert (made.status_code, made.encoding, made.content) == (200, None, b"body")
