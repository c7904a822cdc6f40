"""A body that nobody is to read is read all the same, within bounds: its connection is free."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
import requests
import urllib3

from polling_adapter._call.body import drop, is_lost, leave_unread, read_or_drop, release
from polling_adapter._call.read_ahead import BODY_LIMIT

from .made import response as made_response


def response(body: bytes | BytesIO, **headers: str) -> requests.Response:
    made = made_response(**headers)
    file = BytesIO(body) if isinstance(body, bytes) else body
    made.raw = urllib3.HTTPResponse(file, headers, 303, preload_content=False)
    return made


def never() -> bool:
    return False


class Raising(BytesIO):
    """A file that raises once it is read."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(b"body")
        self._error = error

    def read(self, _: int | None = -1) -> bytes:
        raise self._error

    read1 = read


@pytest.mark.parametrize("body", [b"", b"not yet", bytes(BODY_LIMIT)])
def test_what_is_released_can_still_be_read(body: bytes) -> None:
    made = response(body)
    release(made, never)
    assert made._content_consumed
    assert made.content == body


@pytest.mark.parametrize(
    ("made", "out_of_time"),
    [
        (lambda: response(bytes(BODY_LIMIT + 1)), never),
        (lambda: response(b"it is still dripping"), lambda: True),
        (lambda: response(b"no gzip", **{"Content-Encoding": "gzip"}), never),
        (lambda: response(Raising(ConnectionResetError())), never),
    ],
    ids=["long", "late", "undecodable", "reset"],
)
def test_what_is_of_no_use_is_dropped_and_its_connection_is_closed(
    made: Callable[[], requests.Response], out_of_time: Callable[[], bool]
) -> None:
    for see in (release, leave_unread):
        one = made()
        raw = one.raw
        see(one, out_of_time)
        assert one._content_consumed is (see is release)
        assert one.content == b""
        assert raw.closed


def test_what_is_left_unread_is_yet_to_be_read() -> None:
    made = response(b"not yet")
    leave_unread(made, never)
    assert not made._content_consumed
    assert made.raw.read() == b"not yet"


def test_P6_what_interrupts_it_is_the_callers() -> None:
    """And nobody takes half a body for all of it."""
    for see in (release, leave_unread):
        made = response(Raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            see(made, never)
        assert made.raw.closed
        assert made.content == b""


def test_P6_what_was_read_in_part_is_lost() -> None:
    made = response(b"one two")
    assert not is_lost(made)
    made.raw.read(3)
    assert is_lost(made)
    drop(made)
    assert not is_lost(made)  # nobody reads on
    whole = response(b"one two")
    assert whole.content == b"one two"
    assert not is_lost(whole)


def test_P7_whatever_is_wrong_with_the_body_of_a_redirect_does_not_matter() -> None:
    broken = response(b"no gzip", **{"Content-Encoding": "gzip"})
    read_or_drop(broken)
    assert broken.content == b""
    long = response(bytes(BODY_LIMIT + 1))
    read_or_drop(long)
    assert len(long.content) == BODY_LIMIT + 1  # as requests has it
