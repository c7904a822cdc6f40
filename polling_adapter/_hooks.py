"""Response hooks that do nothing but carry something with a request.

PreparedRequest.copy() shares the hooks of its original, and requests builds each redirect with it,
while a request made anew has hooks of its own: so what is among the hooks is known to a request and
all that follow from it, in whichever session, thread or adapter they are sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import requests


class Carrier:
    """A response hook that does nothing."""

    def __call__(self, response: requests.Response, **_: Any) -> None:
        pass


AnyCarrier = TypeVar("AnyCarrier", bound=Carrier)


def hooks_of(request: requests.PreparedRequest) -> list[Callable[..., Any]]:
    """The response hooks of ``request``, in the list that it shares with its copies."""
    hooks: Any = request.hooks
    listed = hooks.get("response") if hooks else None
    if type(listed) is not list:  # requests takes a callable, and nothing at all, too
        request.hooks = {**(hooks or {}), "response": as_list(listed)}
        listed = request.hooks["response"]
    return listed


def as_list(hooks: Any) -> list[Callable[..., Any]]:
    """``hooks`` in any form that requests takes."""
    return [hooks] if callable(hooks) else list(hooks or ())


def carried(request: requests.PreparedRequest, kind: type[AnyCarrier]) -> AnyCarrier | None:
    """What ``request`` has of this ``kind``, the latest."""
    for hook in reversed(hooks_of(request)):
        if isinstance(hook, kind):
            return hook
    return None


def has_hooks(request: requests.PreparedRequest) -> bool:
    """Whether a response hook of ``request`` may do anything."""
    return not all(isinstance(hook, Carrier) for hook in hooks_of(request))
