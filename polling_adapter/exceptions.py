"""The errors; all of them are errors of requests.

::

    requests.RequestException
    └── PollingError
        ├── PollingTimeout      (also requests.Timeout and TimeoutError)
        ├── TooManyPolls        (also requests.TooManyRedirects)
        ├── RetryAfterTooLong
        ├── OutageTooLong       (also requests.ConnectionError and requests.Timeout)
        └── WorkFailed
"""

from __future__ import annotations

from typing import Any

import requests


class PollingError(requests.RequestException):
    """A call ended before its result was there. A job that is under way is not lost: ``url`` can
    still be polled, and the message ends with the line of code that goes on.

    ``request`` is the last one sent, ``response`` the last one received (None if there was none),
    ``url`` what is still to be asked, ``polls`` how many polls were followed, and ``elapsed`` the
    seconds since the call began. ``continuation_token`` is what :meth:`PollingSession.resume` takes
    to go on, with limits that count anew; None where there is nothing to go on with, or where it is
    unknown whether the work has begun. ``policy`` is what the call kept to, for whoever goes on;
    None of an error that was pickled, if it has functions that decide, which may not be.
    """

    url: str | None
    polls: int
    elapsed: float
    continuation_token: str | None
    policy: Any = None

    def __init__(
        self,
        *args: Any,
        url: str | None = None,
        polls: int = 0,
        elapsed: float = 0.0,
        continuation_token: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.url = url
        self.polls = polls
        self.elapsed = elapsed
        self.continuation_token = continuation_token
        super().__init__(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        made: Any = super().__reduce__()
        policy = None if self.policy is None else self.policy._portable()
        return *made[:2], {**made[2], "policy": policy}


class PollingTimeout(PollingError, requests.Timeout, TimeoutError):
    """The next request would be due after the end of ``total_timeout``; or the ``timeout`` of
    :meth:`Poller.result` or :func:`as_completed` is over, and the job goes on."""


class TooManyPolls(PollingError, requests.TooManyRedirects):
    """``max_polls`` polls were followed, and the work is not done."""


class RetryAfterTooLong(PollingError):
    """The server asks to wait longer than ``retry_after_max``: ``seconds`` from the answer on."""

    def __init__(self, *args: Any, seconds: float = 0.0, **kwargs: Any) -> None:
        self.seconds = seconds
        super().__init__(*args, **kwargs)


class OutageTooLong(PollingError, requests.ConnectionError, requests.Timeout):
    """Polls have failed in a row for longer than ``outage_max``, or more often than
    ``poll_failures``; ``__cause__`` is what requests raised the last time."""


class WorkFailed(PollingError):
    """The server says that the work failed; ``response`` has its own words. There is nothing to go
    on with: ``continuation_token`` is None.

    Predicates for ``PollingPolicy(pending=...)`` raise it: those of :mod:`polling_adapter.pending`,
    and yours by ``raise WorkFailed("why", response=response)``. The call adds the rest.
    """
