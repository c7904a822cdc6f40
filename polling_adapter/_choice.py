"""The ``polling=`` of one call, on its way from ``request()`` to ``send()``."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import requests

from ._call import CallInSteps
from .policy import PollingPolicy

Polling: TypeAlias = PollingPolicy | Literal[False] | CallInSteps


class Choice:
    """A response hook that does nothing but carry ``polling`` to ``send()``, whichever session,
    thread or process that is called in."""

    __slots__ = ("polling",)

    def __init__(self, polling: Polling) -> None:
        self.polling = polling

    def __call__(self, response: requests.Response, **_: Any) -> None:
        pass


def carrying(polling: Polling, hooks: Any, session: requests.Session) -> dict[str, Any]:
    """The ``hooks`` of a request, with ``polling`` among them."""
    # Those of the request take the place of those of the session, as requests merges them.
    given = (hooks or {}).get("response") or session.hooks["response"]
    return {"response": [*([given] if callable(given) else given), Choice(polling)]}


def carried(request: requests.PreparedRequest) -> Polling | None:
    """What :func:`carrying` gave to the hooks."""
    for hook in reversed(request.hooks["response"]):
        if isinstance(hook, Choice):
            return hook.polling
    return None


def chosen(polling: Any) -> Polling:
    """``polling``, or a TypeError where it is none."""
    if polling is False or isinstance(polling, (PollingPolicy, CallInSteps)):
        return polling
    raise TypeError(f"polling={polling!r} is not accepted: it takes a PollingPolicy or False")
