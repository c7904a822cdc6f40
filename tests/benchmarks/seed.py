"""Works of 1 to 20 s, 200 at once: how many requests they take, and how late the result is."""

from __future__ import annotations

import logging
import math
import random
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests
import tenacity

from polling_adapter import PollingPolicy, PollingSession
from polling_adapter.reference_server import ReferenceServer

from .measure import Row, percentile


def ideal_requests(duration: float) -> int:
    """The post, the first poll after half of the time in whole seconds, then one a second."""
    return 2 + max(0, math.ceil(duration - int(duration / 2)))


def ours(url: str) -> int:
    counted = []
    with PollingSession(policy=PollingPolicy(jitter=0)) as session:
        session.hooks["response"].append(lambda *_, **__: counted.append(1))
        session.post(url).json()
    return len(counted)


def by_hand(url: str, wait: tenacity.wait.wait_base) -> int:
    """Someone's loop that does not look at Retry-After."""
    counted = []
    with requests.Session() as session:
        first = session.post(url, allow_redirects=False)
        work = requests.compat.urljoin(url, first.headers["Location"])

        @tenacity.retry(
            retry=tenacity.retry_if_result(lambda response: response.status_code != 200), wait=wait
        )
        def ask() -> requests.Response:
            counted.append(1)
            return session.get(work, allow_redirects=False)

        time.sleep(1)
        ask()
    return len(counted) + 1


def measure(quick: bool) -> list[Row]:
    works, longest = (10, 2) if quick else (200, 20)
    ways: dict[str, Callable[[str], int]] = {
        "PollingSession": ours,
        "a loop of 1 s": lambda url: by_hand(url, tenacity.wait_fixed(1)),
        "exponential backoff": lambda url: by_hand(
            url, tenacity.wait_random_exponential(multiplier=1, max=10)
        ),
    }
    logging.getLogger("polling_adapter.reference_server").setLevel(logging.ERROR)
    durations = [random.uniform(1, longest) for _ in range(works)]
    ideal = sum(map(ideal_requests, durations))
    found = [Row("ideal, requests", ideal, "")]
    for name, way in ways.items():
        # The early polls of the others are refused, which is what their makers see.
        with ReferenceServer() as server, ThreadPoolExecutor(works) as pool:

            def one(duration: float) -> tuple[int, float]:
                started = time.monotonic()
                sent = way(f"{server.url}/start_work?duration={duration}")  # noqa: B023
                first = int(duration / 2)
                due = first + max(0, math.ceil(duration - first))  # when the last poll is asked for
                return sent, time.monotonic() - started - due

            results = list(pool.map(one, durations))
            late = [seconds for _, seconds in results]
            mine = name == "PollingSession"
            total = sum(sent for sent, _ in results)
            found += [
                Row(f"{name}, requests", total, "", f"<= {ideal}" if mine else ""),
                Row(f"{name}, early", server.nb_early_call, "", "<= 0" if mine else ""),
                Row(f"{name}, late, median", statistics.median(late), "s"),
                Row(f"{name}, late, p99", percentile(late, 0.99), "s"),
            ]
    return found
