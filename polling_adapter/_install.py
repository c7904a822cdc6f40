"""Polling for code that calls ``requests.get()`` and the like itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from .policy import PollingPolicy, checked
from .session import PollingSession

_genuine = requests.Session
_lock = threading.Lock()

# Who wants polling installed, the latest last: install() under "install", each with its own object.
_wanted: dict[object, PollingPolicy] = {}


class _LikeSession(type):
    """Sessions that exist already, and classes derived before, are still those of requests."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _genuine)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _genuine)


class InstalledSession(PollingSession, metaclass=_LikeSession):
    """What ``requests.Session`` is while polling is installed."""

    def __init__(self, policy: PollingPolicy | None = None) -> None:
        super().__init__(policy=type(self).policy if policy is None else policy)


def install(policy: PollingPolicy | None = None) -> None:
    """Make every new ``requests.Session`` poll, and so ``requests.get()`` and the like.

    Sessions that exist already stay as they are, and so does what was imported by name before
    (``from requests import Session``) or derived from it. Installed again, another policy counts.

    :param policy: the policy of the new sessions; default: ``PollingPolicy()``.
    :raises TypeError: ``policy`` is no :class:`PollingPolicy`.
    :raises RuntimeError: something else has taken the place of ``requests.Session``.
    """
    _want("install", policy)


def uninstall() -> None:
    """Undo :func:`install`; nothing happens where nothing is installed.

    :raises RuntimeError: something else has taken the place of ``requests.Session``.
    """
    _forgo("install")


@contextmanager
def installed(policy: PollingPolicy | None = None) -> Iterator[None]:
    """:func:`install` while the ``with`` block lasts, in all threads.

    Of several that last at once, in each other or in other threads, the latest counts.

    :param policy: as for :func:`install`.
    """
    me = object()
    _want(me, policy)
    try:
        yield
    finally:
        _forgo(me)


def _want(who: object, policy: PollingPolicy | None) -> None:
    chosen = PollingPolicy() if policy is None else checked(policy)
    with _lock:
        _check()
        _wanted.pop(who, None)
        _wanted[who] = chosen
        _place()


def _forgo(who: object) -> None:
    with _lock:
        _wanted.pop(who, None)
        _check()
        _place()


def _check() -> None:
    for module in (requests, requests.sessions):
        found = module.Session
        if found not in (_genuine, InstalledSession):
            raise RuntimeError(
                f"{module.__name__}.Session is {found.__qualname__} of {found.__module__}: "
                "undo that first, or make a class of PollingMixin and it"
            )


def _place() -> None:
    session = _genuine
    if _wanted:
        session = InstalledSession
        session.policy = next(reversed(_wanted.values()))
    for module in (requests, requests.sessions):
        setattr(module, "Session", session)  # noqa: B010  (mypy knows it for a class)
