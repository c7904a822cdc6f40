"""Threads share sessions, requests and pollers; a fork finds no lock that is held (P9)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from polling_adapter import PollingPolicy, PollingSession, as_completed

from ..conftest import Open, both_ways
from ..python_path import python_path
from ..server import DONE, Reply, Seen, Server, poll
from .in_time import STRIDE, Hangs, in_time
from .test_any_step import OURS, REPLIES, URL, mixed_in, mounted, over_ours

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.fixture
def busy(server: Server) -> Iterator[Server]:
    """Each start is polled a few times, each in a moment; /slow in a while."""
    left: dict[str, int] = {}
    lock = threading.Lock()

    def answer(seen: Seen) -> Reply:
        if seen.path.startswith("/slow"):
            return poll(seen.path, "0.3")
        if seen.path.startswith("/handed"):
            return poll("/handed/in", "0.001") if seen.method == "POST" else DONE
        with lock:
            left[seen.path] = left.get(seen.path, 4) - 1
            return poll(seen.path, "0.001") if left[seen.path] else DONE

    server.answer = answer
    yield server
    server.answer = lambda _: DONE


# The parent: threads that poll all the time. It forks again and again, and each child makes calls
# that must end; SIGALRM ends one that hangs.
FORKING = """
import os, signal, sys, threading, time
import requests
from polling_adapter import *

url, way, forks = sys.argv[1], sys.argv[2], int(sys.argv[3])
FAST = PollingPolicy(min_wait=0, jitter=0, total_timeout=None)

def open_session():
    if way == "mounted":
        session = requests.Session()
        session.mount("http://", PollingAdapter(policy=FAST))
        return session
    return PollingSession(policy=FAST)

stop = threading.Event()
shared = open_session()
polling = PollingSession(policy=FAST)
request = requests.Request("POST", url + "/handed/out").prepare()

def blocking():
    with open_session() as session:
        while not stop.is_set():
            session.post(f"{url}/{time.monotonic_ns()}")

def handing_out():
    with open_session() as session:
        while not stop.is_set():
            session.send(session.send(request, allow_redirects=False).next, allow_redirects=False)

def collecting():
    with PollingSession(policy=FAST) as session:
        while not stop.is_set():
            pollers = [session.begin("POST", f"{url}/{time.monotonic_ns()}") for _ in range(3)]
            list(as_completed(pollers, max_workers=2))

waited_for = polling.begin("POST", url + "/slow")
def waiting():
    try:
        waited_for.result()
    except Exception:
        pass

def in_child(n):
    signal.alarm(8)
    with open_session() as session:
        assert session.post(f"{url}/child/{n}").text == "done"
        response = session.send(request, allow_redirects=False)
        assert session.send(response.next, allow_redirects=False).text == "done"
    with PollingSession(policy=FAST) as session:
        pollers = [session.begin("POST", f"{url}/child/{n}/{m}") for m in range(2)]
        assert len(list(as_completed(pollers))) == 2
        token = session.begin("POST", f"{url}/child/{n}/token").continuation_token()
        assert session.resume(token).result().text == "done"
    polling.close()  # its connections are the parent's
    assert waited_for.wait_seconds >= 0
    waited_for.continuation_token()
    waited_for.cancel()

tasks = blocking, handing_out, collecting, waiting
threads = [threading.Thread(target=task, daemon=True) for task in tasks]
for thread in threads:
    thread.start()
for n in range(forks):
    time.sleep(0.003 * (n % 5))
    child = os.fork()
    if child == 0:
        try:
            in_child(n)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        print(f"child {n} ended with {status}", file=sys.stderr)
        os._exit(1)
stop.set()
for thread in threads[:3]:
    thread.join(8)
    assert not thread.is_alive()
print("all children ended", flush=True)
os._exit(0)
"""

ROOT = Path(__file__).parents[2]


@forks
@pytest.mark.parametrize("way", ["session", "mounted"])
def test_P9_a_fork_finds_no_lock_held(busy: Server, way: str) -> None:
    """While other threads poll, wait, hand out and collect."""
    done = subprocess.run(
        [sys.executable, "-c", FORKING, busy.url, way, "12"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **python_path(ROOT)},
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("all children ended", 0), done.stderr


RESULT_IN_A_CHILD = """
import os, signal, sys, threading, time
from polling_adapter import *

session = PollingSession(policy=PollingPolicy(min_wait=0, jitter=0))
poller = session.begin("POST", sys.argv[1])
waiting = {
    "result": poller.result,
    "as_completed": lambda: list(as_completed([poller])),
    "nobody": lambda: None,
}[sys.argv[2]]
thread = threading.Thread(target=waiting, daemon=True)
thread.start()
time.sleep(0.1)
child = os.fork()
if child == 0:
    signal.alarm(8)
    session.close()  # its connections are the parent's
    os._exit(0 if poller.result(timeout=5).text == "done" else 1)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
