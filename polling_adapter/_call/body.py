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


def release(response: requests.Response, out_of_time: Callable[[], bool]) -> None:
    """Give the connection of a response that is not the result back: whoever waits holds none.

    What was read stays in ``response.content``; a body that is longer than ``BODY_LIMIT``, cannot
    be decoded or is still dripping when the call is ``out_of_time`` is dropped, connection and all.
    """
    raw = response.raw
    if raw is None or response._content_consumed:
        return
    body = b""
    if getattr(raw, "length_remaining", None) == 0 and hasattr(raw, "drain_conn"):
        raw.drain_conn()  # nothing follows the headers
        response._content, response._content_consumed = body, True
        return
    try:
        body = read_within(response, out_of_time)
    except Exception as error:  # the body is of no use: whatever is wrong with it, let it go
        logger.debug("the body of a %s is dropped: %r", response.status_code, error)
        drop(response)
        return
    response._content = body
    response._content_consumed = True
    response.close()


def read_within(response: requests.Response, out_of_time: Callable[[], bool]) -> bytes:
    """The body of ``response``, as it arrives.

    :raises OverflowError: it is longer than ``BODY_LIMIT``, or the time is over.
    """
    body = b""
    for part in _as_it_arrives(response):
        body += part
        if len(body) > BODY_LIMIT or out_of_time():
            raise OverflowError(f"{len(body)} bytes were read")
    return body


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


def _as_it_arrives(response: requests.Response) -> Iterator[bytes]:
    """What has arrived, as soon as there is any: so a body that drips is noticed."""
    raw = response.raw
    if not (isinstance(raw, urllib3.HTTPResponse) and hasattr(raw, "read1")):  # urllib3 < 2.2
        yield from response.iter_content(1)
        return
    while part := raw.read1(_STEP, decode_content=True):
        yield part
