"""Redirects that were handed out, to be followed later, if at all.

What is to know of a redirect is carried by the request that follows it, and by its copies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import requests

from .._rules.progress import Due, Progress
from ..policy import PollingPolicy
from .job import Job


class HandedOut(NamedTuple):
    """Where a call stood when a redirect was handed out.

    :param due: when it may be followed; None: at once.
    :param policy: that of the call; None: that of whoever follows.
    :param wall: when it may be followed, in seconds since the epoch, where that was said in another
        process.
    :param response: the redirect, as long as somebody else has it.
    """

    progress: Progress
    due: Due | None
    origin: str | None
    policy: PollingPolicy | None
    wall: float | None = None
    response: Callable[[], requests.Response | None] = lambda: None

    @property
    def is_kept(self) -> bool:
        """Whether it lies in the caller's hands; else a session follows it now.

        Of that, requests makes the ``next`` of all but the first redirect, too, but gives them a
        history before it reads their bodies.
        """
        response = self.response()
        return response is None or (response.next is not None and not response.history)

    def job(self, policy: PollingPolicy, upcoming: requests.PreparedRequest | None) -> Job:
        """That of the call by ``policy`` which goes on from here.

        :param upcoming: the request that follows; None: it is yet to be prepared.
        """
        clock = policy.clock
        now, due = clock.monotonic(), self.due
        progress = self.progress._replace(redirects=0)  # to requests, too, this is a new call
        if due is not None and self.wall is not None:
            due = due._replace(at=now + max(0.0, self.wall - clock.time()))
        started, counted, total = progress.started, progress.counted, policy.total_timeout
        over = progress.left(now) == 0 and self.is_kept
        if self.wall is not None or over:  # time went by in other hands
            started, counted = now, 0
        if started == now or policy is not self.policy:
            deadline = None if total is None else started + total
            progress = progress._replace(started=started, counted=counted, deadline=deadline)
        return Job(progress, due, upcoming, response=self.response())

    def __reduce__(self) -> tuple[Any, ...]:
        wall = self.wall
        if wall is None and self.due is not None and self.policy is not None:
            clock = self.policy.clock
            wall = clock.time() + max(0.0, self.due.at - clock.monotonic())
        # The policy may hold what cannot be pickled.
        return type(self), (self.progress, self.due, self.origin, None, wall or 0.0)
