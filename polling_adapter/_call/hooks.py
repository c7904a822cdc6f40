"""What the response hooks of a request have to do with its call.

PreparedRequest.copy() shares the hooks of its original, and requests builds each redirect with it,
while a request made anew has hooks of its own: so what is among the hooks is known to a request and
all that follow from it, in whichever session, thread or adapter they are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import requests

Hook = Callable[..., Any]

AnyMark = TypeVar("AnyMark")


class Watching:
    """A mark that is told when hooks are gone through."""

    is_over = False
    has_come_back = False  # what one of them has sent was answered, and all have seen that answer

    def begins(self) -> None:
        """They are about to see an answer."""

    def ends(self) -> None:
        """All of them have seen it, or one has raised."""


class MarkedHooks(list[Hook]):
    """The caller's response hooks, and what a request and its copies carry besides."""

    __slots__ = ("marks",)

    def __init__(self, hooks: list[Hook], marks: tuple[object, ...]) -> None:
        super().__init__(hooks)
        self.marks = marks

    def __iter__(self) -> Iterator[Hook]:
        watching = [one for one in self.marks if isinstance(one, Watching)]
        for one in watching:
            one.begins()
        try:
            for hook in super().__iter__():
                # The caller's own, as long as may be: who takes one off looks for it there.
                is_seen = any(one.has_come_back for one in watching)
                yield partial(_unless_done, hook) if is_seen else hook
        finally:
            for one in watching:
                one.ends()

    def __reduce__(self) -> tuple[Any, ...]:
        return MarkedHooks, (self[:], self.marks)


class DoneHooks(MarkedHooks):
    """The caller's response hooks, which have seen some answers already."""

    def __iter__(self) -> Iterator[Hook]:
        for hook in super().__iter__():
            yield partial(_unless_done, hook)


def _unless_done(hook: Hook, response: requests.Response, **kwargs: Any) -> Any:
    return None if vars(response).get("_hooks_done") else hook(response, **kwargs)


class Owner:
    """Who decides about a request."""

    __slots__ = ()

    def hooks(self, callers: list[Hook]) -> Iterator[Hook]:
        """The hooks that see an answer, in turn: the caller's, and what is done around them."""
        return iter(callers)


#: Nobody of ours: the request is left to requests.
REQUESTS = Owner()


class OwnedHooks(list[Hook]):
    """The caller's response hooks, in a call: its owner sees each answer before and after them.

    requests goes through the hooks whichever adapter or mock has answered, so this is the one place
    where an answer that is asked again can be kept from them.
    """

    __slots__ = ("owner",)

    def __init__(self, hooks: list[Hook], owner: Owner) -> None:
        super().__init__(hooks)
        self.owner: Owner | None = owner

    def __bool__(self) -> bool:
        return self.owner is not None or len(self) > 0

    def __iter__(self) -> Iterator[Hook]:
        return super().__iter__() if self.owner is None else self.owner.hooks(self[:])

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (self[:],)  # a copy of its own, or a pickle, is nobody's


def as_list(hooks: Any) -> list[Hook]:
    """``hooks`` in any form that requests takes; of ours, the caller's alone."""
    if isinstance(hooks, list):
        return hooks[:]
    return [hooks] if callable(hooks) else list(hooks or ())


def _given(request: requests.PreparedRequest) -> Any:
    hooks: Any = getattr(request, "hooks", None)  # that of a cache (requests-cache's) has none
    return hooks.get("response") if hooks else None


def hooks_of(request: requests.PreparedRequest) -> list[Hook]:
    """The response hooks of ``request``."""
    return as_list(_given(request))


def _marks(given: Any) -> tuple[object, ...]:
    return given.marks if isinstance(given, MarkedHooks) else ()


def marks_of(request: requests.PreparedRequest, kind: type[AnyMark]) -> list[AnyMark]:
    """What ``request`` carries of this ``kind``, the latest first."""
    given = _given(request)
    if not isinstance(given, MarkedHooks):
        return []
    return [one for one in reversed(given.marks) if isinstance(one, kind)]


def mark_of(request: requests.PreparedRequest, kind: type[AnyMark]) -> AnyMark | None:
    """What ``request`` carries of this ``kind``, the latest."""
    return next(iter(marks_of(request, kind)), None)


def mark(request: requests.PreparedRequest, added: object) -> None:
    """``request``, and what is copied from it from now on, carries ``added``, and nothing else."""
    marked = MarkedHooks(hooks_of(request), (added,))
    request.hooks = {**(request.hooks or {}), "response": marked}


def mark_shared(request: requests.PreparedRequest, added: object) -> None:
    """All that share the hooks of ``request`` carry ``added``, and nothing else."""
    hooks: Any = request.hooks
    if hooks:
        hooks["response"] = MarkedHooks(hooks_of(request), (added,))


def mark_besides(hooks: Any, added: object) -> None:
    """All that share ``hooks`` carry what they did, and ``added``."""
    given = hooks["response"]
    kept = (one for one in _marks(given) if not (isinstance(one, Watching) and one.is_over))
    hooks["response"] = MarkedHooks(as_list(given), (*kept, added))


def owned(
    request: requests.PreparedRequest, owner: Owner
) -> tuple[requests.PreparedRequest, OwnedHooks]:
    """``request`` as ``owner`` sends it, and its hooks: the caller's object may be sent by other
    threads too."""
    hooks = OwnedHooks(hooks_of(request), owner)
    own: requests.PreparedRequest = object.__new__(type(request))
    vars(own).update(vars(request), hooks={**(request.hooks or {}), "response": hooks})
    vars(own).pop("_made_of", None)  # what it stood in for is over
    return own, hooks


def give_back(
    own: requests.PreparedRequest, request: requests.PreparedRequest, result: requests.Response
) -> None:
    """What ``own`` was answered is of the caller's ``request``, as with requests, and so is what
    adapters and mocks have left on it."""
    for response in (result, *result.history):
        if getattr(response, "request", None) is own:
            kept = {"hooks": request.hooks, "_cookies": request._cookies}
            vars(request).update({**vars(own), **kept})
            response.request = request


def done(hooks: Any, response: requests.Response) -> None:
    """``hooks``, which requests has in hand, are not shown ``response``: they have brought it."""
    vars(response)["_hooks_done"] = True
    given = hooks["response"]
    for one in _marks(given):
        if isinstance(one, Watching):
            one.has_come_back = True
    hooks["response"] = DoneHooks(as_list(given), _marks(given))


def owner_of(request: requests.PreparedRequest) -> Owner | None:
    """Who decides about ``request``; None: whoever sends it."""
    given = _given(request)
    return given.owner if isinstance(given, OwnedHooks) else None


def has_hooks(request: requests.PreparedRequest) -> bool:
    """Whether the caller has response hooks."""
    given = _given(request)
    return len(given) > 0 if isinstance(given, list) else bool(given)
