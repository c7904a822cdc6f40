"""Answers that mean more than their status says, by the policy's ``pending`` and ``retry_after``.

What an answer means is kept on the response, so that whoever has it can tell. One that is pending
stands for a 303 (RFC 9110 section 15.4.4): what requests makes of that is the next request.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import DecodeError

from .._predicate import Result, address, answers_a_read
from .._rules.answer import is_final, is_poll, retry_after
from ..exceptions import WorkFailed
from ..policy import PollingPolicy
from .next_request import bodiless
from .view import View


class Meaning(NamedTuple):
    """What the policy makes of an answer.

    :param location: where it leads, as a Location says it; None: nowhere but where it says itself.
    :param is_result: what is there stands, whatever it is.
    :param seconds: to wait, where the answer itself names no usable time.
    :param is_presumed: nobody has been asked yet, or has said anything.
    """

    location: str | None = None
    is_result: bool = False
    seconds: float | None = None
    is_presumed: bool = False


_PLAIN = Meaning()


def meaning_of(response: requests.Response) -> Meaning:
    """What the policy has made of ``response``."""
    return vars(response).get("_meaning", _PLAIN)  # type: ignore[no-any-return]


def is_known(response: requests.Response) -> bool:
    """Whether the policy was asked what ``response`` means, and has said it."""
    meaning = vars(response).get("_meaning")
    return meaning is not None and not meaning.is_presumed


def redirect_of(response: requests.Response) -> requests.Response:
    """``response``, or the 303 that it stands for."""
    location = meaning_of(response).location
    if location is None:
        return response
    headers = CaseInsensitiveDict({**response.headers, "Location": location})
    return bodiless(response, status_code=303, headers=headers, history=[], _meaning=_PLAIN)


@contextmanager
def shown_as_redirect(response: requests.Response) -> Iterator[None]:
    """In this block, ``response`` is a redirect to whoever asks it, if it stands for one: hooks of
    requests' own (that of digest authentication) look."""
    if redirect_of(response) is response or type(response) is not requests.Response:
        yield
        return
    response.__class__ = _Redirect
    try:
        yield
    finally:
        response.__class__ = requests.Response


class _Redirect(requests.Response):
    is_redirect = True


def is_looked_into(response: requests.Response, policy: PollingPolicy) -> bool:
    """Whether ``policy`` is asked whether ``response`` is pending. A stream of events is read as it
    comes, and not by us."""
    kind = response.headers.get("Content-Type") or ""
    return (
        policy.pending is not None
        and is_final(response.status_code or 0)
        and not kind.lower().startswith("text/event-stream")
    )


def presume(response: requests.Response, policy: PollingPolicy) -> None:
    """Until ``policy`` says what ``response`` means, whatever ends the call finds the job where the
    answer says."""
    if is_looked_into(response, policy) and "_meaning" not in vars(response):
        asked = _as_location(response.url) if answers_a_read(response) else None
        location = address(response) or asked
        vars(response)["_meaning"] = Meaning(location, is_presumed=True)


def find_meaning(
    response: requests.Response,
    policy: PollingPolicy,
    wall: float,
    out_of_time: Callable[[], bool],
    is_result: bool,
) -> bool:
    """Ask ``policy`` what ``response`` means.

    :param wall: seconds since the epoch.
    :param out_of_time: whether the call has no time to read any more of it.
    :param is_result: it stands, whatever it is.
    :return: False where it cannot be read to its end: it leads where its headers say, if they do.
    :raises Exception: what a function of the caller's raises.
    """
    is_known, meaning = True, _PLAIN
    if not is_result and is_looked_into(response, policy):
        presume(response, policy)
        found = _pending(response, policy, out_of_time)
        is_known = found is not None
        meaning = Meaning(address(response)) if found is None else found
    if policy.retry_after is not None and _asks_to_wait(response, meaning, policy, wall):
        meaning = meaning._replace(seconds=_seconds(policy.retry_after(response)))
    vars(response)["_meaning"] = meaning
    return is_known


def _pending(
    response: requests.Response, policy: PollingPolicy, out_of_time: Callable[[], bool]
) -> Meaning | None:
    """What the policy's ``pending`` says; None: its body cannot be read to its end."""
    view, said = View(response, out_of_time), None
    try:
        said = policy.pending(view)  # type: ignore[misc]
    except Exception as error:
        if getattr(error, "response", None) is view:
            error.response = response  # type: ignore[attr-defined]
        if isinstance(error, WorkFailed):
            vars(response)["_meaning"] = _PLAIN
        if view.trouble is None:
            raise
    if view.trouble is not None:
        if issubclass(view.trouble, DecodeError):  # it is no status, but may have named an address
            return Meaning(address(response))
        return _PLAIN if view.trouble is OverflowError else None
    if said is None or said is False:
        return _PLAIN
    if said is True:
        return Meaning(address(response) or _as_location(response.url))
    if isinstance(said, Result):
        return Meaning(_as_location(said.url), is_result=True)
    if isinstance(said, str):
        return Meaning(_as_location(said)) if said else _PLAIN
    raise TypeError(
        f"pending={policy.pending!r} returned {said!r}: it may return True, False, None, a URL, or "
        "Result(url)"
    )


def _as_location(url: str) -> str:
    """``url`` as http.client gives a Location: requests takes its bytes for UTF-8."""
    return url.encode(errors="surrogatepass").decode("latin-1")


def _asks_to_wait(
    response: requests.Response, meaning: Meaning, policy: PollingPolicy, wall: float
) -> bool:
    """Whether ``response`` asks to wait, and does not say how long."""
    headers, status = response.headers, response.status_code
    asks = (meaning.location is not None and not meaning.is_result) or is_poll(status, headers)
    return (asks or status in policy.retry_statuses) and retry_after(headers, wall) is None


def _seconds(named: Any) -> float | None:
    """``named``, which the policy's ``retry_after`` has returned."""
    if named is None:
        return None
    is_number = isinstance(named, (int, float)) and not isinstance(named, bool)
    if not is_number or not -math.inf < named <= sys.float_info.max:
        raise TypeError(f"retry_after returned {named!r}: it may return seconds, or None")
    return max(0.0, float(named))
