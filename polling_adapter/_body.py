"""What is read of the body of a response that is not the result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import requests

logger = logging.getLogger("polling_adapter")

# The most that is kept of such a body, in bytes. More costs the connection, which is cheaper than
# reading on.
BODY_LIMIT = 65536

# So much is taken at a time: few bytes, as a compressed body may grow a thousandfold.
_STEP = 4096


def release(response: requests.Response, out_of_time: Callable[[], bool]) -> None:
    """Give the connection of a response that is not the result back: whoever waits holds none.

    What was read stays in ``response.content``; a body that is longer than ``BODY_LIMIT``, cannot
    be decoded or is still dripping when the call is ``out_of_time`` is dropped, connection and all.
    """
    if response.raw is None or response._content_consumed:
        return
    body = b""
    if getattr(response.raw, "length_remaining", None) == 0:  # nothing follows the headers
        response.raw.drain_conn()
        response._content, response._content_consumed = body, True
        return
    try:
        for part in _as_it_arrives(response):
            body += part
            if len(body) > BODY_LIMIT or out_of_time():
                raise OverflowError(f"{len(body)} bytes were read")
    except Exception as error:  # the body is of no use: whatever is wrong with it, let it go
        logger.debug("the body of a %s is dropped: %r", response.status_code, error)
        body = b""
        response.raw.close()
    response._content = body
    response._content_consumed = True
    response.close()


def _as_it_arrives(response: requests.Response) -> Iterator[bytes]:
    """What has arrived, as soon as there is any: so a body that drips is noticed."""
    raw = response.raw
    if not hasattr(raw, "read1"):  # urllib3 < 2.2
        yield from response.iter_content(1)
        return
    while part := raw.read1(_STEP, decode_content=True):
        yield part
