"""The errors that a call ends with: each says where the job is, and how to go on (P6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from ._address import printable
from ._poll import GiveUp, Limit, is_poll
from .exceptions import PollingError, PollingTimeout, RetryAfterTooLong, TooManyPolls

if TYPE_CHECKING:
    from ._call import Call

_ERRORS: dict[Limit, type[PollingError]] = {
    "total_timeout": PollingTimeout,
    "max_polls": TooManyPolls,
    "retry_after_max": RetryAfterTooLong,
    "poll_failures": PollingError,
}


def ended(
    call: Call, verdict: GiveUp, upcoming: requests.PreparedRequest, at: float
) -> PollingError:
    """The error of ``call``, which gives up before ``upcoming``, due at the monotonic instant
    ``at``."""
    return _ERRORS[verdict.limit](
        f"{verdict.reason}; seen so far: {call.tally}; "
        f"resume with {upcoming.method} {printable(upcoming.url)}",
        request=call.request,
        response=call.response,
        url=upcoming.url,
        polls=call.polls,
        elapsed=call.elapsed,
        continuation_token=str(call.token(upcoming, at).anew()),
    )


def complete(error: requests.RequestException, call: Call, now: float) -> None:
    """What requests raises in the middle of a job gets what our own errors have."""
    if isinstance(error, PollingError) or not _is_a_job(call):
        return
    error.request = error.request or call.request
    error.response = call.response if error.response is None else error.response
    if call.polls:
        token = call.token(call.request, now).anew()
        error.continuation_token = str(token)  # type: ignore[attr-defined]


def _is_a_job(call: Call) -> bool:
    response = call.response
    return call.polls > 0 or (
        response is not None and is_poll(response.status_code, response.headers)
    )
