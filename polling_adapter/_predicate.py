"""What a predicate of ``PollingPolicy(pending=...)`` says, and what it may ask a response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import requests


@dataclass(frozen=True)
class Result:
    """What a predicate says where the work is done and its result is elsewhere: ``url`` is fetched
    at once, and its answer stands, whatever it says::

        def pending(response):
            if response.headers.get("X-State") == "done":
                return Result(response.headers["X-Result"])

    :param url: where the result is; a relative one counts from the URL of the response.
    :raises TypeError: ``url`` is no str.
    :raises ValueError: ``url`` is empty.
    """

    url: str

    def __post_init__(self) -> None:
        if not isinstance(self.url, str) or not self.url:
            kind = ValueError if isinstance(self.url, str) else TypeError
            raise kind(f"url={self.url!r} is not accepted: it takes a URL")


Said = bool | str | Result | None
Predicate = Callable[[requests.Response], Said]


def answers_a_read(response: requests.Response) -> bool:
    """Whether its request can have started nothing, and is a status or a result that was asked
    for."""
    request = response.request  # a mock's may have none
    return request is not None and (request.method or "").upper() in ("GET", "HEAD")


def address(response: requests.Response) -> str | None:
    """Where the response itself says that the work is, if it does (RFC 9110 sections 10.2.2 and
    8.7): a Content-Location of other answers names what they hold."""
    names = {201: ["Location"], 202: ["Location", "Content-Location"]}
    found = (response.headers.get(name) for name in names.get(response.status_code, []))
    return next(filter(None, found), None)
