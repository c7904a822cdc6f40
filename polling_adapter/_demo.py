"""The demo: one ordinary post, and what it takes to get its result, hop by hop."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests

from .clock import SystemClock
from .policy import PollingPolicy, Wait
from .session import PollingSession

Say = Callable[[str], None]


class CountingDown(SystemClock):
    """Sleeps as this machine does, and shows the seconds that are left."""

    def __init__(self, show: Say) -> None:
        self._show = show

    def sleep(self, seconds: float) -> None:
        due = self.monotonic() + seconds
        while (left := due - self.monotonic()) > 0:
            self._show(f"\r         next request in {left:4.1f} s")
            super().sleep(min(left, 0.1))
        self._show(f"\r{'':40}\r")


class Demo:
    """Posts to a server's ``/start_work`` and tells what happens.

    :param url: of the server.
    :param say: is given each line.
    :param show: is given the countdown, where there is a terminal; None: there is none.
    """

    def __init__(self, url: str, say: Say, show: Say | None = None) -> None:
        self._url = url.rstrip("/")
        self._say = say
        self._clock = SystemClock() if show is None else CountingDown(show)
        self._started = self._clock.monotonic()
        self._requests = 0

    def run(self, duration: float | None = None) -> None:
        """Post, and print the result.

        :param duration: seconds that the work shall take; None: the server chooses.
        :raises requests.RequestException: no result came.
        """
        # Without jitter the times printed are those the server asks for.
        policy = PollingPolicy(jitter=0, clock=self._clock, on_wait=self._wait)
        params = {} if duration is None else {"duration": f"{duration:g}"}
        self._say(f"session.post({self._url}/start_work)")
        self._started = self._clock.monotonic()
        with PollingSession(policy=policy) as session:
            session.hooks["response"].append(self._hop)
            response = session.post(f"{self._url}/start_work", params=params)
        elapsed = self._elapsed()
        response.raise_for_status()
        result = response.json()
        self._say(json.dumps(result, indent=2))
        self._say(f"one call, {self._requests} requests, {elapsed:.2f} s")

    def _hop(self, response: requests.Response, **_: Any) -> None:
        asked = response.headers.get("Retry-After")
        wait = "" if asked is None else f", Retry-After: {asked}"
        outcome = f"{response.status_code} {response.reason}{wait}"
        self._tell(response.request.method or "", response.url, outcome)

    def _wait(self, wait: Wait) -> None:
        if wait.response is None or not wait.response.is_redirect:  # no hop: it is asked again
            self._tell("", wait.url, wait.reason)

    def _tell(self, method: str, url: str, outcome: str) -> None:
        self._requests += 1
        self._say(f"{self._elapsed():6.2f} s {method:<4} {urlsplit(url).path} -> {outcome}")

    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._started
