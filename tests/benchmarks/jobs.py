"""Many jobs pending at once: what they cost while they wait, and how soon they are polled."""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from requests.adapters import HTTPAdapter
from requests_futures.sessions import FuturesSession

from polling_adapter import PollingPolicy, PollingSession, as_completed

from .measure import Row, percentile, resident
from .server import serving

WORKERS = 8
NOW = PollingPolicy(min_wait=0, jitter=0)


def sockets() -> int:
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            links.append(os.readlink(descriptor))
        except OSError:  # it was the one that lists them
            continue
    return sum(link.startswith("socket:") for link in links)


def at_rest(url: str, number: int, cookies: int = 0) -> list[Row]:
    """What ``number`` jobs take that are due in half an hour, nobody's before."""
    what = f"{number:,} jobs" + (f", {cookies} cookie" if cookies else "")
    with PollingSession(policy=NOW) as session:
        for n in range(cookies):
            session.cookies.set(f"cookie{n}", "a value")
        for _ in range(200):
            session.begin("POST", f"{url}/work/1800")
        gc.collect()
        before = resident()
        pollers = [session.begin("POST", f"{url}/work/1800") for _ in range(number)]
        gc.collect()
        each = (resident() - before) / number
        others = sockets() - 1, threading.active_count()
        completed = as_completed(pollers, max_workers=WORKERS)
        settled = 0.5 + number / 20_000  # it takes some time to draw them
        threading.Timer(settled + 3, pollers[0].cancel).start()
        waiting = threading.Thread(target=lambda: next(completed, None), daemon=True)
        waiting.start()
        time.sleep(settled)
        started = time.process_time()
        time.sleep(2)
        idle = (time.process_time() - started) / 2 * 100
        # the timer and the thread that waits are the measurement's, not the library's
        threads = threading.active_count() - others[1] - 2 + 1
        found = [
            Row(f"{what}, memory of each", each, "bytes", "<= 1536" if cookies else "<= 1331"),
            Row(f"{what}, memory of the process", resident() / 1e6, "MB", "<= 200"),
            Row(f"{what}, threads", threads, "", f"<= {WORKERS + 1}"),
            Row(f"{what}, sockets", sockets() - others[0], "", f"<= {WORKERS}"),
            Row(f"{what}, CPU while idle", idle, "%", "<= 1"),
        ]
        for poller in pollers:
            poller.cancel()
    return found


def all_due(url: str, number: int) -> list[Row]:
    """All jobs are due: what each poll costs, however many they are."""
    with PollingSession(policy=NOW) as session:
        pollers = [session.begin("POST", f"{url}/work/0") for _ in range(number)]
        cpu = time.process_time()
        for poller in as_completed(pollers, max_workers=WORKERS):
            poller.result()
        each = (time.process_time() - cpu) / number * 1e6
    return [Row(f"{number:,} jobs all due, CPU of each poll", each, "us")]


def spread(url: str, number: int) -> list[Row]:
    """Jobs that are due one after the other, over a minute, or as fast as the machine sends them
    while it does little else: how late each is, and whether any is early."""
    with PollingSession(policy=NOW) as session:
        started = time.monotonic()
        for _ in range(200):
            session.begin("POST", f"{url}/work/0").result()
        each = (time.monotonic() - started) / 400
        head = number * each * 1.5 + 5  # to begin them takes time, which the first must allow for
        seconds = max(60.0, number * each * 2.5)
        started = time.monotonic()
        pollers, due = [], {}
        for n in range(number):
            at = started + head + seconds * n / number
            wait = max(0.0, at - time.monotonic())
            poller = session.begin("POST", f"{url}/work/{wait:.3f}")
            due[poller] = time.monotonic() + poller.wait_seconds
            pollers.append(poller)
        cpu = time.process_time()
        late = [
            time.monotonic() - due[poller] for poller in as_completed(pollers, max_workers=WORKERS)
        ]
        cost = (time.process_time() - cpu) / number * 1e6
    what = f"{number:,} jobs in {seconds:.0f} s"
    return [
        Row(f"{what}, early", sum(one < 0 for one in late), "", "<= 0"),
        Row(f"{what}, late, median", statistics.median(late) * 1000, "ms"),
        Row(f"{what}, late, p99", percentile(late, 0.99) * 1000, "ms", "<= 1000"),
        Row(f"{what}, CPU of each poll", cost, "us"),
    ]


def thread_each(url: str, number: int, by_futures: int) -> list[Row]:
    """The same with a thread for each job, or with requests-futures."""
    name = "requests-futures" if by_futures else "a thread for each"
    gc.collect()
    before = resident()
    with PollingSession(policy=NOW) as session, ThreadPoolExecutor(number) as pool:
        session.mount("http://", HTTPAdapter(pool_maxsize=number))
        futures = FuturesSession(executor=pool, session=session)
        post = futures.post if by_futures else partial(pool.submit, session.post)
        pending = [post(f"{url}/work/5") for _ in range(number)]
        time.sleep(3)
        each = (resident() - before) / number
        threads = threading.active_count()
        for one in pending:
            one.result()
    return [
        Row(f"{name}, {number} jobs, memory of each", each, "bytes"),
        Row(f"{name}, {number} jobs, threads", threads, ""),
    ]


def alone(measured: Callable[..., list[Row]], url: str, *numbers: int) -> list[Row]:
    """What is ``measured`` in a process of its own, which has no memory left over."""
    command = [sys.executable, "-m", __name__, measured.__name__, url, *map(str, numbers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return [Row(*row) for row in json.loads(done.stdout)]


def measure(quick: bool) -> list[Row]:
    number, most = (300, 1000) if quick else (10_000, 100_000)
    with serving() as url:
        found = [*alone(at_rest, url, number), *alone(at_rest, url, number, 1)]
        for smaller in () if quick else (100, 1000):
            found += all_due(url, smaller)
        found += all_due(url, number)
        if not quick:
            found += [*alone(at_rest, url, most), *spread(url, most)]
            for by_futures in (0, 1):
                found += alone(thread_each, url, 500, by_futures)
    return found


if __name__ == "__main__":
    one = {"at_rest": at_rest, "thread_each": thread_each}[sys.argv[1]]
    print(json.dumps(one(sys.argv[2], *map(int, sys.argv[3:]))))
