from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
import requests
from hypothesis import settings

from polling_adapter import PollingAdapter, PollingMixin, PollingPolicy, PollingSession

from .fake_clock import FakeClock
from .server import Server, serving

# A machine that is paused fails no example.
settings.register_profile("on any machine", deadline=None)
settings.load_profile("on any machine")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    """Another origin."""
    with serving() as server:
        yield server


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def has_ipv6() -> bool:
    """Whether this machine has a loopback address of IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


Open = Callable[[PollingPolicy], requests.Session]


def polling_session(policy: PollingPolicy) -> requests.Session:
    return PollingSession(policy=policy)


def mounted_adapter(policy: PollingPolicy) -> requests.Session:
    session = requests.Session()
    session.mount("http://", PollingAdapter(policy=policy))
    return session


class MixedSession(PollingMixin, requests.Session):
    """Over adapters that know nothing of polling."""


def mixed_in(policy: PollingPolicy) -> requests.Session:
    return MixedSession(policy=policy)


# Where real seconds go by: the mixin over adapters of others adds nothing there.
both_ways = pytest.mark.parametrize("connect", [polling_session, mounted_adapter], indirect=True)


@pytest.fixture(params=[polling_session, mounted_adapter, mixed_in])
def connect(request: pytest.FixtureRequest) -> Iterator[Open]:
    """All ways in: a session with the given policy."""
    opened = []

    def connect(policy: PollingPolicy) -> requests.Session:
        opened.append(request.param(policy))
        return opened[-1]

    yield connect
    for session in opened:
        session.close()
