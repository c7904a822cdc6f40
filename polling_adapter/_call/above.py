"""What an adapter can know of the session above it.

It sees single requests. But requests copies each that follows a redirect from the one that was
redirected, and the copy shares the hooks: so what an adapter leaves there tells a request that
follows from one that merely asks for the same URL, and nothing is kept on the adapter.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import requests

from .._rules.address import same
from ..policy import PollingPolicy
from .call import Call
from .handed_out import HandedOut
from .hooks import Watching, mark, mark_besides, mark_of, mark_shared, marks_of


@dataclass(eq=False)
class Redirect:
    """A redirect that an adapter has handed out.

    :param url: where it leads to.
    :param request: what was redirected, as long as somebody has it.
    :param thread: which got it; None: one of another process.
    :param tried: a request has followed it.
    """

    handed: HandedOut
    url: str | None
    request: Callable[[], requests.PreparedRequest | None] = lambda: None
    thread: int | None = None
    tried: bool = False

    @property
    def is_mine(self) -> bool:
        """Whether this thread got it."""
        return self.thread == threading.get_ident()

    @property
    def at(self) -> float:
        """The instant at which it may be followed."""
        return 0.0 if self.handed.due is None else self.handed.due.at

    def is_followed_by(self, request: requests.PreparedRequest) -> bool:
        """Whether ``request`` follows it; in doubt it does (P1)."""
        if self.request() is request:  # sent again, and no session above has followed
            return same(request.url, self.url) and not self.tried
        if same(request.url, self.url):
            return True
        response = self.handed.response()
        if response is None:
            return False
        if response.next is not None:  # the caller has it, and the request that follows
            return same(request.url, response.next.url)
        return self.is_mine  # the session that follows it now may rewrite addresses

    def __reduce__(self) -> tuple[Any, ...]:
        return Redirect, (self.handed, self.url)


class Redirects(NamedTuple):
    """What a request, and what is copied from it, may follow.

    :param own: what it was answered itself, when the copies were made.
    :param others: the latest of each thread that sends the request or a copy.
    """

    own: Redirect | None
    others: dict[int, Redirect]

    def followed_by(self, request: requests.PreparedRequest) -> Redirect | None:
        """The one that ``request`` follows. Threads may share a request: where it cannot be told
        whose redirect is followed, the longest wait is early for none (P1)."""
        candidates = [self.own, *self.others.copy().values()]
        followed = [one for one in candidates if one is not None and one.is_followed_by(request)]
        return max(followed, key=lambda one: (one.is_mine, one.at), default=None)

    def __reduce__(self) -> tuple[Any, ...]:
        return Redirects, (self.own, self.others.copy())


def hand_to_session(
    response: requests.Response, request: requests.PreparedRequest, url: str | None, call: Call
) -> None:
    """What is copied from ``request`` from now on may follow ``response``, to ``url``."""
    thread = threading.get_ident()
    redirect = Redirect(hand_out(call, response), url, weakref.ref(request), thread)
    redirects = mark_of(request, Redirects)
    if redirects is None:
        # Threads may share the request, so whoever comes first makes what they share.
        redirects = Redirects(None, vars(request).setdefault("_redirects", {}))
        # What it was copied from shares its hooks, and may be what is copied next: an auth handler
        # sends a copy, and requests follows the redirect of the copy with the original.
        mark_shared(request, redirects)
    redirects.others[thread] = redirect
    mark(request, Redirects(redirect, redirects.others))


def followed_by(request: requests.PreparedRequest) -> Redirect | None:
    """What ``request`` follows."""
    redirects = mark_of(request, Redirects)
    redirect = None if redirects is None else redirects.followed_by(request)
    if redirect is not None:
        redirect.tried = redirect.tried or redirect.request() is not request
    return redirect


def handed_to(request: requests.PreparedRequest) -> HandedOut | None:
    """What ``request`` follows by hand, whoever of ours has handed it out."""
    redirect = followed_by(request)
    if redirect is not None and same(request.url, redirect.url):
        return redirect.handed
    return mark_of(request, HandedOut)


def hand_out(call: Call, response: requests.Response) -> HandedOut:
    """Where ``call`` stands, whose ``response`` is handed out."""
    job, weakly = call.job, weakref.ref(response)  # if nobody follows it, it shall be gone
    return HandedOut(job.progress, job.due, call.origin, call.policy, None, weakly)


def call_after(
    handed: HandedOut | None,
    default: PollingPolicy,
    policy: PollingPolicy | None = None,
    upcoming: requests.PreparedRequest | None = None,
) -> Call:
    """The call that follows what was ``handed`` out, if anything was, by ``upcoming``.

    :param policy: the caller's; None: that of what was handed out, or else the ``default``.
    """
    if handed is None:
        return Call(policy or default)
    policy = policy or handed.policy or default
    return Call(policy, handed.job(policy, upcoming), origin=handed.origin)


def forget(redirect: Redirect, request: requests.PreparedRequest) -> None:
    """``request`` has waited for ``redirect``, and is sent."""
    redirects = mark_of(request, Redirects)
    others = {} if redirects is None else redirects.others
    for thread, other in list(others.items()):
        if other is redirect:
            others.pop(thread, None)
    mark(request, Redirects(None, others))


class Challenged(Watching):
    """A request that was challenged: a copy of it, with credentials, goes on with its call, while
    hooks see the challenge."""

    def __init__(self, handed: HandedOut, request: requests.PreparedRequest) -> None:
        self.handed: HandedOut | None = handed
        self.request: Any = weakref.ref(request)
        self._thread = threading.get_ident()
        self._depth = 0  # hooks may send something by a session, which shows its answer to hooks

    @property
    def is_over(self) -> bool:  # type: ignore[override]
        """Who sends a copy now begins a call."""
        return self.handed is None

    @property
    def is_mine(self) -> bool:
        """Whether this thread was challenged."""
        return self._thread == threading.get_ident()

    def begins(self) -> None:
        """Hooks are about to see an answer."""
        self._depth += self.is_mine

    def ends(self) -> None:
        """They have seen it."""
        self._depth -= self.is_mine
        if self.is_mine and self._depth == 0:
            self.handed = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()


def hand_to_hooks(
    response: requests.Response, request: requests.PreparedRequest, call: Call, hooks: Any
) -> None:
    """What ``hooks``, which requests has in hand, copy from ``request`` goes on with ``call``."""
    challenged = Challenged(hand_out(call, response), request)
    # What follows a redirect of the copy shares the hooks, too.
    mark_besides(request.hooks, challenged)
    if hooks is not request.hooks:
        mark_besides(hooks, challenged)


def challenges(request: requests.PreparedRequest) -> list[Challenged]:
    """Those that ``request`` answers, by itself or as a copy; the latest first."""
    return [one for one in marks_of(request, Challenged) if one.is_mine and not one.is_over]
