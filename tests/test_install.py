from __future__ import annotations

import abc
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import requests
import requests_mock
import responses
from requests import Session  # by name, before polling is installed
from requests.adapters import HTTPAdapter

from polling_adapter import (
    PollingAdapter,
    PollingMixin,
    PollingPolicy,
    PollingSession,
    TooManyPolls,
    install,
    installed,
    uninstall,
)

from .fake_clock import FakeClock
from .server import DONE, Server, again, poll

FAST = PollingPolicy(min_wait=0, jitter=0)
GENUINE = vars(requests.Session).copy()


class Before(requests.Session):
    """Derived before polling is installed."""


class ByName(requests.Session):
    def __init__(self) -> None:
        requests.Session.__init__(self)


@pytest.fixture(autouse=True)
def _uninstalled() -> Iterator[None]:
    yield
    assert requests.Session is requests.sessions.Session is Session
    assert vars(requests.Session) == GENUINE


def policy_of(session: requests.Session) -> PollingPolicy | None:
    found = [session.get_adapter(f"{scheme}://example.org") for scheme in ("http", "https")]
    policies = [one.policy if isinstance(one, PollingAdapter) else None for one in found]
    assert policies[0] is policies[1]
    return policies[0]


def max_polls() -> int | None:
    with requests.Session() as session:
        policy = policy_of(session)
    assert policy is not None
    return policy.max_polls


def test_every_way_to_ask_polls(server: Server) -> None:
    with installed(FAST):
        with requests.session() as one, requests.Session() as other:
            for get in (requests.get, one.get, other.get):
                server.script(again(), *[poll("/work")] * 50, DONE)
                assert get(server.url).text == "done"
        server.script(poll("/work"), DONE)
        assert requests.post(server.url, data="x", timeout=5).text == "done"
    server.script(poll("/work"))
    with pytest.raises(requests.TooManyRedirects, match="30 redirects"):
        requests.get(server.url, timeout=5)


@pytest.mark.parametrize("kind", [Session, Before, ByName])
def test_what_was_imported_or_derived_before_polls(
    server: Server, kind: type[requests.Session]
) -> None:
    with installed(FAST), kind() as session:
        server.script(poll("/work"), poll("/work"), DONE)
        assert session.get(server.url).text == "done"
        assert policy_of(session) == FAST


def test_no_class_stands_in_for_another() -> None:
    """A class is an instance of and derived from what Python says, and mixes with any other."""
    with requests.Session() as before, installed(FAST):
        assert requests.Session is requests.sessions.Session is Session
        assert (
            vars(requests.sessions)["HTTPAdapter"] is requests.adapters.HTTPAdapter is HTTPAdapter
        )

        class After(requests.Session, abc.ABC):
            pass

        class Sibling(requests.Session):
            pass

        assert type(requests.Session()) is Session
        assert not isinstance(before, After)
        assert not isinstance(requests.Session(), After)
        assert not issubclass(Sibling, After)
        assert not issubclass(Before, After)
        assert policy_of(After()) == FAST
    assert policy_of(After()) is None


def test_sessions_that_poll_keep_their_policy(server: Server) -> None:
    """P4: below them, what is installed only sends."""

    class Mixed(PollingMixin, requests.Session):
        pass

    own = FAST.replace(max_polls=40)
    with installed(FAST.replace(max_polls=2)):
        for session in (PollingSession(policy=own), Mixed(policy=own)):
            server.script(poll("/work"))
            server.seen.clear()
            with session, pytest.raises(TooManyPolls, match="max_polls=40"):
                session.get(server.url)
            assert len(server.seen) == 41


def test_adapters_of_their_own_stay() -> None:
    class Theirs(requests.Session):
        def __init__(self) -> None:
            super().__init__()
            self.mount("https://", HTTPAdapter(pool_maxsize=50))

    with installed(FAST), Theirs() as session:
        assert type(session.get_adapter("https://example.org")) is HTTPAdapter
        assert type(session.get_adapter("http://example.org")) is PollingAdapter


def test_a_class_sees_what_is_mounted() -> None:
    class Prefixed(requests.Session):
        def mount(self, prefix: str | bytes, adapter: requests.adapters.BaseAdapter) -> None:
            super().mount(f"{prefix!s}example.org", adapter)

    with installed(FAST), Prefixed() as session:
        assert [*session.adapters] == ["https://example.org", "http://example.org"]
        assert policy_of(session) == FAST


def test_what_a_session_gives_up_that_has_only_the_adapter(server: Server) -> None:
    server.script(*[poll("/work", "0.01")] * 40, DONE)
    with installed(FAST), requests.Session() as session:
        with pytest.raises(TypeError, match="polling"):
            session.get(server.url, polling=FAST)  # type: ignore[call-arg]
        session.max_redirects = 0
        with pytest.raises(requests.TooManyRedirects, match="0 redirects"):
            session.get(server.url)
        session.max_redirects = 1
        response = session.get(server.url)
    assert response.text == "done"
    assert response.elapsed.total_seconds() >= 0.3
    assert len(response.history) == 1


def test_installed_twice_and_uninstalled_twice() -> None:
    install(FAST)
    install(FAST.replace(max_polls=3))
    assert max_polls() == 3
    uninstall()
    uninstall()
    install()
    assert policy_of(requests.Session()) == PollingPolicy()
    uninstall()


def test_contexts_within_each_other() -> None:
    with installed(FAST):
        with installed(FAST.replace(max_polls=3)):
            assert max_polls() == 3
            install(FAST.replace(max_polls=5))
            assert max_polls() == 5
            uninstall()
            assert max_polls() == 3
        assert max_polls() is None


