"""Many jobs pending at once: what they cost while they wait, and how soon they are polled."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
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


def at_rest(url: str, number: int) -> list[Row]:
    """What ``number`` jobs take that are due in a minute, nobody's before."""
    with PollingSession(policy=NOW) as session:
        for _ in range(200):
            session.begin("POST", f"{url}/work/60")
        gc.collect()
        before = resident()
        pollers = [session.begin("POST", f"{url}/work/60") for _ in range(number)]
        gc.collect()
        each = (resident() - before) / number
        others = sockets() - 1, threading.active_count()
        completed = as_completed(pollers, max_workers=WORKERS)
        threading.Timer(3.5, pollers[0].cancel).start()
        waiting = threading.Thread(target=lambda: next(completed, None), daemon=True)
        waiting.start()
        time.sleep(0.5)
        started = time.process_time()
        time.sleep(2)
        idle = (time.process_time() - started) / 2 * 100
        # the timer and the thread that waits are the measurement's, not the library's
        threads = threading.active_count() - others[1] - 2 + 1
        found = [
            Row(f"{number} jobs, memory of each", each, "bytes", "<= 2048"),
            Row(f"{number} jobs, threads", threads, "", f"<= {WORKERS + 1}"),
            Row(f"{number} jobs, sockets", sockets() - others[0], "", f"<= {WORKERS}"),
            Row(f"{number} jobs, CPU while idle", idle, "%", "<= 1"),
        ]
        for poller in pollers:
            poller.cancel()
    return found


def all_due(url: str, number: int, peers: bool) -> list[Row]:
    """All jobs are due: polls a second, against plain gets by as many threads."""
    with PollingSession(policy=NOW) as session:
        pollers = [session.begin("POST", f"{url}/work/0") for _ in range(number)]
        cpu, started = time.process_time(), time.monotonic()
        for poller in as_completed(pollers, max_workers=WORKERS):
            poller.result()
        rate = number / (time.monotonic() - started)
        each = (time.process_time() - cpu) / number * 1e6
    found = [Row(f"{number} jobs all due, CPU of each poll", each, "us")]
    if not peers:
        return found
    with requests.Session() as stock, ThreadPoolExecutor(WORKERS) as pool:
        stock.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=WORKERS))
        started = time.monotonic()
        for _ in pool.map(lambda _: stock.get(f"{url}/moving/0").text, range(number)):
            pass
        plain = number / (time.monotonic() - started)
    return [
        *found,
        Row(f"{number} jobs all due, polls a second", rate, "1/s"),
        Row(f"plain session.get(), {WORKERS} threads", plain, "1/s"),
        Row("polls / plain gets", rate / plain, "x", ">= 1"),
    ]


def spread(url: str, number: int, seconds: float) -> list[Row]:
    """Jobs that are due one after the other: how late each is, and the whole against ideal."""
    with PollingSession(policy=NOW) as session:
        started = time.monotonic()
        head = number / 500  # to begin them takes time, which the first must allow for
        pollers, due = [], {}
        for n in range(number):
            at = started + head + seconds * n / number
            wait = max(0.0, at - time.monotonic())
            poller = session.begin("POST", f"{url}/work/{wait:.3f}")
            due[poller] = time.monotonic() + poller.wait_seconds
            pollers.append(poller)
        last = max(due.values())
        late = [
            time.monotonic() - due[poller] for poller in as_completed(pollers, max_workers=WORKERS)
        ]
        beyond = time.monotonic() - last
    return [
        Row(
            f"{number} jobs in {seconds:g} s, late, p99",
            percentile(late, 0.99) * 1000,
            "ms",
            "<= 250",
        ),
        Row(f"{number} jobs in {seconds:g} s, beyond the ideal end", beyond, "s"),
    ]


def thread_each(url: str, number: int) -> list[Row]:
    """The same with a thread for each job, and with requests-futures."""
    found = []
    for name in ("a thread for each", "requests-futures"):
        gc.collect()
        before = resident()
        with PollingSession(policy=NOW) as session:
            session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=number))
            pool = ThreadPoolExecutor(number)
            futures = FuturesSession(executor=pool, session=session)
            post = session.post if name == "a thread for each" else None
            pending = [
                futures.post(f"{url}/work/5")
                if post is None
                else pool.submit(post, f"{url}/work/5")
                for _ in range(number)
            ]
            time.sleep(3)
            found += [
                Row(
                    f"{name}, {number} jobs, memory of each",
                    (resident() - before) / number,
                    "bytes",
                ),
                Row(f"{name}, {number} jobs, threads", threading.active_count(), ""),
            ]
            for one in pending:
                one.result()
            pool.shutdown()
    return found


def measure(quick: bool) -> list[Row]:
    number = 300 if quick else 10_000
    with serving() as url:
        # in a process of its own, which has no memory left over from before
        command = [sys.executable, "-m", __name__, url, str(number)]
        done = subprocess.run(command, capture_output=True, check=True)
        found = [Row(*row) for row in json.loads(done.stdout)]
        for smaller in () if quick else (100, 1000):
            found += all_due(url, smaller, peers=False)
        found += all_due(url, number, peers=True)
        found += spread(url, number, 1 if quick else 20)
        if not quick:
            found += thread_each(url, 500)
    return found


if __name__ == "__main__":
    print(json.dumps(at_rest(sys.argv[1], int(sys.argv[2]))))
