"""Sessions across processes, and interrupted ones: nothing is shared, nothing is left."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from polling_adapter import PollingPolicy, PollingSession, install, installed, uninstall

from .conftest import Open, both_ways
from .server import DONE, Reply, Seen, Server, poll
from .soak import sockets
from .wire.in_time import ctrl_c, on_main

pytestmark = pytest.mark.slow

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


def works(seen: Seen) -> Reply:
    """Each path is done after two polls."""
    stage, _, name = seen.path.strip("/").partition("-")
    after = {"start": "first", "first": "second", "second": "last"}.get(stage)
    return Reply(200, {}, name.encode()) if after is None else poll(f"/{after}-{name}", "0.05")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # the server has threads
def test_P9_a_session_is_used_before_and_after_a_fork(server: Server, connect: Open) -> None:
    server.answer = works
    session = connect(FAST)
    assert session.post(f"{server.url}/start-before").text == "before"
    child = os.fork()
    if child == 0:
        try:
            session.close()  # as with requests: the connections are the parent's
            text = session.post(f"{server.url}/start-child").text
            os._exit(0 if text == "child" else 1)
        finally:
            os._exit(2)
    for n in range(5):
        assert session.post(f"{server.url}/start-parent{n}").text == f"parent{n}"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def ask(session: requests.Session, url: str) -> str:
    with session:
        return session.post(url).text


def test_P9_a_session_goes_to_another_process(server: Server, connect: Open) -> None:
    server.answer = works
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(ask, (connect(FAST), f"{server.url}/start-there")) == "there"
    assert len(server.seen) == 4


def test_P9_sessions_pickle_in_both_directions() -> None:
    with requests.Session() as stock:
        pickled = pickle.dumps(stock)
    with installed(FAST):
        # What was pickled as requests.Session is what stands there now; its adapters are its own.
        assert isinstance(pickle.loads(pickled), requests.Session)
        theirs = pickle.dumps(requests.Session())
    assert pickle.loads(theirs).get_adapter("http://x").policy == FAST
    install(FAST)
    uninstall()
    assert type(pickle.loads(pickled)) is requests.Session
    with PollingSession(policy=FAST) as session:
        again: Any = pickle.loads(pickle.dumps(session))
        assert (type(again), again.policy) == (PollingSession, FAST)


@on_main
def test_an_interrupted_wait_leaves_nothing_behind(server: Server, connect: Open) -> None:
    asked = threading.Event()

    def waits(_: Seen) -> Reply:
        asked.set()
        return poll("/work", "30")

    server.answer = works
    session = connect(FAST)
    assert session.post(f"{server.url}/start-warm").text == "warm"
    gc.collect()  # what other tests have left
    before = sockets(), threading.active_count()
    server.answer = waits
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), ctrl_c(0.3, once=asked):
        session.post(f"{server.url}/start")
    assert time.monotonic() - started < 10
    gc.collect()
    assert (sockets(), threading.active_count()) == before
    server.answer = works
    assert session.post(f"{server.url}/start-after").text == "after"
    assert server.connections == 1


@both_ways
def test_a_waiting_call_keeps_no_lock_and_no_connection(server: Server, connect: Open) -> None:
    session = connect(FAST)
    adapter = session.get_adapter(server.url)
    assert isinstance(adapter, requests.adapters.HTTPAdapter)
    adapter.init_poolmanager(1, 1, block=True)
    replies = {"/start": poll("/wait", "1"), "/wait": DONE, "/other": DONE}
    server.answer = lambda seen: replies[seen.path]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(session.post, f"{server.url}/start")
        while not server.seen:
            time.sleep(0.01)
        time.sleep(0.1)
        assert session.get(f"{server.url}/other", timeout=10).text == "done"
        assert not waiting.done()
        assert waiting.result().text == "done"
