from __future__ import annotations

import time

import pytest

from polling_adapter._rules.address import leads_back, origin, printable, printable_text


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see http://user:pass@host:80/a?b=c#d.", "see http://host:80/a?...#d."),
        (
            '{"dsn": "postgres://u:p@ss@db/x", "at": "/a?key=k"}',
            '{"dsn": "postgres://db/x", "at": "/a?..."}',
        ),
        ("<https://host/a?b=c> 'https://host/?d'", "<https://host/a?...> 'https://host/?...'"),
        (r'"https://host/a?b=c\" and more"', r'"https://host/a?...\" and more"'),
        ("https://host/a?b%20eq%20'c'&d=e f", "https://host/a?... f"),
        ("https://u:p'q@host/a", "https://host/a"),
        ("Is it there? Mail me@host.", "Is it there? Mail me@host."),
    ],
)
def test_a_text_is_shown_without_them_too(text: str, shown: str) -> None:
    assert printable_text(text) == shown


@pytest.mark.parametrize("part", ["a", "?", "://", "://a", "://a@", "?a", "@", ":/"])
def test_a_long_text_takes_little_time(part: str) -> None:
    began = time.perf_counter()
    printable_text("://" + part * 2**16)
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("location", "leads"),
    [
        ("/tasks/7", True),
        ("7", True),
        ("http://host/tasks/7#part", True),
        ("/tasks/8", False),
        ("http://other/tasks/7", False),
        ("http://[", False),
    ],
)
def test_whether_an_answer_leads_back_to_where_it_came_from(location: str, leads: bool) -> None:
    assert leads_back(location, "http://host/tasks/7") is leads


def test_the_origin_of_an_address() -> None:
    assert origin("http://example.org:80/other") == origin("http://example.org/work")
    assert origin("https://example.org/work") != origin("http://example.org/work")
