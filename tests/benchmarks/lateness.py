"""How late a poll is: from the moment it was due until the request is sent, at the client."""

from __future__ import annotations

import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from polling_adapter import PollingPolicy, PollingSession

from .measure import Row, percentile
from .server import serving


class Punctual(HTTPAdapter):
    """Notes when each request is sent, against when the answer before it asked for it."""

    def __init__(self) -> None:
        super().__init__()
        self.late: list[float] = []

    def ask(self, url: str, wait: float) -> None:
        due: list[float] = []

        class Noting(HTTPAdapter):
            def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
                sent = time.monotonic()
                if due:
                    late.append(sent - due.pop())
                response = super().send(request, **kwargs)
                due.append(time.monotonic() + wait)
                return response

        late = self.late
        with PollingSession(policy=PollingPolicy(min_wait=0, jitter=0)) as session:
            session.mount("http://", Noting())
            session.post(f"{url}/work/{wait:.3f}")


def measure(quick: bool) -> list[Row]:
    number = 40 if quick else 1000
    late: list[float] = []

    def ask(_: int) -> None:
        wait = round(random.uniform(0.05, 0.5), 3)
        punctual = Punctual()
        punctual.ask(url, wait)
        late.extend(punctual.late)

    with serving() as url, ThreadPoolExecutor(10) as pool:
        list(pool.map(ask, range(number)))
    return [
        Row("waits", len(late), ""),
        # The answer came a little before it was noted, so that little is allowed for.
        Row("early by more than 0.1 ms", sum(seconds < -0.0001 for seconds in late), "", "<= 0"),
        Row("median", statistics.median(late) * 1000, "ms", "<= 2"),
        Row("p99", percentile(late, 0.99) * 1000, "ms", "<= 20"),
        Row("maximum", max(late) * 1000, "ms"),
    ]
