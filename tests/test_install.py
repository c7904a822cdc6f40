from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests

from polling_adapter import (
    PollingPolicy,
    PollingSession,
    TooManyPolls,
    install,
    installed,
    uninstall,
)

from .server import DONE, Server, again, poll

FAST = PollingPolicy(min_wait=0, jitter=0)
GENUINE = requests.Session


@pytest.fixture(autouse=True)
def _uninstalled() -> Iterator[None]:
    yield
    assert requests.Session is requests.sessions.Session is GENUINE


def test_every_way_to_ask_polls(server: Server) -> None:
    with installed(FAST):
        with requests.session() as one, requests.Session() as other:
            for get in (requests.get, one.get, other.get):
                server.script(again(), poll("/work"), poll("/work"), DONE)
                assert get(server.url).text == "done"
        server.script(poll("/work"), DONE)
        assert requests.post(server.url, data="x", timeout=5).text == "done"
    server.script(poll("/work"))
    with pytest.raises(requests.TooManyRedirects, match="30 redirects"):
        requests.get(server.url, timeout=5)


def test_installed_twice_and_uninstalled_twice() -> None:
    install(FAST)
    install(FAST.replace(max_polls=3))
    with requests.Session() as session:
        assert isinstance(session, PollingSession)
        assert session.policy.max_polls == 3
    uninstall()
    uninstall()
    install()
    assert requests.Session().policy == PollingPolicy()  # type: ignore[attr-defined]
    uninstall()


def test_contexts_within_each_other() -> None:
    with installed(FAST):
        with installed(FAST.replace(max_polls=3)):
            assert requests.Session().policy.max_polls == 3  # type: ignore[attr-defined]
            install(FAST.replace(max_polls=5))
            assert requests.Session().policy.max_polls == 5  # type: ignore[attr-defined]
            uninstall()
            assert requests.Session().policy.max_polls == 3  # type: ignore[attr-defined]
        assert requests.Session().policy == FAST  # type: ignore[attr-defined]


def test_an_error_in_a_context() -> None:
    with pytest.raises(ZeroDivisionError), installed(FAST):
        raise ZeroDivisionError


def test_a_session_keeps_the_policy_it_began_with(server: Server) -> None:
    with installed(FAST.replace(max_polls=1)):
        session = requests.Session()
    server.script(poll("/work"))
    with session, pytest.raises(TooManyPolls, match="max_polls=1"):
        session.get(server.url)


def test_sessions_that_exist_stay_as_they_are(server: Server) -> None:
    with requests.Session() as session, installed(FAST):
        server.script(poll("/work"))
        with pytest.raises(requests.TooManyRedirects, match="30 redirects"):
            session.get(server.url)


def test_sessions_that_exist_are_sessions_still() -> None:
    class Derived(requests.Session):
        pass

    with requests.Session() as before, Derived() as derived, installed():
        assert isinstance(before, requests.Session)
        assert isinstance(derived, requests.Session)
        assert issubclass(Derived, requests.Session)
        assert not isinstance(requests, requests.Session)
        with requests.Session() as after:
            assert isinstance(after, requests.Session)
            assert isinstance(after, PollingSession)


def test_P9_its_sessions_pickle() -> None:
    with installed(FAST):
        pickled = pickle.dumps(requests.Session())
    assert pickle.loads(pickled).policy == FAST


def test_threads_may_install_at_once() -> None:
    def use(number: int) -> bool:
        with installed(FAST.replace(max_polls=number)):
            return isinstance(requests.Session(), GENUINE)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(200)))


def test_contexts_that_end_in_the_order_they_began() -> None:
    """As those of two threads may."""
    first, second = installed(FAST.replace(max_polls=1)), installed(FAST.replace(max_polls=2))
    with ExitStack() as later:
        with ExitStack() as sooner:
            sooner.enter_context(first)
            later.enter_context(second)
        assert requests.Session().policy.max_polls == 2  # type: ignore[attr-defined]


def test_what_another_has_put_in_place_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Theirs(requests.Session):
        pass

    with monkeypatch.context() as patched:
        patched.setattr(requests, "Session", Theirs)
        for undertaking in (install, uninstall):
            with pytest.raises(RuntimeError, match=r"requests\.Session is .*Theirs"):
                undertaking()
        assert requests.Session is Theirs


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(TypeError, match="policy=5 is not accepted"):
        install(5)  # type: ignore[arg-type]
