"""Fields of a JSON body, and addresses made of them."""

from __future__ import annotations

import pickle
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polling_adapter._rules.json_fields import (
    Values,
    checked_name,
    checked_template,
    field,
    filled,
    may_have,
)

JSON_VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "running"),
        ("job.state.type", "PENDING"),
        ("jobs.0.status", "done"),
        ("jobs.1.status", None),
        ("jobs.-1.status", None),
        ("jobs.².status", None),
        ("jobs.9999999999999999999999.status", None),
        ("jobs.first.status", None),
        ("by_number.0", "zero"),
        ("status.type", None),
        ("absent", None),
        ("absent.type", None),
        ("nothing", None),
        ("nothing.type", None),
        ("@odata.type", "a key with a dot"),
        ("job.a.b", "another one"),
        ("job.a", None),
        ("flag", False),
    ],
)
def test_where_a_name_leads(name: str, value: object) -> None:
    body = {
        "status": "running",
        "job": {"state": {"type": "PENDING"}, "a.b": "another one"},
        "jobs": [{"status": "done"}],
        "by_number": {"0": "zero"},
        "nothing": None,
        "@odata.type": "a key with a dot",
        "flag": False,
    }
    assert field(body, name) == value


def test_a_name_leads_into_lists_by_index() -> None:
    assert field([{"status": "done"}], "0.status") == "done"
    assert field([[1, 2]], "0.1") == 2


@pytest.mark.parametrize(
    ("body", "name", "may"),
    [
        ({}, "status", True),
        ({}, "0.status", True),
        ([], "0.status", True),
        ([], "status", False),
        (None, "status", False),
        ("status", "status", False),
        (0, "0", False),
    ],
)
def test_the_kind_of_body_that_a_name_leads_into(body: object, name: str, may: bool) -> None:
    assert may_have(body, name) is may


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("/jobs/{id}", "/jobs/42"),
        ("/jobs/{id}/results?of={name}", "/jobs/42/results?of=a%20b%2Fc%3Fd%26e%23f%3D%C3%A9"),
        ("{href}", "http://host/a?b=c&d#e"),
        ("{links.0.href}", "/there"),
        ("{id}", "42"),
        ("{id}{id}", "4242"),
        ("/{href}", "/http%3A%2F%2Fhost%2Fa%3Fb%3Dc%26d%23e"),
        ("/status", "/status"),
        ("/{surrogate}", "/%3F"),
        ("/{a b}", "/spaces"),
        ("{absent}", None),
        ("/jobs/{id}/{absent}", None),
        ("/jobs/{nothing}", None),
        ("/jobs/{empty}", None),
        ("{empty}", None),
        ("/jobs/{flag}", None),
        ("/jobs/{links}", None),
        ("/jobs/{links.0}", None),
    ],
)
def test_a_template_is_filled(template: str, url: str | None) -> None:
    body = {
        "id": 42,
        "name": "a b/c?d&e#f=é",
        "href": "http://host/a?b=c&d#e",
        "links": [{"href": "/there"}],
        "surrogate": "\ud800",
        "a b": "spaces",
        "nothing": None,
        "empty": "",
        "flag": True,
    }
    assert filled(template, body) == url


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_field_cannot_leave_its_place(value: str) -> None:
    url = filled("/jobs/{id}/results", {"id": value})
    assert url is not None
    place = url.removeprefix("/jobs/").removesuffix("/results")
    assert not set(place) & set("/?#&@:\\ ")
    assert unquote(place) == value


@pytest.mark.parametrize("name", ["status", "a.0.b", "task-id", "with space", "@type", "ключ"])
def test_names(name: str) -> None:
    assert checked_name("name", name) == name


@pytest.mark.parametrize("name", ["", ".", ".a", "a.", "a..b", "{a}"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"name='.*' is not accepted: it takes a field"):
        checked_name("name", name)


@pytest.mark.parametrize(
    "template", ["", "{", "}", "{}", "/{a", "/a}", "{{a}}", "{a{b}}", "/{a..b}", "/{.a}", "}{"]
)
def test_what_is_no_template(template: str) -> None:
    with pytest.raises(ValueError, match=r"url='.*' is not accepted: it takes a URL, with fields"):
        checked_template("url", template)


@pytest.mark.parametrize("value", [1, b"/a", ["a"], object(), True])
def test_what_is_no_text(value: object) -> None:
    with pytest.raises(TypeError, match="url=.* is not accepted: it takes a URL"):
        checked_template("url", value)
    with pytest.raises(TypeError, match="name=.* is not accepted: it takes a field"):
        checked_name("name", value)


def values(*given: object) -> Values:
    return Values.of("pending", given)


def test_true_is_not_1() -> None:
    assert True in values(True)
    assert 1 not in values(True)
    assert 1.0 not in values(True)
    assert True not in values(1)
    assert 1.0 in values(1)
    assert False not in values(0)
    assert 0 in values(0.0)
    assert values(True) != values(1)
    assert values(False) != values(0)
    assert values(1) == values(1.0)
    assert hash(values(1)) == hash(values(1.0))
    assert None not in values(False, 0, "")
    assert "" not in values(None)


@pytest.mark.parametrize("value", [{}, [], {"a": 1}, [None], float("nan"), float("inf"), object()])
def test_what_no_values_hold(value: object) -> None:
    assert value not in values(None, 0, "")


def test_a_str_is_one_value_and_not_its_letters() -> None:
    assert Values.of("pending", "running") == values("running")
    assert "r" not in Values.of("pending", "running")
    assert "" in Values.of("pending", "")


@pytest.mark.parametrize("value", [True, False, 0, 1.5, "a"])
def test_one_value(value: Any) -> None:
    assert Values.of("pending", value) == values(value)


@pytest.mark.parametrize(
    "given", [["a", "b"], ("b", "a"), {"a", "b"}, {"a": 1, "b": 2}, iter("ab")]
)
def test_collections(given: object) -> None:
    assert Values.of("pending", given) == values("a", "b")


@pytest.mark.parametrize(
    "given",
    [
        None,
        b"a",
        bytearray(b"a"),
        object(),
        1j,
        [{}],
        [["a"]],
        [b"a"],
        float("nan"),
        [float("inf")],
    ],
)
def test_what_are_no_values(given: object) -> None:
    with pytest.raises(TypeError, match=r"pending=.* is not accepted: it takes a value of JSON"):
        Values.of("pending", given)


@given(st.lists(JSON_VALUES))
def test_values_are_equal_whatever_their_order(given: list[object]) -> None:
    one = Values.of("pending", given)
    assert Values.of("pending", given[::-1] * 2) == one
    assert hash(Values.of("pending", given[::-1])) == hash(one)
    assert pickle.loads(pickle.dumps(one)) == one
    assert Values.of("pending", eval(repr(one))) == one  # noqa: S307
    assert all(value in one for value in given)
