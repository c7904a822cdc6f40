"""What is left to do of a call, as text."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polling_adapter._rules.token import VERSION, Token

TOKEN = Token(
    url="https://example.org/work/42?a=b#c",
    method="GET",
    due=1_700_000_000.5,
    polls=12,
    counted=12,
    elapsed=8.25,
    left=51.75,
    origin="https://example.org",
    has_body=False,
    headers={},
)


def inside(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def made_of(**fields: Any) -> str:
    changed = {**inside(str(TOKEN)), **fields}
    return base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()


def test_what_is_written_can_be_read() -> None:
    for token in (TOKEN, TOKEN._replace(left=None, has_body=True, headers={"X-Tenant": "7"})):
        assert Token.parse(str(token)) == token


@given(st.dictionaries(st.text(), st.text() | st.binary()))
def test_the_values_of_headers_stay_what_they_are(headers: dict[str, str | bytes]) -> None:
    assert Token.parse(str(TOKEN._replace(headers=headers))).headers == headers


def test_it_is_short_and_printable_with_versioned_json_inside() -> None:
    text = str(TOKEN)
    assert len(text) < 420
    assert all(character.isalnum() or character in "-_" for character in text)
    assert inside(text)["version"] == VERSION


@given(due=st.floats(0, 1e11), elapsed=st.floats(0, 1e9))
@example(due=70368744178.11101, elapsed=0.0)
def test_P1_it_is_never_due_earlier(due: float, elapsed: float) -> None:
    read = Token.parse(str(TOKEN._replace(due=due, elapsed=elapsed)))
    assert due <= read.due <= due + 0.002 + due * 1e-15


@pytest.mark.parametrize("length", range(len(str(TOKEN))))
def test_a_truncated_one_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="continuation token is"):
        Token.parse(str(TOKEN)[:length])


def test_a_newer_version_is_refused_with_its_number() -> None:
    with pytest.raises(ValueError, match="version 2, made by a newer polling_adapter"):
        Token.parse(made_of(version=2))


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 0},
        {"version": "1"},
        {"version": None},
        {"url": "file:///etc/passwd"},
        {"url": "ftp://example.org/"},
        {"url": "javascript:alert(1)"},
        {"url": "http://"},
        {"url": "http://example.org:port/"},
        {"url": "/work/42"},
        {"url": 5},
        {"origin": "file://"},
        {"method": ""},
        {"method": "GET /"},
        {"due": float("nan")},
        {"due": float("inf")},
        {"due": -1},
        {"due": True},
        {"due": "soon"},
        {"polls": -1},
        {"polls": 1.5},
        {"counted": None},
        {"elapsed": None},
        {"left": -5},
        {"has_body": 1},
        {"headers": []},
        {"headers": {"X": 5}},
        {"headers": {"X": None}},
        {"headers": {"X": []}},
        {"headers": {"X": ["a", "b"]}},
        {"headers": {"X": [5]}},
        {"headers": {"X": ["\u20ac"]}},
        {"headers": {"X": {}}},
        {"needs_key": 1},
        {"more": 1},
    ],
)
def test_what_is_altered_beyond_use_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="continuation token is damaged"):
        Token.parse(made_of(**fields))


@pytest.mark.parametrize("place", range(len(str(TOKEN))))
def test_no_accident_makes_another_token_of_it(place: int) -> None:
    text = str(TOKEN)
    for character in "Az9_":
        altered = text[:place] + character + text[place + 1 :]
        try:
            assert Token.parse(altered) == TOKEN  # the bits that base64 does not use
        except ValueError as error:
            assert "continuation token is" in str(error)  # noqa: PT017


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with pytest.raises(ValueError, match="continuation token"):
        Token.parse(text)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError, match="not bytes"):
        Token.parse(b"x")  # type: ignore[arg-type]
