"""Time and memory of one call with ever more polls, each in a process of its own."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time

import requests

from polling_adapter import PollingAdapter, PollingPolicy, PollingSession

from .measure import Row, resident
from .server import serving

NOW = PollingPolicy(min_wait=0, jitter=0)


def one_call(url: str, way: str, polls: int) -> tuple[float, int]:
    """Microseconds of CPU for each poll, and bytes that the memory grew by."""
    session: requests.Session
    if way == "PollingSession":
        session = PollingSession(policy=NOW)
    else:
        session = requests.Session()
        session.mount("http://", PollingAdapter(policy=NOW))
    with session:
        session.get(f"{url}/moving/100")
        gc.collect()
        before, started = resident(), time.process_time()
        session.get(f"{url}/moving/{polls}")
        taken = time.process_time() - started
        gc.collect()
        return taken / polls * 1e6, resident() - before


def measure(quick: bool) -> list[Row]:
    found = []
    numbers = (100, 1000) if quick else (100, 1000, 10_000, 100_000)
    with serving() as url:
        for way in ("PollingSession", "mounted adapter"):
            for polls in numbers:
                done = subprocess.run(
                    [sys.executable, "-m", __name__, url, way, str(polls)],
                    capture_output=True,
                    check=True,
                )
                each, grown = json.loads(done.stdout)
                found.append(Row(f"{way}, {polls} polls, each", each, "us"))
                last = polls == numbers[-1]
                goal = "<= 1" if last else ""
                found.append(Row(f"{way}, {polls} polls, memory", grown / 1e6, "MB", goal))
    return found


if __name__ == "__main__":
    print(json.dumps(one_call(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
