"""Polls that are all due at once, against plain gets by as many threads."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import requests
from requests.adapters import HTTPAdapter

from polling_adapter import PollingPolicy, PollingSession, as_completed

from .measure import Row
from .server import serving

NOW = PollingPolicy(min_wait=0, jitter=0)


def polls_a_second(url: str, number: int, workers: int) -> float:
    with PollingSession(policy=NOW) as session:
        pollers = [session.begin("POST", f"{url}/work/0") for _ in range(number)]
        started = time.monotonic()
        for poller in as_completed(pollers, max_workers=workers):
            poller.result()
        return number / (time.monotonic() - started)


def polls_of_longer_jobs_a_second(url: str, number: int, workers: int) -> float:
    with PollingSession(policy=NOW) as session:
        pollers = [session.begin("GET", f"{url}/same/20?{n}") for n in range(number // 20)]
        started, before = time.monotonic(), len(pollers)
        for poller in as_completed(pollers, max_workers=workers):
            poller.result()
        polls = sum(poller.polls for poller in pollers)
        return (polls - before) / (time.monotonic() - started)


def gets_a_second(url: str, number: int, workers: int) -> float:
    with requests.Session() as stock, ThreadPoolExecutor(workers) as pool:
        stock.mount("http://", HTTPAdapter(pool_maxsize=workers))
        started = time.monotonic()
        for _ in pool.map(lambda _: stock.get(f"{url}/moving/0").text, range(number)):
            pass
        return number / (time.monotonic() - started)


def measure(quick: bool) -> list[Row]:
    number = 300 if quick else 5000
    found = []
    with serving() as url:
        for workers in (1, 2, 4, 8):
            plain = gets_a_second(url, number, workers)
            ours = polls_a_second(url, number, workers)
            longer = polls_of_longer_jobs_a_second(url, number, workers)
            found += [
                Row(f"polls a second, {workers} workers", ours, "1/s"),
                Row(f"polls of jobs of 20 polls a second, {workers} workers", longer, "1/s"),
                Row(f"plain gets a second, {workers} threads", plain, "1/s"),
                Row(f"polls / plain gets, {workers}", ours / plain, "x", ">= 1.8"),
                Row(
                    f"polls of jobs of 20 polls / plain gets, {workers}",
                    longer / plain,
                    "x",
                    ">= 1.8",
                ),
            ]
    return found
