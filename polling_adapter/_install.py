"""Polling for code that calls ``requests.get()`` and the like itself.

No class takes the place of another: ``requests.Session`` stays what it is, and its ``__init__``
mounts a :class:`PollingAdapter` where it has mounted a stock adapter.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests import Session  # by name: others may put a class in its place
from requests.adapters import HTTPAdapter

from ._call.choice import checked
from .adapter import PollingAdapter
from .policy import PollingPolicy

_genuine = Session.__init__

# Who wants polling installed, the latest last: install() under "install", each with its own object.
_wanted: dict[object, PollingPolicy] = {}

# The latest policy that is wanted. New sessions read it without the lock.
_policy: PollingPolicy | None = None

_lock = threading.RLock()  # a signal's handler may want what it interrupts
if sys.platform != "win32":  # a fork must not find it held by a thread that the child lacks
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def install(policy: PollingPolicy | None = None) -> None:
    """Make every new ``requests.Session`` poll, and so ``requests.get()`` and the like.

    A new session has a :class:`PollingAdapter` on http and https, of whichever class it is, unless
    that mounts adapters of its own. Sessions that exist already stay as they are. Installed again,
    another policy counts, for the sessions that are new then.

    What it gives up against a :class:`PollingSession` is what an adapter alone cannot do: the
    methods have no ``polling=``, and there is no ``begin()`` and ``resume()``; the first redirect
    of a call, and each poll that changes the origin or the method, counts against
    ``max_redirects``; ``response.elapsed`` has the waits of its hop in it, ``response.history``
    lacks the polls; nothing polls below what takes the place of all adapters, as requests-mock
    does; and who asks ``type(adapter) is HTTPAdapter``, as google-auth for client certificates,
    takes ours for an adapter that somebody has mounted.

    :param policy: the policy of the new sessions; default: ``PollingPolicy()``.
    :raises TypeError: ``policy`` is no :class:`PollingPolicy`.
    :raises RuntimeError: something else has taken the place of ``requests.Session.__init__``, or of
        the adapter that it mounts, ``requests.sessions.HTTPAdapter``.
    """
    _want("install", policy)


def uninstall() -> None:
    """Undo :func:`install`; nothing happens where nothing is installed.

    :raises RuntimeError: something else has taken the place of ``requests.Session.__init__``. New
        sessions do not poll all the same.
    """
    _forgo("install")


@contextmanager
def installed(policy: PollingPolicy | None = None) -> Iterator[None]:
    """:func:`install` while the ``with`` block lasts, in all threads.

    Of several that last at once, in each other or in other threads, the latest counts.

    :param policy: as for :func:`install`.
    :raises TypeError: as :func:`install`.
    :raises RuntimeError: as :func:`install`, and as :func:`uninstall` at the end.
    """
    me = object()
    _want(me, policy)
    try:
        yield
    finally:
        _forgo(me)


@functools.wraps(_genuine)
def _init(self: Session, *args: Any, **kwargs: Any) -> None:
    _genuine(self, *args, **kwargs)
    policy = _policy
    if policy is not None and _default_adapter() is HTTPAdapter:
        # As requests mounts its own, so that a class which overrides mount() sees ours, too.
        self.mount("https://", PollingAdapter(policy=policy))
        self.mount("http://", PollingAdapter(policy=policy))


def _default_adapter() -> object:
    """What ``Session.__init__`` makes its adapters of."""
    return vars(requests.sessions)["HTTPAdapter"]


def _want(who: object, policy: PollingPolicy | None) -> None:
    chosen = PollingPolicy() if policy is None else checked(policy)
    with _lock:
        _check("requests.Session.__init__", Session.__init__, _genuine, _init)
        _check("requests.sessions.HTTPAdapter", _default_adapter(), HTTPAdapter)
        _wanted.pop(who, None)
        _wanted[who] = chosen
        _place()


def _forgo(who: object) -> None:
    with _lock:
        _wanted.pop(who, None)
        _place()


def _place() -> None:
    global _policy
    _policy = next(reversed(_wanted.values()), None)
    _check("requests.Session.__init__", Session.__init__, _genuine, _init)
    init = _genuine if _policy is None else _init
    setattr(Session, "__init__", init)  # noqa: B010  (mypy knows it for a method)


def _check(name: str, found: object, *known: object) -> None:
    if found not in known:
        raise RuntimeError(
            f"{name} is {found!r}, which something else has put there: undo that first, "
            "or mount a PollingAdapter on the sessions that are to poll"
        )
