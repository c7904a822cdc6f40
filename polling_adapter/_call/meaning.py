"""Answers that mean more than their status says, by the policy's ``pending`` and ``retry_after``.

What an answer means is kept on the response, so that whoever has it can tell. One that is pending
stands for a 303 (RFC 9110 section 15.4.4): what requests makes of that is the next request.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import requests
from requests.structures import CaseInsensitiveDict

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
    """

    location: str | None = None
    is_result: bool = False
    seconds: float | None = None


_PLAIN = Meaning()


def meaning_of(response: requests.Response) -> Meaning:
    """What the policy has made of ``response``."""
    return vars(response).get("_meaning", _PLAIN)  # type: ignore[no-any-return]


def redirect_of(response: requests.Response) -> requests.Response:
    """``response``, or the 303 that it stands for."""
    location = meaning_of(response).location
    if location is None:
        return response
    headers = CaseInsensitiveDict({**response.headers, "Location": location})
    return bodiless(response, status_code=303, headers=headers, history=[], _meaning=_PLAIN)


def find_meaning(
    response: requests.Response,
    policy: PollingPolicy,
    wall: float,
    out_of_time: Callable[[], bool],
    is_result: bool,
) -> None:
    """Ask ``policy`` what ``response`` means.

    :param wall: seconds since the epoch.
    :param out_of_time: whether the call has no time to read any more of it.
    :param is_result: it stands, whatever it is.
    :raises Exception: what a function of the caller's raises.
    """
    kept = vars(response)
    meaning = _PLAIN
    if policy.pending is not None and not is_result and _may_be_pending(response):
        # Whatever ends the call in the function of the caller's, the job is where the answer says.
        kept["_meaning"] = Meaning(_presumed(response))
        meaning = _pending(response, policy, out_of_time)
    if policy.retry_after is not None and _asks_to_wait(response, meaning, policy, wall):
        kept["_meaning"] = meaning
        meaning = meaning._replace(seconds=_seconds(policy.retry_after(response)))
    if meaning is _PLAIN:
        kept.pop("_meaning", None)
    else:
        kept["_meaning"] = meaning


def _may_be_pending(response: requests.Response) -> bool:
    """A stream of events is read as it comes, and not by us."""
    kind = response.headers.get("Content-Type") or ""
    return is_final(response.status_code or 0) and not kind.lower().startswith("text/event-stream")


def _pending(
    response: requests.Response, policy: PollingPolicy, out_of_time: Callable[[], bool]
) -> Meaning:
    view, said = View(response, out_of_time), None
    try:
        said = policy.pending(view)  # type: ignore[misc]
    except WorkFailed as failure:
        vars(response).pop("_meaning", None)
        failure.response = response
        raise
    except Exception:
        if not view.is_cut:
            raise
    if view.is_cut or said is None or said is False:
        return _PLAIN
    if said is True:
        return Meaning(address(response) or _as_location(response.url))
    if isinstance(said, Result):
        return Meaning(_as_location(said.url), is_result=True)
    if isinstance(said, str):
        return Meaning(_as_location(said))
    raise TypeError(
        f"pending={policy.pending!r} returned {said!r}: it may return True, False, None, a URL, or "
        "Result(url)"
    )


def _presumed(response: requests.Response) -> str | None:
    """Where to go on if nobody has said anything else."""
    asked = _as_location(response.url) if answers_a_read(response) else None
    return address(response) or asked


def _as_location(url: str) -> str:
    """``url`` as http.client gives a Location: requests takes its bytes for UTF-8."""
    return url.encode().decode("latin-1")


def _asks_to_wait(
    response: requests.Response, meaning: Meaning, policy: PollingPolicy, wall: float
) -> bool:
    """Whether ``response`` asks to wait, and does not say how long."""
    headers, status = response.headers, response.status_code
    asks = (meaning.location is not None and not meaning.is_result) or is_poll(status, headers)
    return (asks or status in policy.retry_statuses) and retry_after(headers, wall) is None


def _seconds(named: object) -> float | None:
    """``named``, which the policy's ``retry_after`` has returned."""
    if named is None:
        return None
    if isinstance(named, bool) or not isinstance(named, (int, float)) or not math.isfinite(named):
        raise TypeError(f"retry_after returned {named!r}: it may return seconds, or None")
    return max(0.0, float(named))
