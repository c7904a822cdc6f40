"""A response as a predicate of the caller's sees it, who may read it: it stays unread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.client import HTTPException
from typing import Any

import requests
from urllib3.util.response import is_fp_closed

from .body import BODY_LIMIT, decoded, unread

# So much is taken at a time, in bytes
_STEP = 4096


class View(requests.Response):
    """``response``, of whose body no more than ``BODY_LIMIT`` is read, as far as there is time.

    :param out_of_time: whether there is none.
    """

    is_cut = False  # of its body, not all could be read

    def __init__(self, response: requests.Response, out_of_time: Callable[[], bool]) -> None:
        vars(self).update(vars(response), raw=None, _content=False, _content_consumed=True)
        self._response = response
        self._out_of_time = out_of_time

    @property
    def content(self) -> bytes:
        """As :attr:`requests.Response.content`.

        :raises Exception: it is too long, cut short, or cannot be decoded.
        """
        if self._content is False:
            try:
                self._content = _peeked(self._response, self._out_of_time)
            except Exception:
                self.is_cut = True
                raise
        return self._content  # type: ignore[return-value]

    def iter_content(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """As :meth:`requests.Response.iter_content`."""
        _ = self.content
        return super().iter_content(*args, **kwargs)


def _peeked(response: requests.Response, out_of_time: Callable[[], bool]) -> bytes:
    """The body of ``response``, which can be read again.

    :raises OverflowError: it is longer than ``BODY_LIMIT``, or there is no time to read it.
    """
    raw, was_read = response.raw, response._content_consumed
    fp = getattr(raw, "_fp", None)
    if was_read or fp is None:  # or what a mock has, that knows nothing of wires
        body = response.content or b""
        if not was_read:
            unread(response)
        if len(body) > BODY_LIMIT:
            raise OverflowError(f"it has {len(body)} bytes")
        return body
    raw._fp = ahead = _ReadAhead(fp)
    wire = ahead.look(BODY_LIMIT, out_of_time)
    return decoded(wire, response.headers.get("Content-Encoding", ""), out_of_time)


class _ReadAhead:
    """What http.client reads from, some of it twice: what was looked at comes again."""

    def __init__(self, fp: Any) -> None:
        self._fp = fp
        self._seen = b""
        self._error: Exception | None = None

    def look(self, limit: int, out_of_time: Callable[[], bool]) -> bytes:
        """All that comes, as it comes.

        :raises OverflowError: it is more than ``limit`` bytes, or takes too long.
        """
        one = getattr(self._fp, "read1", None)  # what wraps a file may only know read()
        while True:
            try:
                part = self._fp.read(1) if one is None else one(_STEP)
            except (OSError, HTTPException) as error:
                self._error = error  # whoever reads on gets it
                raise
            if not part:
                return self._seen
            self._seen += part
            if len(self._seen) > limit or out_of_time():
                raise OverflowError(f"it has {len(self._seen)} bytes, and perhaps more")

    def read(self, amount: int | None = None) -> bytes:
        """As a file does it, but it may be less than ``amount``."""
        seen = self._again(amount)
        if seen and amount is not None and amount >= 0:
            return seen
        return seen + self._on(self._fp.read, amount)

    def read1(self, amount: int | None = None) -> bytes:
        """As :meth:`read`."""
        return self._again(amount) or self._on(self._fp.read1, amount)

    def _again(self, amount: int | None) -> bytes:
        size = len(self._seen) if amount is None or amount < 0 else amount
        part, self._seen = self._seen[:size], self._seen[size:]
        return part

    def _on(self, read: Callable[..., bytes], amount: int | None) -> bytes:
        if self._error is not None:
            raise self._error
        return read() if amount is None else read(amount)

    def isclosed(self) -> bool:
        """As http.client has it: nothing is left to read."""
        return not self._seen and self._error is None and is_fp_closed(self._fp)

    @property
    def closed(self) -> bool:
        """As a file has it."""
        return self.isclosed()

    def close(self) -> None:
        """What was seen comes no more, either."""
        self._seen, self._error = b"", None
        self._fp.close()
