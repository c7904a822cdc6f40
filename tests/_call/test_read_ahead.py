"""A body that was looked at is read as if it were not."""

from __future__ import annotations

import gzip
from io import BytesIO
from typing import Any

import pytest
import requests
import urllib3

from polling_adapter._call import read_ahead as module
from polling_adapter._call.body import is_lost
from polling_adapter._call.read_ahead import BODY_LIMIT, looked_at, read_ahead


def response(body: bytes = b"one two three") -> requests.Response:
    made = requests.Response()
    made.status_code = 200
    made.raw = urllib3.HTTPResponse(BytesIO(body), {}, 200, preload_content=False)
    return made


def test_it_is_yet_to_be_read() -> None:
    for see in (read_ahead, lambda made: looked_at(made, lambda: False)):
        made = response()
        see(made)
        assert not made._content_consumed
        assert made.raw.tell() == 0
        assert [made.raw.read(4), made.raw.read(0), made.raw.read()] == [b"one ", b"", b"two three"]


def test_a_read_of_nothing_is_not_the_end() -> None:
    made = response()
    read_ahead(made)
    assert made.raw.read(0) == b""
    assert made.content == b"one two three"


def test_as_much_as_there_is() -> None:
    made = response(b"x" * 3_000_000)
    with pytest.raises(OverflowError):
        looked_at(made, lambda: False)
    read_ahead(made)
    assert sum(len(part) for part in made.iter_content(1000)) == 3_000_000
    assert looked_at(response(b"x" * BODY_LIMIT), lambda: False) == b"x" * BODY_LIMIT


def test_P6_what_was_handed_on_and_not_counted_is_lost() -> None:
    """Ctrl-C may come between the two."""
    made = response()
    read_ahead(made)
    assert not is_lost(made)
    made.raw._fp.read(5)
    assert made.raw.tell() == 0
    assert is_lost(made)


def test_where_urllib3_does_not_bound_it_a_decoder_gets_a_few_bytes_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As those of two codings may grow a millionfold; what is too long is not all decoded."""
    monkeypatch.setattr(module, "_GROWTH_IS_BOUNDED", False)
    decoder, given = urllib3.response.MultiDecoder, []
    stock = decoder.decompress

    def decompress(self: Any, data: bytes, *args: Any, **kwargs: Any) -> bytes:
        given.append(len(data))
        return stock(self, data, *args, **kwargs)

    monkeypatch.setattr(decoder, "decompress", decompress)
    packed = gzip.compress(gzip.compress(bytes(10_000_000)))
    made = response(packed)
    made.headers["Content-Encoding"] = "gzip, gzip"
    with pytest.raises(OverflowError):
        looked_at(made, lambda: False)
    assert max(given) <= 8
    assert sum(given) < len(packed)
