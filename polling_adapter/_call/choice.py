"""The ``polling=`` of one call, on its way from ``request()`` to ``send()``."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import requests

from ..policy import PollingPolicy
from .call import Call
from .hooks import as_list, hooks_of

Polling: TypeAlias = PollingPolicy | Literal[False] | Call


class Choice:
    """A response hook that does nothing but carry ``polling``."""

    def __init__(self, polling: Polling | None) -> None:
        self.polling = polling

    def __call__(self, response: requests.Response, **_: Any) -> None:
        pass

    def __deepcopy__(self, _: Any) -> Choice:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # A job stays in its process: a pickled request is one of its own.
        return Choice, (None if isinstance(self.polling, Call) else self.polling,)


def carrying(polling: Polling, hooks: Any, session: requests.Session) -> dict[str, Any]:
    """The ``hooks`` of a request, with ``polling`` among them."""
    # Those of the request take the place of those of the session, as requests merges them.
    given = (hooks or {}).get("response") or (session.hooks or {}).get("response")
    return {**(hooks or {}), "response": [*as_list(given), Choice(polling)]}


def take_choice(request: requests.PreparedRequest) -> Polling | None:
    """What :func:`carrying` gave to its hooks, which from now on are the caller's alone."""
    hooks = hooks_of(request)
    choices = [hook for hook in hooks if isinstance(hook, Choice)]
    if not choices:
        return None
    callers = [hook for hook in hooks if not isinstance(hook, Choice)]
    request.hooks = {**request.hooks, "response": callers}
    return choices[-1].polling


def chosen(polling: Any) -> Polling:
    """``polling``, or a TypeError where it is none."""
    if polling is False or isinstance(polling, (PollingPolicy, Call)):
        return polling
    raise TypeError(f"polling={polling!r} is not accepted: it takes a PollingPolicy or False")


def checked(policy: object, name: str = "policy") -> PollingPolicy:
    """``policy``, which was given as ``name``, or a TypeError where it is none."""
    if isinstance(policy, PollingPolicy):
        return policy
    raise TypeError(f"{name}={policy!r} is not accepted: it takes a PollingPolicy")
