"""CPU time of a request that does not poll."""

from __future__ import annotations

import functools

import requests

from polling_adapter import PollingAdapter, PollingSession

from .measure import Row, cpu_of_each, rows
from .server import serving


def measure(quick: bool) -> list[Row]:
    number, rounds = (20, 5) if quick else (100, 120)
    found = []
    with (
        serving() as url,
        requests.Session() as stock,
        PollingSession() as ours,
        requests.Session() as adapter,
    ):
        adapter.mount("http://", PollingAdapter())
        sessions = {"plain requests": stock, "PollingSession": ours, "mounted adapter": adapter}
        # total_timeout gives every request a timeout, which plain requests has only if asked to
        for timeout, suffix in ((None, ""), (30.0, ", timeout=30")):
            cases = {
                f"{name}{suffix}": functools.partial(asking, url, number, session, timeout)
                for name, session in sessions.items()
            }
            taken = cpu_of_each(cases, per=number, rounds=rounds)
            goals = dict.fromkeys(taken, "<= 1.03")
            found += rows(taken, f"plain requests{suffix}", "us", goals)
    return found


def asking(url: str, number: int, session: requests.Session, timeout: float | None) -> None:
    for _ in range(number):
        session.get(f"{url}/moving/0", timeout=timeout)
