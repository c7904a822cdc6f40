"""A response as a predicate of the caller's sees it, who may read it: it stays unread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import requests

from .read_ahead import BODY_LIMIT, UNREADABLE, looked_at, unread


class View(requests.Response):
    """``response``, of whose body no more than ``BODY_LIMIT`` is read, as far as there is time.

    :param out_of_time: whether there is none.
    """

    trouble: type[Exception] | None = None  # what reading its body has raised

    def __init__(self, response: requests.Response, out_of_time: Callable[[], bool]) -> None:
        vars(self).update(vars(response), raw=None, _content=False, _content_consumed=True)
        self._response = response
        self._out_of_time = out_of_time

    @property
    def content(self) -> bytes:
        """As :attr:`requests.Response.content`.

        :raises OverflowError: it is too long.
        :raises DecodeError: it cannot be decoded.
        :raises Exception: it is cut short.
        """
        if self._content is False:
            try:
                self._content = _peeked(self._response, self._out_of_time)
            except UNREADABLE as error:
                self.trouble = type(error)
                raise
        return self._content  # type: ignore[return-value]

    def iter_content(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """As :meth:`requests.Response.iter_content`."""
        _ = self.content
        return super().iter_content(*args, **kwargs)


def _peeked(response: requests.Response, out_of_time: Callable[[], bool]) -> bytes:
    if not response._content_consumed and hasattr(response.raw, "_fp"):
        return looked_at(response, out_of_time)
    was_read = response._content_consumed
    body = response.content or b""
    if not was_read:  # what a mock has that knows nothing of wires
        unread(response)
    if len(body) > BODY_LIMIT:
        raise OverflowError(f"it has {len(body)} bytes")
    return body
