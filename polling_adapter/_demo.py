"""The demo: one ordinary post, and what it takes to get its result, hop by hop."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from ._call.messages import without_line
from ._clock import SystemClock
from ._rules.address import printable
from .exceptions import PollingError
from .policy import PollingPolicy, Wait
from .progress import ProgressBar
from .session import PollingSession

Say = Callable[[str], None]

# Of a terminal of 80, so that the last one stays free.
_COLUMNS = 79

# What comes after the time, where a line is folded.
_INDENT = 9 * " "


class NoResult(Exception):
    """The server has answered, with something else."""


class CountingDown(SystemClock):
    """Sleeps as this machine does, and shows the seconds that are left."""

    def __init__(self, show: Say) -> None:
        self._show = show

    def sleep(self, seconds: float) -> None:
        due = self.monotonic() + seconds
        while (left := due - self.monotonic()) > 0:
            self._show(f"\r{_INDENT}next request in {left:4.1f} s")
            super().sleep(min(left, 0.1))
        self._show(f"\r{'':40}\r")


class Demo:
    """Posts to a server's ``/start_work`` and tells what happens.

    :param url: of the server.
    :param say: is given each line.
    :param show: is given a countdown, where there is a terminal; None: there is none.
    :param bar: is shown in its place.
    """

    def __init__(
        self, url: str, say: Say, show: Say | None = None, bar: ProgressBar | None = None
    ) -> None:
        self._url = url.rstrip("/")
        self._say = say
        self._bar = bar
        self._clock = SystemClock() if show is None or bar is not None else CountingDown(show)
        self._started = self._clock.monotonic()
        self._requests = 0

    def run(self, duration: float | None = None, trust_env: bool = True) -> None:
        """Post, and print the result.

        :param duration: seconds that the work shall take; None: the server chooses.
        :param trust_env: proxies of the environment are used, and netrc.
        :raises requests.RequestException: no result came.
        :raises NoResult: what came is none.
        """
        # Without jitter the times printed are those the server asks for.
        policy = PollingPolicy(jitter=0, clock=self._clock, on_wait=self._wait)
        params = {} if duration is None else {"duration": f"{duration:g}"}
        self._say(f"session.post({printable(self._url)}/start_work)")
        self._started = self._clock.monotonic()
        with ExitStack() as stack:
            session = stack.enter_context(PollingSession(policy=policy))
            session.trust_env = trust_env
            session.hooks["response"].append(self._hop)
            if self._bar is not None:
                stack.enter_context(self._bar)
            response = session.post(f"{self._url}/start_work", params=params)
        elapsed = self._elapsed()
        self._say(json.dumps(_result(response), indent=2))
        self._say(f"one call, {self._requests} requests, {elapsed:.2f} s")

    def _hop(self, response: requests.Response, **_: Any) -> None:
        asked = response.headers.get("Retry-After")
        wait = "" if asked is None else f", Retry-After: {ascii(asked)[1:-1]}"
        outcome = f"{response.status_code} {response.reason}{wait}"
        self._tell(response.request.method or "", response.url, outcome)

    def _wait(self, wait: Wait) -> None:
        if wait.response is None or not wait.response.is_redirect:  # no hop: it is asked again
            self._tell("", wait.url, wait.reason)
        if self._bar is not None:
            self._bar(wait)

    def _tell(self, method: str, url: str, outcome: str) -> None:
        self._requests += 1
        path = urlsplit(url).path
        if len(path) > 30:
            path = f"{path[:27]}..."
        line = f"{self._elapsed():6.2f} s {method:<4} {path} -> {outcome}"
        self._say(folded(line, _INDENT))

    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._started


def _result(response: requests.Response) -> Any:
    """What the work has come to.

    :raises NoResult: the server knows of no work.
    """
    what = f"{response.status_code} {response.reason}"
    if response.status_code == requests.codes.ok:
        try:
            return response.json()
        except (ValueError, RecursionError):
            kind = response.headers.get("Content-Type", "a body without a type")
            what = f"{kind}, which is no JSON"
    asked = f"{response.request.method} {printable(response.url)}"
    raise NoResult(
        f"{asked} was answered with {what}; "
        "the demo takes a server such as 'polling-adapter serve' runs"
    )


_OF_THE_WIRE = (OSError, HTTPException, urllib3.exceptions.HTTPError)


def in_words(error: Exception) -> str:
    """What went wrong, for who reads no Python."""
    if isinstance(error, PollingError) or not isinstance(error, requests.ConnectionError):
        return without_line(str(error))
    url = printable(getattr(error.request, "url", None)) or "the server"
    cause: BaseException = error
    # What is below them, urllib3 1.26 has tried and got over.
    while isinstance(below := cause.__cause__ or cause.__context__, _OF_THE_WIRE):
        cause = below
    if isinstance(cause, OSError) and cause.strerror:
        return f"{url} cannot be reached: {cause.strerror}"
    return f"{url} does not answer in HTTP: {cause}"


def folded(line: str, indent: str = "") -> str:
    """``line`` in as many as it takes on a terminal of 80 columns."""
    return textwrap.fill(
        line,
        _COLUMNS,
        subsequent_indent=indent,
        break_long_words=False,  # an address is to be copied
        break_on_hyphens=False,
    )
