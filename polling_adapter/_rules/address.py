"""What is to know of a URL, and what of it may be shown."""

from __future__ import annotations

import re
from urllib.parse import urldefrag, urljoin, urlsplit

# Two parsers of URLs take these for different hosts; no URL has them (RFC 3986 section 2).
_READ_TWO_WAYS = re.compile(r"[\x00-\x20\x7f\\]")

# A host and its port that they read alike: nothing is encoded but in brackets, and nothing follows
# these (RFC 3986 section 3.2.2).
_READ_ALIKE = re.compile(r"(\[[^\[\]]*\]|[^\[\]%]*)(:[0-9]*)?")

# What printable() leaves out of one URL, where there may be any in a text.
_USERINFO = re.compile(r"(?<=://)[^\s\"<>/?#\\]*@")
_QUERY = re.compile(r"\?(?:[^\s\"'<>#\\]|'(?=[^\s\"'<>#\\]))+")  # an apostrophe may be of it

# How requests and urllib3 write URLs, quoted or not, and what follows the host of one
_IN_A_MESSAGE = re.compile(
    r"(['\"]?)([a-z][a-z0-9+.\-]*://\S+|(?<=with url: )\S+)\1", re.IGNORECASE
)

_PORTS = {"http": 80, "https": 443}


def origin(url: str | None) -> tuple[str, str | None, int | None]:
    """Scheme, host and port (RFC 9110 section 4.3.1)."""
    parts = urlsplit(url or "")
    try:
        port = parts.port
    except ValueError:  # no port at all: requests says so when it is sent there
        port = None
    return parts.scheme, parts.hostname, port or _PORTS.get(parts.scheme)


def printable(url: str | None) -> str:
    """``url`` as a log or a message may show it: without userinfo, which may hold a password (RFC
    9110 section 4.2.4), and without what is in its query, where services put signatures."""
    try:
        parts = urlsplit(without_userinfo(url))
        return parts._replace(query="..." if parts.query else "").geturl()
    except ValueError:
        return "a URL that cannot be read"


def printable_text(text: str) -> str:
    """``text`` as a message may quote it: its URLs as :func:`printable` shows them."""
    return _QUERY.sub("?...", _USERINFO.sub("", text))


def without_secrets(text: str) -> str:
    """What requests or urllib3 say, with each URL in it as it may be shown."""
    return _IN_A_MESSAGE.sub(lambda found: f"{found[1]}{_shown(found[2])}{found[1]}", text)


def _shown(url: str) -> str:
    try:
        urlsplit(url)
        return printable(url)
    except ValueError:
        return excerpt(url)


def excerpt(text: str) -> str:
    """What may be shown of what is no URL, and its beginning at that."""
    return re.sub(r"[^\s/]*@", "", text.partition("?")[0])[:80]


def without_userinfo(url: str | None) -> str:
    """What cannot be read stays as it is: requests says so when it is sent there."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return url or ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def authority(host: str, port: int) -> str:
    """Host and port as they stand in a URL (RFC 3986 section 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def same(url: str | None, other: str | None) -> bool:
    """Whether two URLs name the same: their fragments are not sent (RFC 9110 section 4.2.5)."""
    return urldefrag(url or "").url == urldefrag(other or "").url


def leads_back(location: str, url: str) -> bool:
    """Whether ``location`` in an answer that came from ``url`` names ``url``."""
    try:
        return same(urljoin(url, location), url)
    except ValueError:  # it cannot be read: requests says so when it is to be followed
        return False


def is_address(value: object) -> bool:
    """Whether ``value`` is a URL that requests can be sent to."""
    if not isinstance(value, str) or _READ_TWO_WAYS.search(value):
        return False
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  (raises ValueError where it is none)
        host = (parts.hostname or "").encode("idna")  # as urllib3 does (RFC 1034 section 3.1)
    except ValueError:
        return False
    is_read_alike = _READ_ALIKE.fullmatch(parts.netloc.rpartition("@")[2])
    return parts.scheme in ("http", "https") and bool(host) and is_read_alike is not None
