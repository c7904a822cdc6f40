"""What is read of the body of a response, by whom and how much."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from io import BytesIO

import requests
import urllib3

logger = logging.getLogger("polling_adapter")

# The most that is kept of the body of what is not the result, in bytes. More costs the connection,
# which is cheaper than reading on.
BODY_LIMIT = 65536

# So much is taken at a time: few bytes, as a compressed body may grow a thousandfold.
_STEP = 4096

# Those of a coding that is none of these, and of several, may grow a millionfold. From version 2.6
# on, urllib3 sees to it, which shows in its decoders.
_GROW_LITTLE = ("", "identity", "gzip", "x-gzip", "deflate")
_GROWTH_IS_BOUNDED = hasattr(
    getattr(urllib3.response, "ContentDecoder", None), "has_unconsumed_tail"
)
_FEW = 8


def release(response: requests.Response, out_of_time: Callable[[], bool]) -> None:
    """Give the connection of a response that is not the result back: whoever waits holds none.

    What was read stays in ``response.content``; a body that is longer than ``BODY_LIMIT``, cannot
    be decoded or is still dripping when the call is ``out_of_time`` is dropped, connection and all.
    """
    raw = response.raw
    if raw is None or response._content_consumed:
        return
    if getattr(raw, "length_remaining", None) == 0 and hasattr(raw, "drain_conn"):
        raw.drain_conn()  # nothing follows the headers
        response._content, response._content_consumed = b"", True
        return
    try:
        coding = response.headers.get("Content-Encoding", "")
        if isinstance(raw, urllib3.HTTPResponse) and _may_grow(coding):
            wire = _kept(_as_it_arrives(response, decoded=False), out_of_time)
            body = decoded(wire, coding, out_of_time)
        else:
            body = _kept(_as_it_arrives(response, decoded=True), out_of_time)
    except Exception as error:  # the body is of no use: whatever is wrong with it, let it go
        logger.debug("the body of a %s is dropped: %r", response.status_code, error)
        drop(response)
        return
    response._content = body
    response._content_consumed = True
    response.close()


def decoded(wire: bytes, coding: str, out_of_time: Callable[[], bool]) -> bytes:
    """A body of this Content-Encoding, as it came.

    :raises OverflowError: it is longer than ``BODY_LIMIT``, or takes too long.
    """
    file = _Sparing(wire, _FEW if _may_grow(coding) else _STEP)
    raw = urllib3.HTTPResponse(file, {"Content-Encoding": coding}, preload_content=False)
    return _kept(raw.stream(BODY_LIMIT + 1, decode_content=True), out_of_time)


def drop(response: requests.Response) -> None:
    """Let a body go, connection and all."""
    if response.raw is not None:
        response.raw.close()
    response._content, response._content_consumed = b"", True
    response.close()


def unread(response: requests.Response) -> None:
    """Leave a body that was read as if it were not, which is how hooks find it with requests."""
    headers = {k: v for k, v in response.headers.items() if k.lower() not in _OF_THE_CODING}
    body = BytesIO(response.content or b"")
    raw = urllib3.HTTPResponse(body, headers, response.status_code, preload_content=False)
    raw._original_response = getattr(response.raw, "_original_response", None)  # has the cookies
    response.raw = raw
    response._content, response._content_consumed = False, False


# They tell of the body as it came, before requests has decoded it.
_OF_THE_CODING = ("content-encoding", "transfer-encoding", "content-length")


def _kept(parts: Iterator[bytes], out_of_time: Callable[[], bool]) -> bytes:
    """:raises OverflowError: it is too long, or takes too long."""
    body = b""
    for part in parts:
        body += part
        if len(body) > BODY_LIMIT or out_of_time():
            raise OverflowError(f"{len(body)} bytes were read")
    return body


def _as_it_arrives(response: requests.Response, decoded: bool) -> Iterator[bytes]:
    """What has arrived, as soon as there is any: so a body that drips is noticed."""
    raw = response.raw
    if not isinstance(raw, urllib3.HTTPResponse):
        yield from response.iter_content(1)
    elif not hasattr(raw, "read1"):  # urllib3 < 2.2
        yield from raw.stream(1, decode_content=decoded)
    else:
        while part := raw.read1(_STEP, decode_content=decoded):
            yield part


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