def test_of_several_the_latest_counts() -> None:
    """Also where what is installed again is what was there before the context."""
    install(FAST.replace(max_polls=1))
    with installed(FAST.replace(max_polls=2)):
        assert max_polls() == 2
        install(FAST.replace(max_polls=3))
        assert max_polls() == 3
    assert max_polls() == 3
    uninstall()


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


def ask(session: requests.Session, url: str) -> tuple[str, PollingPolicy | None]:
    with session:
        return session.get(url).text, policy_of(session)


def test_P9_its_sessions_pickle(server: Server) -> None:
    """They poll here, after all is over, and in a process that has installed nothing."""
    with installed(FAST):
        pickled = pickle.dumps(requests.Session())
        assert policy_of(pickle.loads(pickled)) == FAST
    session = pickle.loads(pickled)
    assert type(session) is requests.Session
    server.script(poll("/work"), poll("/work"), DONE)
    assert ask(session, server.url) == ("done", FAST)
    server.script(poll("/work"), poll("/work"), DONE)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(ask, (session, server.url)) == ("done", FAST)


def test_a_stock_session_stays_stock_through_a_pickle() -> None:
    with requests.Session() as session:
        pickled = pickle.dumps(session)
    with installed(FAST):
        assert policy_of(pickle.loads(pickled)) is None


def test_threads_may_install_at_once() -> None:
    def use(number: int) -> bool:
        with installed(FAST.replace(max_polls=number)):
            return max_polls() is not None

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(200)))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads
def test_P9_a_fork_finds_no_lock_held() -> None:
    over = threading.Event()

    def busy() -> None:
        while not over.is_set():
            with installed(FAST):
                pass

    def child() -> None:
        signal.alarm(10)  # which ends it
        try:
            install(FAST)
            os._exit(0)
        finally:
            os._exit(1)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            pool.submit(busy)
        try:
            for _ in range(50):
                pid = os.fork()
                if pid == 0:
                    child()
                assert os.waitpid(pid, 0)[1] == 0
        finally:
            over.set()


def test_contexts_that_end_in_the_order_they_began() -> None:
    """As those of two threads may."""
    first, second = installed(FAST.replace(max_polls=1)), installed(FAST.replace(max_polls=2))
    with ExitStack() as later:
        with ExitStack() as sooner:
            sooner.enter_context(first)
            later.enter_context(second)
        assert max_polls() == 2


def test_adapters_that_another_has_put_in_place_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Theirs(HTTPAdapter):
        pass

    def is_theirs() -> bool:
        return type(requests.Session().get_adapter("http://example.org")) is Theirs

    with monkeypatch.context() as patched:
        patched.setattr(requests.sessions, "HTTPAdapter", Theirs)
        with pytest.raises(RuntimeError, match=r"sessions\.HTTPAdapter is .*Theirs.*undo that"):
            install(FAST)
        assert is_theirs()
    with installed(FAST):
        with monkeypatch.context() as patched:
            patched.setattr(requests.sessions, "HTTPAdapter", Theirs)
            assert is_theirs()
        assert policy_of(requests.Session()) == FAST


def test_an_init_that_another_has_put_in_place_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrap(patched: pytest.MonkeyPatch) -> Any:
        wrapped = requests.Session.__init__

        def theirs(self: requests.Session) -> None:
            wrapped(self)

        patched.setattr(requests.Session, "__init__", theirs)
        return theirs

    with monkeypatch.context() as patched:
        theirs = wrap(patched)
        for undertaking in (install, uninstall):
            with pytest.raises(RuntimeError, match=r"__init__ is .*theirs.*undo that"):
                undertaking()
        assert requests.Session.__init__ is theirs
    install(FAST)
    with monkeypatch.context() as patched:
        wrap(patched)
        assert policy_of(requests.Session()) == FAST
        with pytest.raises(RuntimeError, match="undo that"):
            uninstall()
        assert policy_of(requests.Session()) is None
    uninstall()


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(TypeError, match="policy=5 is not accepted"):
        install(5)  # type: ignore[arg-type]


@responses.activate
def test_responses(clock: FakeClock) -> None:
    responses.post("http://example.org/start", status=303, headers=dict(poll("/work", "3").headers))
    responses.get("http://example.org/work", json={"result": 42})
    with installed(PollingPolicy(jitter=0, clock=clock)):
        assert requests.post("http://example.org/start", timeout=5).json() == {"result": 42}
    assert clock.slept == [3]


def test_requests_mock(clock: FakeClock) -> None:
    """It takes the place of all adapters: what it answers is followed as requests does it."""
    with installed(PollingPolicy(clock=clock)), requests_mock.Mocker() as mocker:
        moved = dict(poll("/work", "3").headers)
        mocker.post("http://example.org/start", status_code=303, headers=moved)
        mocker.get("http://example.org/work", json={"result": 42})
        assert requests.post("http://example.org/start", timeout=5).json() == {"result": 42}
    assert clock.slept == []


@pytest.mark.parametrize("first", [True, False])
def test_requests_cache_may_take_the_place_of_the_class(server: Server, first: bool) -> None:
    requests_cache = pytest.importorskip("requests_cache")
    contexts = [installed(FAST), requests_cache.enabled(backend="memory")]
    server.script(*[poll("/work")] * 40, DONE)
    with ExitStack() as stack:
        for context in contexts if first else reversed(contexts):
            stack.enter_context(context)
        for _ in range(2):
            assert requests.get(f"{server.url}/work", timeout=5).text == "done"
    assert len(server.seen) == 41
