"""A chain of redirects as a session follows it: hop by hop, each when it is due."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import requests

from .._rules.address import origin
from .body import read_or_drop
from .call import Call
from .exchange import attempt, until_answered
from .hooks import owner_of
from .job import Next
from .meaning import redirect_of
from .next_request import Repetition, repeats, repetition, unreadable

#: Of polls in a row, so many are kept in ``response.history``, the newest: it stays bounded.
HISTORY_POLLS = 30


class Following:
    """Follows the redirects of a call in ``session``.

    :param options: those of ``Session.send()`` that hold for each request.
    :param repeats: a request that leads to itself need not be prepared anew.
    """

    __slots__ = (
        "_cert",
        "_more",
        "_passed",
        "_polls",
        "_proxies",
        "_proxies_found",
        "_repeats",
        "_repetition",
        "_session",
        "_stream",
        "_timeout",
        "_verify",
    )

    def __init__(self, session: requests.Session, options: dict[str, Any], repeats: bool) -> None:
        more = dict(options)
        self._session = session
        self._repeats = repeats
        self._stream = more.pop("stream", False)
        self._timeout = more.pop("timeout", None)
        verify = more.pop("verify", True)
        # requests reads the path of a bundle anew for each call; the same is kept once
        self._verify = sys.intern(verify) if type(verify) is str else verify
        self._cert = more.pop("cert", None)
        self._proxies = more.pop("proxies", None) or None
        self._more = more or None
        self._passed: list[requests.Response] | tuple[()] = ()
        self._polls: deque[requests.Response] | tuple[()] = ()  # in a row, after what has passed
        self._repetition: Repetition = None
        self.rest()

    def rest(self) -> None:
        """Keep little of what was followed: ten thousand calls may be waiting."""
        self._proxies_found: tuple[object, dict[str, str]] | None = None  # by origin

    def _options(self) -> dict[str, Any]:
        return {
            "stream": self._stream,
            "timeout": self._timeout,
            "verify": self._verify,
            "cert": self._cert,
            "proxies": self._proxies or {},
            **(self._more or {}),
        }

    def responses(
        self, call: Call, response: requests.Response, request: requests.PreparedRequest
    ) -> Generator[requests.Response, None, None]:
        """What comes of ``response``, in order; of polls in a row the newest.

        :raises PollingError: a limit of the policy is reached.
        :raises requests.TooManyRedirects: ``max_redirects`` that are no polls were followed.
        """
        polls = self._polls = deque(maxlen=HISTORY_POLLS)
        passed = self._passed = []
        while (step := self.after(call, response, request)) is not None:
            if step.due is None:
                response.history = self._before(response)
            if not passed:
                passed.append(response)
            response, request = self._sent(call, step)
            if call.job.due is not None:
                polls.append(response)
            else:
                news = [*polls, response]
                polls.clear()
                passed.extend(news)
                yield from news
                if owner_of(request) is not call:  # who follows by hand has had this in between
                    request = call.owns(request)
        yield from polls

    def after(
        self, call: Call, response: requests.Response, request: requests.PreparedRequest
    ) -> Next | None:
        """What follows ``response``, the answer to ``request``; None where it leads nowhere.

        :raises requests.TooManyRedirects: ``max_redirects`` that are no polls were followed.
        """
        session, due = self._session, call.job.due
        redirect = redirect_of(response)
        counts = due is None and redirect is response
        upcoming: Any = getattr(response, "_next", None)  # a pickled response has none
        is_ready = upcoming is not None and owner_of(upcoming) is call
        if not is_ready and not leads_on(session, call, redirect):
            return None
        if call.passes_by:
            call.release(response)  # within bounds, before requests reads all of it
        if counts:
            self._check_redirects(call, response)
        if not is_ready:
            options = self._options()
            upcoming = next(
                session.resolve_redirects(redirect, request, yield_requests=True, **options)
            )
        if upcoming is not request:
            session.get_adapter(upcoming.url)  # if there is none, requests says so before any wait
            self._proxies = session.rebuild_proxies(upcoming, self._proxies) or None
        if counts:
            call.job = call.job._replace(progress=call.job.progress.redirected())
        return Next(upcoming, due, response)

    def attempt(self, call: Call, request: requests.PreparedRequest) -> requests.Response | Next:
        """Send a request, once; what it answers is not followed."""
        return attempt(call, partial(self._send, request), reads=not self._stream)

    def peek(
        self,
        call: Call,
        response: requests.Response,
        request: requests.PreparedRequest,
        stock: Callable[[requests.Response], Iterator[Any]],
    ) -> Iterator[Any]:
        """The request that ``stock``, requests' own code, makes of a redirect."""
        redirect = redirect_of(response)
        if not leads_on(self._session, call, redirect):
            return iter(())
        cookies, may_repeat = self._session.cookies, self._repeats and call.goes_on
        if may_repeat and repeats(self._repetition, redirect, request, cookies):
            return iter((request,))
        try:
            upcoming = next(stock(redirect))
        except ValueError as error:
            if isinstance(error, requests.RequestException) or not call.is_begun:
                raise
            raise unreadable(error, call.sent, redirect) from None
        self._repetition = repetition(redirect, request, upcoming)
        return iter((upcoming,))

    def proxies(
        self, request: requests.PreparedRequest, stock: Callable[[], dict[str, str]]
    ) -> dict[str, str]:
        """What ``stock``, requests' own code, finds for ``request``; it is asked once for the
        requests that stay on one origin."""
        here = origin(request.url)
        if self._proxies_found is None or self._proxies_found[0] != here:
            self._proxies_found = here, stock()
        return self._proxies_found[1]

    def _send(self, request: requests.PreparedRequest) -> requests.Response:
        return self._session.send(request, allow_redirects=False, **self._options())

    def _sent(self, call: Call, step: Next) -> tuple[requests.Response, requests.PreparedRequest]:
        """What is answered in the end, when it is due, and to which request."""
        redirect: Any = step.response
        try:
            return until_answered(call, step, self._send, reads=not self._stream)
        except BaseException:
            redirect.history = self._before(redirect)
            raise

    def _before(self, response: requests.Response) -> list[requests.Response]:
        return [one for one in (*self._passed, *self._polls) if one is not response]

    def _check_redirects(self, call: Call, response: requests.Response) -> None:
        """requests asks this before it looks for an adapter."""
        most = self._session.max_redirects
        if call.job.progress.redirects < most:
            return
        response.history = self._before(response)
        read_or_drop(response)
        raise requests.TooManyRedirects(f"Exceeded {most} redirects.", response=response)


def leads_on(session: requests.Session, call: Call, response: requests.Response) -> bool:
    """Whether ``response`` is a redirect to ``session``.

    :raises requests.exceptions.InvalidURL: its Location cannot be read, in the middle of a job.
    """
    try:
        return bool(session.get_redirect_target(response))
    except ValueError as error:
        if not call.is_begun:
            raise
        raise unreadable(error, call.sent, response) from None
