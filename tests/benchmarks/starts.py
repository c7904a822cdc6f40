"""CPU time of a request that starts a work, and is not waited for."""

from __future__ import annotations

import requests

from polling_adapter import PollingPolicy, PollingSession

from .measure import Row, cpu_of_each, rows
from .server import serving

STOCK = "plain requests, post(allow_redirects=False)"


def measure(quick: bool) -> list[Row]:
    number, rounds = (20, 5) if quick else (100, 40)
    policy = PollingPolicy(min_wait=0, jitter=0)
    with serving() as url, requests.Session() as stock, PollingSession(policy=policy) as ours:
        start = f"{url}/work/1800"

        def post() -> None:
            for _ in range(number):
                stock.post(start, allow_redirects=False)

        def begin() -> None:
            for _ in range(number):
                ours.begin("POST", start)

        def submit() -> None:
            for poller in [ours.submit("POST", start) for _ in range(number)]:
                poller.poll()

        cases = {STOCK: post, "begin()": begin, "submit() and its start": submit}
        taken = cpu_of_each(cases, per=number, rounds=rounds)
    return rows(taken, STOCK, "us", dict.fromkeys(taken, "<= 1.25"))
