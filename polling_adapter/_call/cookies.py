"""Cookies of answers that the session above an adapter never sees."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import requests

_ATTRIBUTES = re.compile(r";\s*(path|domain|max-age)\s*=\s*([^;]*)", re.IGNORECASE)
_NO_PATH = re.compile(r";\s*path\s*=\s*(?=;|$)", re.IGNORECASE)
_MAX_AGE = re.compile(r"(;\s*max-age\s*=\s*)(\d+)", re.IGNORECASE)


class Cookies:
    """The ``Set-Cookie`` of all answers to an adapter's requests, of each cookie the latest.

    requests takes cookies out of the message that http.client has read: so what the session shall
    know is put there.
    """

    __slots__ = ("_lines", "_new", "_only")

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str, str], tuple[str, float]] = {}
        self._new = 0  # so many, at the most, of the latest are not in the next request
        self._only: Any = None  # the one message that has brought all of them: it stays as it came

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, response: requests.Response, url: str, now: float) -> None:
        """``response``, from ``url``, has come at ``now``, in seconds since the epoch."""
        message = _message(response)
        self._only = None if self._lines else message
        for line in () if message is None else message.get_all("Set-Cookie", ()):
            found = {name.lower(): value.strip() for name, value in _ATTRIBUTES.findall(line)}
            path = found.get("path")
            if not path:
                path = _default_path(url)
                line = f"{_NO_PATH.sub('', line)}; Path={path}"
            key = line.partition("=")[0].strip(), found.get("domain", "").lower(), path
            self._lines.pop(key, None)
            self._lines[key] = line, now
            self._new += 1

    def hand_to_session(self, response: requests.Response, now: float) -> None:
        """``response`` brings all of them, as they are ``now``."""
        self._hand(response, now, self._lines.values())

    def hand_to_next(self, response: requests.Response, now: float) -> None:
        """``response`` brings those that are new, to the request that is made of it: it has the
        others already."""
        self._hand(response, now, [*islice(reversed(self._lines.values()), self._new)][::-1])

    def are_in_next(self) -> None:
        """That request is the next."""
        self._new = 0

    def _hand(
        self, response: requests.Response, now: float, lines: Iterable[tuple[str, float]]
    ) -> None:
        message = _message(response)
        if message is not None and message is not self._only:
            with suppress(KeyError):  # mocks may have something of their own
                del message["Set-Cookie"]
            add = getattr(message, "add", None) or message.add_header
            for line, at in lines:
                add("Set-Cookie", _aged(line, now - at))


def _message(response: requests.Response) -> Any:
    """What http.client has read; None where the response is none of its."""
    original = getattr(response.raw, "_original_response", None)
    message = getattr(original, "msg", None)
    return message if hasattr(message, "get_all") else None


def _default_path(url: str) -> str:
    """Of a cookie that names none (RFC 6265 section 5.1.4)."""
    return urlsplit(url).path.rpartition("/")[0] or "/"


def _aged(line: str, seconds: float) -> str:
    """``line``, ``seconds`` after it came: Max-Age counts from then (RFC 6265 section 5.2.2)."""
    return _MAX_AGE.sub(lambda age: f"{age[1]}{max(0, int(int(age[2]) - seconds))}", line)
