"""A call that never waits: whoever drives it comes again when its next request is due."""

from __future__ import annotations

from typing import Any, NoReturn

import requests

from ._call import Call
from ._poll import Due, Spent
from .policy import PollingPolicy


class NotYet(Exception):
    """Carries ``request``, which is due at the instant ``at`` of the monotonic clock, out of a call
    that does not wait."""

    def __init__(self, request: requests.PreparedRequest, at: float) -> None:
        super().__init__(request, at)
        self.request = request
        self.at = at


class CallInSteps(Call):
    """A call that never waits for what comes next: it raises :exc:`NotYet` instead."""

    begun = False
    #: what the session gave to ``send()`` with the first request
    options: dict[str, Any] | None = None

    def __init__(self, policy: PollingPolicy, spent: Spent | None = None) -> None:
        super().__init__(policy, spent=spent)
        self.following = True

    def goes_on_with(self, request: requests.PreparedRequest, at: float) -> None:
        """``request``, which was due at the instant ``at``, is about to be sent.

        :raises PollingTimeout: its time has gone by.
        """
        self.begins_with(request)
        self._check_time(request, at)

    def comes_to_rest(self) -> None:
        """Keep nothing of what was sent and answered: ten thousand calls may be waiting."""
        self.request = self.response = self._hooks = None
        self.led = self.proxies = self._judged = self._redirect = None

    def resumes(self, request: requests.PreparedRequest, due: float) -> None:
        """``request`` is due at ``due``, in seconds since the epoch.

        :raises NotYet: always, unless
        :raises PollingError: that is later than the policy allows.
        """
        at = self._clock.monotonic() + max(0.0, due - self._clock.time())
        self._check_time(request, at)
        self.wait(Due(at, "resumed", jitter=False), request, None)

    def wait(
        self, due: Due, upcoming: requests.PreparedRequest, response: requests.Response | None
    ) -> NoReturn:
        """:raises NotYet: always, unless
        :raises PollingError: a cap of the policy is reached.
        """
        raise NotYet(upcoming, self._pause(due, upcoming, response))
