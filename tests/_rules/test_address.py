from __future__ import annotations

import pytest

from polling_adapter._rules.address import printable


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:pass@host:80/a?b#c", "http://host:80/a?...#c"),
        ("http://u@ser:p@ss@host/", "http://host/"),
        ("http://host/a@b", "http://host/a@b"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("http://[", "a URL that cannot be read"),
        (None, ""),
    ],
)
def test_a_url_is_shown_without_userinfo(url: str | None, shown: str) -> None:
    """RFC 9110 section 4.2.4: it may hold a password."""
    assert printable(url) == shown