thread.join(8)
print(status, poller.result(timeout=5).text)
"""


@forks
@pytest.mark.parametrize("who", ["result", "as_completed", "nobody"])
def test_P9_a_child_goes_on_with_a_poller_that_is_waited_for(server: Server, who: str) -> None:
    server.answer = lambda seen: poll("/w", "0.3") if seen.method == "POST" else DONE
    done = subprocess.run(
        [sys.executable, "-c", RESULT_IN_A_CHILD, server.url, who],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **python_path(ROOT)},
        check=False,
    )
    assert done.stdout.strip() == "0 done", done.stderr
    posted = server.seen[0].at
    assert server.asked.count("POST /") == 1
    assert all(seen.at - posted >= 0.3 for seen in server.seen[1:])


# What a fork could find held, another thread finds held too: at each line of ours one thread stands
# still, and others must get through.


def call(session: Any) -> None:
    session.post(URL)


def begin(session: Any) -> None:
    session.begin("POST", URL).result()


def collect(session: Any) -> None:
    list(as_completed([session.begin("POST", URL)], max_workers=1))


def cancel(session: Any) -> None:
    session.begin("POST", URL).cancel()


def token(session: Any) -> None:
    session.resume(session.begin("POST", URL).continuation_token()).poll()


def hand_out(session: Any) -> None:
    session.send(session.post(URL, allow_redirects=False).next)


class StandsStill:
    """A thread that stops at each line of ours that it has not seen, until it may go on."""

    def __init__(self, task: Callable[[Any], None], session: Any, seen: set[Any]) -> None:
        self.task, self.session, self.seen = task, session, seen
        self.at = ""
        self.here, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.free = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        sys.settrace(self.trace)
        try:
            self.task(self.session)
        finally:
            sys.settrace(None)

    def trace(self, frame: Any, event: str, arg: Any) -> Any:
        return self.line if frame.f_code.co_filename.startswith(OURS) else None

    def line(self, frame: Any, event: str, arg: Any) -> Any:
        place = frame.f_code, frame.f_lineno
        if place not in self.seen and not self.free:
            self.seen.add(place)
            if len(self.seen) % STRIDE:
                return self.line
            self.at = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            self.here.release()
            self.go.acquire(timeout=10)
        return self.line

    def places(self) -> Iterator[str]:
        try:
            while self.thread.is_alive():
                if self.here.acquire(timeout=0.01):
                    yield self.at
                    self.go.release()
        finally:
            self.free = True
            self.go.release()
            self.thread.join(10)


@pytest.mark.parametrize(
    ("opened", "tasks"),
    [
        (mixed_in, [call, hand_out]),
        (over_ours, [call, hand_out]),
        (mounted, [call, hand_out]),
        (over_ours, [begin, collect]),
        (over_ours, [cancel, token]),
    ],
)
def test_P9_nothing_is_held_that_others_need(
    opened: Callable[..., Any], tasks: list[Callable[[Any], None]]
) -> None:
    script = [(303, "60"), (200, "")]

    def others() -> None:
        for task in (begin, collect, hand_out):
            task(over_ours(*script)[0])
        hand_out(mounted(*script)[0])

    seen: set[Any] = set()
    for task in tasks:
        session, _ = opened(*REPLIES)
        for place in StandsStill(task, session, seen).places():
            try:
                in_time(others, 3)
            except Hangs as error:
                raise AssertionError(f"held at {place}, in {task.__name__}()") from error
    assert len(seen) > 20


# threads


@both_ways
def test_P9_threads_that_send_one_request_at_once(busy: Server, connect: Open) -> None:
    """Each is a call of its own, with a count of its own."""
    session = connect(FAST.replace(max_polls=20))
    request = requests.Request("POST", f"{busy.url}/start").prepare()
    replies: dict[int, int] = {}
    lock = threading.Lock()

    def answer(seen: Seen) -> Reply:
        with lock:
            if seen.path == "/start":
                replies[len(replies)] = 10
                return poll(f"/w/{len(replies) - 1}", "0.001")
            number = int(seen.path.rpartition("/")[2])
            replies[number] -= 1
            return poll(seen.path, "0.001") if replies[number] else DONE

    busy.answer = answer
    with ThreadPoolExecutor(8) as pool:
        assert {one.text for one in pool.map(lambda _: session.send(request), range(16))} == {
            "done"
        }
    assert set(replies.values()) == {0}


def test_P9_threads_that_share_a_session_and_its_pollers(busy: Server) -> None:
    with PollingSession(policy=FAST) as session, ThreadPoolExecutor(8) as pool:
        pollers = [session.begin("POST", f"{busy.url}/{n}") for n in range(8)]
        asked: list[Callable[[], Any]] = [poller.result for poller in pollers]
        asked += [lambda: len(list(as_completed(pollers)))] * 3
        asked += [poller.poll for poller in pollers]
        for future in [pool.submit(one) for one in asked]:
            future.result(10)
    assert all(poller.done() for poller in pollers)
    assert len(busy.seen) == 8 * 4


def test_P9_policies_of_calls_at_once_do_not_mix(server: Server) -> None:
    """``polling=`` is one call's, whatever other threads do with the session."""
    server.answer = lambda _: poll("/w", "0.001")

    def polls(limit: int) -> int:
        with pytest.raises(requests.TooManyRedirects) as caught:
            session.get(server.url, polling=FAST.replace(max_polls=limit))
        found: Any = caught.value
        return int(found.polls)

    limits = [1, 7, 3, 12] * 5
    with PollingSession(policy=FAST) as session, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(polls, limits)) == limits


@both_ways
def test_P9_a_call_in_a_hook_of_another_thread(busy: Server, connect: Open) -> None:
    session = connect(FAST)
    inner: list[str] = []

    def hook(response: requests.Response, **_: Any) -> None:
        if response.status_code == 303:
            with ThreadPoolExecutor(1) as pool:
                url = f"{busy.url}/inner/{len(inner)}"
                inner.append(pool.submit(session.post, url).result(10).text)

    began = time.monotonic()
    assert session.post(f"{busy.url}/outer", hooks={"response": hook}).text == "done"
    assert inner == ["done"] * 3
    assert time.monotonic() - began < 5
