"""Hooks in a call, and what goes with them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from requests.hooks import dispatch_hook

from polling_adapter._call.hooks import (
    REQUESTS,
    Hook,
    MarkedHooks,
    Owner,
    Watching,
    done,
    has_hooks,
    hooks_of,
    mark,
    mark_besides,
    mark_of,
    mark_shared,
    owned,
    owner_of,
)


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
        ({"response": [print, repr]}, [print, repr]),
    ],
)
def test_any_form_is_a_list(hooks: Any, listed: list[Any]) -> None:
    request = prepared(hooks)
    assert hooks_of(request) == listed
    assert owner_of(request) is None


def test_marks_go_with_copies_and_are_no_hooks() -> None:
    request = prepared({"response": [print]})
    before = request.copy()
    mark(request, 1)
    mark_besides(request.hooks, "one")
    mark_besides(request.hooks, 2)
    assert mark_of(request, int) == mark_of(request.copy(), int) == 2
    assert mark_of(pickle.loads(pickle.dumps(request)), str) == "one"
    assert mark_of(copy.deepcopy(request), str) == "one"
    assert request.hooks == {"response": [print]}
    assert mark_of(before, int) is None
    mark(request, "other")
    assert mark_of(request, int) is None


def test_marks_that_are_shared() -> None:
    request = prepared({"response": [print]})
    before = request.copy()
    mark_shared(request, 1)
    assert mark_of(before, int) == 1
    assert mark_of(before, str) is None


def test_whether_the_caller_has_hooks() -> None:
    assert has_hooks(prepared({"response": print}))
    assert not has_hooks(prepared({"response": None}))


class Around(Owner):
    """An owner that sees each answer before and after the caller's hooks."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def hooks(self, callers: list[Hook]) -> Iterator[Hook]:
        yield lambda _, **__: self.told.append("before")
        yield from callers
        yield lambda _, **__: self.told.append("after")


@pytest.mark.parametrize("hooks", [None, {"response": []}])
def test_an_owner_sees_what_requests_shows_to_hooks(hooks: Any) -> None:
    around = Around()
    request, _ = owned(prepared(hooks), around)
    dispatch_hook("response", request.hooks, requests.Response())
    assert around.told == ["before", "after"]


def test_the_callers_request_is_left_as_it_is() -> None:
    """Other threads may be sending it."""
    given = {"response": [print]}
    first = prepared(given)
    request, hooks = owned(first, REQUESTS)
    assert first.hooks is given
    assert owner_of(first) is None
    assert hooks_of(request) == [print]
    assert owner_of(request) is owner_of(request.copy()) is REQUESTS
    hooks.owner = None  # the call is over
    assert owner_of(request) is owner_of(request.copy()) is None


def test_copies_and_pickles_are_nobodys() -> None:
    request, _ = owned(prepared({"response": [print]}), Around())
    for other in (copy.deepcopy(request), pickle.loads(pickle.dumps(request))):
        assert owner_of(other) is None
        assert other.hooks == {"response": [print]}


def test_hooks_that_take_themselves_out(capsys: pytest.CaptureFixture[str]) -> None:
    request, _ = owned(prepared({"response": [print]}), Around())
    assert request.deregister_hook("response", print)
    request.register_hook("response", repr)
    assert hooks_of(request) == [repr]


def test_an_answer_that_hooks_have_brought_is_not_shown_to_them_again() -> None:
    shown: list[object] = []
    mark = object()
    hooks: Any = {"response": MarkedHooks([lambda response, **_: shown.append(response)], (mark,))}
    first, second = requests.Response(), requests.Response()
    done(hooks, first)
    for response in (second, first):
        assert dispatch_hook("response", hooks, response) is response
    assert shown == [second]
    assert mark_of(prepared(hooks), object) is mark


@pytest.mark.parametrize("raises", [False, True])
def test_a_mark_is_told_when_hooks_are_gone_through(raises: bool) -> None:
    steps: list[str] = []

    class Mark(Watching):
        def begins(self) -> None:
            steps.append("begins")

        def ends(self) -> None:
            steps.append("ends")

    def hook(_: requests.Response) -> None:
        steps.append("hook")
        if raises:
            raise LookupError

    hooks: Any = {"response": [hook, hook]}
    request = prepared(hooks)
    mark_besides(request.hooks, Mark())
    assert hooks_of(request) == [hook, hook]
    assert steps == []
    with suppress(LookupError):
        dispatch_hook("response", request.hooks, requests.Response())
    assert steps == ["begins", "hook", *([] if raises else ["hook"]), "ends"]


def test_P9_what_is_over_is_carried_no_longer() -> None:
    class Told(Watching):
        is_over = True

    request = prepared({"response": [print]})
    for _ in range(3):
        mark_besides(request.hooks, Told())
    mark_besides(request.hooks, "kept")
    mark_besides(request.hooks, Watching())
    assert [type(one) for one in request.hooks["response"].marks] == [str, Watching]
