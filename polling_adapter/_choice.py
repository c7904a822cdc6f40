"""The ``polling=`` of one call, on its way from ``request()`` to ``send()``."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import requests

from ._hooks import Carrier, as_list, carried
from ._steps import CallInSteps
from .policy import PollingPolicy

Polling: TypeAlias = PollingPolicy | Literal[False] | CallInSteps


class Choice(Carrier):
    """``polling``, whichever session, thread or process it is sent in."""

    def __init__(self, polling: Polling | None) -> None:
        self.polling = polling

    def __reduce__(self) -> tuple[Any, ...]:
        # A job stays in its process: a pickled request is one of its own.
        return Choice, (None if isinstance(self.polling, CallInSteps) else self.polling,)


def carrying(polling: Polling, hooks: Any, session: requests.Session) -> dict[str, Any]:
    """The ``hooks`` of a request, with ``polling`` among them."""
    # Those of the request take the place of those of the session, as requests merges them.
    given = (hooks or {}).get("response") or (session.hooks or {}).get("response")
    return {**(hooks or {}), "response": [*as_list(given), Choice(polling)]}


def choice_of(request: requests.PreparedRequest) -> Polling | None:
    """What :func:`carrying` gave to its hooks."""
    choice = carried(request, Choice)
    return None if choice is None else choice.polling


def chosen(polling: Any) -> Polling:
    """``polling``, or a TypeError where it is none."""
    if polling is False or isinstance(polling, (PollingPolicy, CallInSteps)):
        return polling
    raise TypeError(f"polling={polling!r} is not accepted: it takes a PollingPolicy or False")
