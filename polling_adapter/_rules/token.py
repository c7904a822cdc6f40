"""What is left to do of a call, as text: to go on in another process, on another machine."""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .address import is_address

#: Of what is inside; one that is newer is refused.
VERSION = 1

# In seconds, thirty thousand years: whoever asks for more gets this.
_FAR = 1e12

# RFC 9110 sections 5.6.2 and 9.1: a method is a token
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Token(NamedTuple):
    """What is left to do of a call.

    :param url: what is asked next. :param method: by which method.
    :param due: not before then, in seconds since the epoch; a past instant stays past.
    :param polls: how many were followed. :param counted: how many of them against ``max_polls``.
    :param pauses: how many waits have begun.
    :param redirects: how many others were followed.
    :param elapsed: seconds that count against ``total_timeout`` when it is due.
    :param left: seconds that are left of it then; None: there is no limit, or a new one.
    :param failures: failed polls in a row. :param failing: for so many seconds when it is due.
    :param fives: answers of 500 in a row. :param refusals: refusals in a row.
    :param unusable: answers in a row that ask to wait, and name no usable time.
    :param asked: the seconds that the server asked for; None: it named none, and no limit of a
        server's is for a backoff.
    :param pending: whether its policy has a ``pending``, without which it cannot go on.
    :param is_result: whether what comes next stands, whatever it is.
    :param no_cache: whether caches must be passed by.
    :param origin: a URL of where the first request went, for which credentials were meant.
    :param has_body: whether the request has a body, which this does not hold.
    :param is_typed: whether it has a Content-Type all the same, as after a 307.
    :param needs_key: whether it may be sent again only with the Idempotency-Key that it had.
    :param headers: those of its headers that were asked for.
    """

    url: str
    method: str
    due: float
    polls: int
    counted: int
    elapsed: float
    left: float | None
    origin: str
    has_body: bool
    headers: Mapping[str, str | bytes]
    pauses: int = 0
    redirects: int = 0
    failures: int = 0
    failing: float = 0.0
    fives: int = 0
    refusals: int = 0
    unusable: int = 0
    no_cache: bool = False
    asked: float | None = None
    pending: bool = False
    is_result: bool = False
    needs_key: bool = False
    is_typed: bool = False

    def anew(self) -> Token:
        """The same, where a limit is reached: it counts from the beginning, what comes next
        included."""
        counted = min(self.counted, 1)
        return self._replace(
            counted=counted, redirects=0, elapsed=0.0, left=None, failures=0, failing=0.0, fives=0
        )

    def __str__(self) -> str:
        due = min(self.due, _FAR)
        fields = self._replace(
            # P1, never early: rounded up to the millisecond, where a float has so many digits
            due=max(due, math.ceil(due * 1000) / 1000),
            elapsed=round(self.elapsed, 3),
            left=None if self.left is None else round(min(self.left, _FAR), 3),
            failing=round(self.failing, 3),
            asked=None if self.asked is None else round(min(self.asked, _FAR), 3),
            origin=_origin(self.origin),
            headers={name: _told(value) for name, value in self.headers.items()},
        )
        defaults = self._field_defaults  # which are left out: it shall be short
        told = {k: v for k, v in fields._asdict().items() if k not in defaults or v != defaults[k]}
        found = {"version": VERSION, **told}
        inside = json.dumps({**found, "check": _check(found)}, separators=(",", ":"))
        return base64.urlsafe_b64encode(inside.encode()).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str) -> Token:
        """What :meth:`__str__` made.

        :raises TypeError: ``text`` is no str.
        :raises ValueError: it is truncated, altered, or made by a newer version.
        """
        if not isinstance(text, str):
            raise TypeError(f"a continuation token is a str, not {type(text).__name__}")
        inside = _inside(text)
        version = inside.pop("version", None)
        if type(version) is not int or version < 1:
            raise ValueError("the continuation token is damaged: it has no version")
        if version > VERSION:
            raise ValueError(
                f"the continuation token is of version {version}, made by a newer polling_adapter; "
                f"this one reads up to {VERSION}"
            )
        checksum = inside.pop("check", None)
        expected = _check({"version": version, **inside})
        inside = {**cls._field_defaults, **inside}
        if inside.keys() != _CHECKS.keys():
            raise ValueError("the continuation token is damaged: something is missing, or too much")
        for name, (check, accepted) in _CHECKS.items():
            if not check(inside[name]):
                raise ValueError(f"the continuation token is damaged: {name} is no {accepted}")
        if checksum != expected:
            raise ValueError("the continuation token is damaged: it was altered after it was made")
        headers = {name: _untold(value) for name, value in inside["headers"].items()}
        return cls(**{**inside, "headers": headers})


def _told(value: object) -> Any:
    """The value of a header as JSON has it: bytes, which it does not know, as a list of one."""
    return [value.decode("latin-1")] if isinstance(value, bytes) else str(value)


def _untold(value: Any) -> str | bytes:
    return value if isinstance(value, str) else value[0].encode("latin-1")


def _is_told(value: object) -> bool:
    try:
        return bool(value == _told(_untold(value)))
    except (TypeError, IndexError, KeyError, AttributeError, UnicodeEncodeError):
        return False


def _inside(text: str) -> dict[str, Any]:
    try:
        stripped = text.strip()  # a file may end with a newline
        padded = stripped.encode("ascii") + b"=" * (-len(stripped) % 4)
        inside = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        inside = None
    if not isinstance(inside, dict):
        raise ValueError("the continuation token is truncated or damaged: it cannot be read")
    return inside


def _check(fields: dict[str, Any]) -> int:
    """Against accidents on the way, not against forgery: it is no signature."""
    return zlib.crc32(json.dumps(fields, sort_keys=True).encode())


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_seconds(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= _FAR  # type: ignore[operator]


def _is_address(value: object) -> bool:
    # requests prepares hosts in ASCII; of what is not, two parsers make different ones
    return is_address(value) and urlsplit(str(value)).netloc.isascii()


_COUNTS = ("polls", "counted", "pauses", "redirects", "failures", "fives", "refusals", "unusable")
_FLAGS = ("no_cache", "pending", "is_result", "needs_key", "is_typed", "has_body")
_CHECKS: dict[str, tuple[Any, str]] = {
    "url": (_is_address, "http:// or https:// address"),
    "origin": (_is_address, "http:// or https:// address"),
    "method": (lambda value: isinstance(value, str) and _METHOD.fullmatch(value), "method"),
    "due": (_is_seconds, "time"),
    "elapsed": (_is_seconds, "number of seconds"),
    "failing": (_is_seconds, "number of seconds"),
    "left": (lambda value: value is None or _is_seconds(value), "number of seconds"),
    "asked": (lambda value: value is None or _is_seconds(value), "number of seconds"),
    **dict.fromkeys(_COUNTS, (_is_count, "whole number")),
    **dict.fromkeys(_FLAGS, (lambda value: isinstance(value, bool), "yes or no")),
    "headers": (
        lambda value: isinstance(value, dict) and all(map(_is_told, value.values())),
        "headers",
    ),
}
