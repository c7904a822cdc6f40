"""Hooks that carry something."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from polling_adapter._hooks import Carrier, carried, has_hooks, hooks_of


def prepared(hooks: Any) -> requests.PreparedRequest:
    request = requests.Request("GET", "http://host/").prepare()
    request.hooks = hooks
    return request


@pytest.mark.parametrize(
    ("hooks", "listed"),
    [
        (None, []),
        ({}, []),
        ({"response": None}, []),
        ({"response": print}, [print]),
        ({"response": (print, repr)}, [print, repr]),
    ],
)
def test_any_form_becomes_a_list_that_copies_share(hooks: Any, listed: list[Any]) -> None:
    request = prepared(hooks)
    assert hooks_of(request) == listed
    assert hooks_of(request.copy()) is hooks_of(request)


def test_a_list_stays_the_one_it_is() -> None:
    given = [print]
    assert hooks_of(prepared({"response": given})) is given


def test_the_latest_of_a_kind_is_what_is_carried() -> None:
    class One(Carrier):
        pass

    class Other(Carrier):
        pass

    first, last = One(), One()
    request = prepared({"response": [first, print, last, Other()]})
    assert carried(request, One) is last
    assert carried(prepared({"response": [print]}), One) is None


def test_carriers_do_nothing() -> None:
    assert not has_hooks(prepared({"response": [Carrier()]}))
    assert has_hooks(prepared({"response": [Carrier(), print]}))
