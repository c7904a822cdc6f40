"""Where a call stands, as a value: what comes next and when, and the counters.

Tokens, errors and pollers are made of it, so none of them can say anything else (P6, P10).
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import requests

from .._rules.address import is_address, without_userinfo
from .._rules.answer import is_error, is_repeatable
from .._rules.progress import Due, Progress
from .._rules.token import Token
from .meaning import redirect_of
from .next_request import foreseen
from .parcel import Parcel, Unprepared

# What a token holds as it stands in the progress of a job
_IN_BOTH = tuple(name for name in Progress._fields if name in Token._fields)


#: A request that is yet to be sent: as it is, or packed, or not yet prepared
Upcoming: TypeAlias = requests.PreparedRequest | Parcel | Unprepared


class Next(NamedTuple):
    """What comes next.

    :param request: is sent,
    :param due: then; None: at once.
    :param response: asks for it; None: an error does.
    """

    request: requests.PreparedRequest
    due: Due | None
    response: requests.Response | None


class AsBefore(Next):
    """Nothing came of a request, as whoever asked has no more time: the job is as it was before."""

    __slots__ = ()


class Job(NamedTuple):
    """Where a call stands.

    :param due: when what comes next may be sent, and why; None: at once.
    :param upcoming: the request that comes next; None: what ``response`` leads to, if anywhere.
    :param request: the last that was sent, or is about to be.
    :param response: the last that was received.
    :param unanswered: ``request`` is sent, and nobody knows what became of it.
    :param held: ``response`` stands, but says when it may be asked for again; None: at once.
    """

    progress: Progress
    due: Due | None = None
    upcoming: Any = None
    request: requests.PreparedRequest | None = None
    response: requests.Response | None = None
    unanswered: bool = False
    held: Due | None = None

    @property
    def is_begun(self) -> bool:
        """Whether something was asked to wait for."""
        return self.progress.is_job or self.due is not None

    @property
    def leads_on(self) -> bool:
        """Whether it is known what comes next."""
        return self._led_to() is not None

    @property
    def asked(self) -> requests.PreparedRequest | None:
        """The last request that was sent, or where that was in another call, answered."""
        if self.request is not None or self.response is None:
            return self.request
        return self.response.request

    def may_be_sent(self, upcoming: Upcoming) -> bool:
        """Whether ``upcoming`` cannot begin the work twice: nobody knows what became of a request
        that was sent and not answered."""
        return not self.unanswered or is_repeatable(upcoming.method or "", upcoming.headers)

    def resumable(self) -> Upcoming | None:
        """The request that comes next, and of which a token can be made; None: there is none."""
        upcoming = self._led_to()
        if upcoming is not None and not self.may_be_sent(upcoming):
            return None
        if upcoming is not None and is_address(upcoming.url):
            return upcoming
        # It was the result, or it leads nowhere; but if it answers a poll, that can be asked again,
        # or it was refused.
        response = self.response
        answered = None if response is None else response.request or self.request
        if response is None or answered is None or not is_address(answered.url):
            return None
        is_refused = not self.unanswered and self.progress.is_job and is_error(response.status_code)
        return answered if is_refused or self.progress.survives(answered.method or "") else None

    def _led_to(self) -> Upcoming | None:
        """What comes next, whether it leads anywhere or not."""
        upcoming: Upcoming | None = self.upcoming
        redirect = None if self.response is None else redirect_of(self.response)
        if upcoming is not None or redirect is None or not redirect.is_redirect:
            return upcoming
        prepared: Any = getattr(self.response, "_next", None)  # where the session has looked ahead
        try:
            return prepared or foreseen(redirect, self.request)  # type: ignore[arg-type]
        except ValueError:
            return None

    def token(
        self, now: float, wall: float, origin: str | None, pending: bool, headers: tuple[str, ...]
    ) -> Token | None:
        """What another call needs to go on with this; None: there is nothing to go on with.

        :param now: monotonic seconds. :param wall: seconds since the epoch.
        :param origin: a URL of where the job began; None: it is yet to begin.
        :param pending: its policy has a ``pending``.
        :param headers: the names of those headers of the request that it holds.
        """
        upcoming = self.resumable()
        if upcoming is None or not is_address(origin or upcoming.url):
            return None
        progress, due, given = self.progress, self.due or self.held, upcoming.headers
        at = now if due is None else due.at
        if due is not None and due.poll:
            # Its wait is yet to begin, but what goes on with it is a poll already.
            progress = progress.polled()
        # The wait that was asked for counts; what a token rests beyond that does not.
        then = max(at, now)
        return Token(
            url=without_userinfo(upcoming.url),
            method=upcoming.method or "",
            # What is due stays due: the text rounds up, to the millisecond (P2).
            due=max(0.0, wall + (at - now if at > now else at - now - 0.002)),
            elapsed=max(0.0, then - progress.started),
            left=progress.left(then),
            failing=max(0.0, then - progress.failing_since) if progress.failures else 0.0,
            asked=None if due is None else due.asked,
            pending=pending,
            no_cache=given.get("Cache-Control") is not None or (due is not None and due.storable),
            origin=without_userinfo(origin or upcoming.url),
            has_body=upcoming.body is not None,
            is_typed=upcoming.body is None and given.get("Content-Type") is not None,
            needs_key=self.unanswered and not is_repeatable(upcoming.method or "", {}),
            headers={name: given[name] for name in headers if name in given},
            **{name: getattr(progress, name) for name in _IN_BOTH},
        )

    @classmethod
    def resumed(cls, token: Token, now: float, wall: float, total: float | None) -> Job:
        """The job that ``token`` was made of, but for its request.

        :param now: monotonic seconds. :param wall: seconds since the epoch.
        :param total: the ``total_timeout`` that holds for it, in seconds.
        """
        at = now + max(0.0, token.due - wall)
        started = at - token.elapsed
        progress = Progress(
            started,
            None if total is None else started + total,
            failing_since=at - token.failing,
            **{name: getattr(token, name) for name in _IN_BOTH},
        )
        due = Due(at, "resumed", token.asked, jitter=False)
        return cls(progress, due, unanswered=token.needs_key)
