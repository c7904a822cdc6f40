"""A body that is looked at before whoever reads it: it comes again, as it came."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from http.client import HTTPException, IncompleteRead
from io import BytesIO
from typing import Any

import requests
import urllib3
from urllib3.util.response import is_fp_closed

# The most that is kept of the body of what is not the result, in bytes. More costs the connection,
# which is cheaper than reading on.
BODY_LIMIT = 65536

#: What reading a body raises. Anything else that comes meanwhile is the caller's, of a handler of
#: signals for one, and is not to be taken for a broken connection.
UNREADABLE = (OSError, HTTPException, urllib3.exceptions.HTTPError, OverflowError, RuntimeError)

# So much is taken, and decoded, at a time, in bytes, as a compressed body may grow a thousandfold.
_STEP = 4096

# Those of a coding that is none of these, and of several, may grow a millionfold. From version 2.6
# on, urllib3 sees to it, which shows in its decoders.
_GROW_LITTLE = ("", "identity", "gzip", "x-gzip", "deflate")
_GROWTH_IS_BOUNDED = hasattr(
    getattr(urllib3.response, "ContentDecoder", None), "has_unconsumed_tail"
)
_FEW = 8


def looked_at(response: requests.Response, out_of_time: Callable[[], bool]) -> bytes:
    """The body of ``response``, which stays unread.

    :raises OverflowError: it is longer than ``BODY_LIMIT``.
    :raises Exception: it is cut short, still coming when the call is ``out_of_time``, or cannot be
        decoded.
    """
    ahead = _ahead_of(response.raw)
    ahead.look(BODY_LIMIT, out_of_time)
    wire, coding = ahead.rest, response.headers.get("Content-Encoding", "")
    if not coding or not wire:
        return wire
    file = _Sparing(wire, _FEW if _may_grow(coding) else _STEP)
    raw = urllib3.HTTPResponse(file, {"Content-Encoding": coding}, preload_content=False)
    return kept(raw.stream(BODY_LIMIT + 1, decode_content=True), out_of_time)


def read_ahead(response: requests.Response) -> None:
    """All of the body is here, and is yet to be read, which is how hooks find it with requests.
    Its connection is free for what they send.

    :raises requests.RequestException: it cannot be read to its end.
    """
    raw = response.raw
    if not hasattr(raw, "_fp"):  # what a mock has that knows nothing of wires
        unread(response)
        return
    ahead = _ahead_of(raw)
    try:
        ahead.look(sys.maxsize, lambda: False)
        ahead.come_to_the_end()
    except (OSError, HTTPException) as error:
        try:
            _ = response.content  # it comes again, as requests has it
        finally:
            # Else its frames, of urllib3's context manager, know it until the collector comes.
            error.with_traceback(None)
        return
    original = getattr(raw, "_original_response", None)
    if original is not None and original.isclosed():
        raw.release_conn()


def unread(response: requests.Response) -> None:
    """Read the body of a mock, and leave it as if it were not read."""
    headers = {k: v for k, v in response.headers.items() if k.lower() not in _OF_THE_CODING}
    body = BytesIO(response.content or b"")
    raw = urllib3.HTTPResponse(body, headers, response.status_code, preload_content=False)
    raw._original_response = getattr(response.raw, "_original_response", None)  # has the cookies
    response.raw = raw
    response._content, response._content_consumed = False, False


# They tell of the body as it came, before requests has decoded it.
_OF_THE_CODING = ("content-encoding", "transfer-encoding", "content-length")


def is_read_in_part(raw: Any) -> bool:
    """Whether somebody has read some of what ``raw`` has."""
    ahead = getattr(raw, "_fp", None)
    # What was handed on may not have been counted there, where somebody was interrupted.
    return raw.tell() > 0 or (isinstance(ahead, _ReadAhead) and ahead.is_read_in_part)


def forget(raw: Any) -> None:
    """What was seen of ``raw``, which is closed, and what was wrong with it: that has frames which
    know the response."""
    ahead = getattr(raw, "_fp", None)
    if isinstance(ahead, _ReadAhead):
        ahead.close()


def _ahead_of(raw: Any) -> _ReadAhead:
    """What ``raw``, a urllib3 response, is read from: not decoded, and to be looked at."""
    if not isinstance(raw._fp, _ReadAhead):
        raw._fp = _ReadAhead(raw._fp)
    ahead: _ReadAhead = raw._fp
    return ahead


class _ReadAhead:
    """What urllib3 reads from, where some of it was seen already."""

    is_read_in_part = False  # some of it was handed on

    def __init__(self, fp: Any) -> None:
        self._fp = fp
        self._seen = bytearray()
        self._given = 0  # of what was seen
        self._error: Exception | None = None
        self._is_read = False

    @property
    def rest(self) -> bytes:
        """What was seen, and is yet to be read."""
        return bytes(self._seen[self._given :])

    def look(self, limit: int, out_of_time: Callable[[], bool]) -> None:
        """Read it, as it came over the wire.

        :raises OverflowError: it is longer than ``limit``, in bytes.
        :raises TimeoutError: it is still coming when the call is ``out_of_time``.
        :raises OSError: and HTTPException: it cannot be read to its end, now or by whoever reads.
        """
        while self._error is None and not self._is_over():
            try:
                part = self._some()
                if not part:
                    self._check_end()
                    break
                self._seen += part
                if len(self._seen) > limit:
                    raise OverflowError(f"it has {len(self._seen)} bytes, and perhaps more")
                if self._is_short() and out_of_time():
                    raise TimeoutError("it is still coming")
            except (OSError, HTTPException) as error:
                self._error = error
        if self._error is not None:
            raise self._error

    def come_to_the_end(self) -> None:
        """http.client closes what it has read when it is asked for more."""
        if not self._is_over():
            self._fp.read()

    def read(self, amount: int | None = None) -> bytes:
        """As a file does it, but it may be less than ``amount``."""
        if amount == 0:
            return b""
        seen = self._again(amount)
        if seen and amount is not None and amount >= 0:
            return seen
        return seen + self._on(self._fp.read, amount)

    def read1(self, amount: int | None = None) -> bytes:
        """As :meth:`read`."""
        return self._again(amount) or self._on(getattr(self._fp, "read1", self._fp.read), amount)

    def isclosed(self) -> bool:
        """As http.client has it: whoever reads has come to the end."""
        return self._is_read and is_fp_closed(self._fp)

    @property
    def closed(self) -> bool:
        """As a file has it."""
        return self.isclosed()

    def close(self) -> None:
        """What was seen comes no more, either."""
        self._seen, self._error, self._is_read = bytearray(), None, True
        self._fp.close()

    def _some(self) -> bytes:
        # What wraps a file (CacheControl does) shall see what is read of it, and may hand on to the
        # file what it does not know itself.
        if hasattr(type(self._fp), "read1"):
            return self._fp.read1(_STEP)  # type: ignore[no-any-return]
        return self._fp.read(1)  # type: ignore[no-any-return]

    def _is_over(self) -> bool:
        # A mock's closes itself when it is asked, and says so afterwards.
        return is_fp_closed(self._fp) or bool(getattr(self._fp, "closed", False))

    def _is_short(self) -> bool:
        """Whether more is to come, as far as http.client knows."""
        return getattr(self._fp, "length", None) != 0

    def _check_end(self) -> None:
        """http.client's read1() takes the end of a connection for that of a body."""
        missing = getattr(self._fp, "length", None)
        if missing:
            raise IncompleteRead(bytes(self._seen), missing)

    def _again(self, amount: int | None) -> bytes:
        end = None if amount is None or amount < 0 else self._given + amount
        part = bytes(self._seen[self._given : end])
        self.is_read_in_part = self.is_read_in_part or len(part) > 0
        self._given += len(part)
        if self._given == len(self._seen):
            self._seen, self._given = bytearray(), 0
        return part

    def _on(self, read: Callable[..., bytes], amount: int | None) -> bytes:
        if self._error is not None:
            raise self._error
        part = b"" if self._is_over() else read() if amount is None else read(amount)
        self._is_read = self._is_read or not part or amount is None
        return part


def kept(parts: Iterable[bytes], out_of_time: Callable[[], bool]) -> bytes:
    """:raises OverflowError: it is too long, or takes too long."""
    body = b""
    for part in parts:
        body += part
        if len(body) > BODY_LIMIT or out_of_time():
            raise OverflowError(f"{len(body)} bytes were read")
    return body


def _may_grow(coding: str) -> bool:
    """Whether a few bytes in it may become more than memory holds."""
    return not _GROWTH_IS_BOUNDED and coding.strip().lower() not in _GROW_LITTLE


class _Sparing(BytesIO):
    """Gives a decoder few bytes at a time."""

    def __init__(self, body: bytes, few: int) -> None:
        super().__init__(body)
        self._few = few

    def read(self, size: int | None = -1) -> bytes:  # noqa: ARG002  (as many as are asked for)
        return super().read(self._few)
