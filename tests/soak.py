"""Thousands of works on one session, while the server fails in every way: ``python -m tests.soak``.

It prints what was sent, what went wrong and what came of it, and fails where a result was lost or
came twice, a request came early, or a socket or a thread was left behind.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from polling_adapter import PollingAdapter, PollingPolicy, PollingSession, Wait
from polling_adapter import reference_server as reference
from polling_adapter.reference_server import ReferenceServer

# Of the requests, so many fail in each of the ways.
FAULTS = {"reset": 0.02, "502": 0.03, "429": 0.03, "503": 0.03, "dropped": 0.05}

NGINX = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    limit_req_zone $binary_remote_addr zone=all:1m rate=200r/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            limit_req zone=all burst=20 nodelay;
            limit_req_status 429;
            error_page 429 = @later;
            proxy_pass {upstream};
            proxy_redirect off;
        }}
        location @later {{ add_header Retry-After 1 always; return 429; }}
    }}
}}
"""


class Faulty(reference._Handler):
    """The reference server's handler, which fails now and then, and counts how."""

    faults: Counter[str] = Counter()
    requests = 0
    chances = FAULTS

    def handle_any(self) -> None:
        type(self).requests += 1
        fault = self.chosen()
        if fault is None:
            self.answer()
            return
        self.faults[fault] += 1
        if fault == "reset":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif fault == "dropped":  # after the answer, though it was to be kept alive
            self.answer()
            self.close_connection = True
        else:
            self._skip_body()
            later = {} if fault == "502" else {"Retry-After": "1"}
            self._send(reference._Reply(HTTPStatus(int(fault)), {"error": fault}, later))

    def answer(self) -> None:
        """As the reference server does; but whom a restart cuts off was not told when to come, and
        so is not early."""
        try:
            super().handle_any()
            self.wfile.flush()
        except OSError:
            work = self.server.works._works.get(self.path.rpartition("/")[2])
            if work is not None:
                work.due = 0.0
            raise

    # The request that begins a work is refused at the most: whether it is sent again after anything
    # else is for the caller to decide (P6).
    def chosen(self) -> str | None:
        for fault, chance in self.chances.items():
            if random.random() < chance:
                return fault if self.command == "GET" or fault in ("429", "503") else None
        return None

    do_GET = do_POST = handle_any


class Servers:
    """The reference server with its faults, which can be stopped and started again as it was."""

    def __init__(self) -> None:
        self.server = ReferenceServer()
        self.stops = 0
        self._start()

    @property
    def url(self) -> str:
        return self.server.url

    def restart(self) -> None:
        self.stop()
        self.stops += 1
        time.sleep(0.3)
        self.server = ReferenceServer(port=self.server.port, works=self.server.works)
        self._start()

    def stop(self) -> None:
        self.server.__exit__()

    def _start(self) -> None:
        self.server._http.RequestHandlerClass = Faulty
        self.server.__enter__()


@contextmanager
def nginx(upstream: str) -> Iterator[str]:
    """nginx in front of ``upstream``, which refuses what comes too fast."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(NGINX.format(folder=folder, port=port, upstream=upstream))
        process = subprocess.Popen(
            ["nginx", "-p", folder, "-e", f"{folder}/error.log", "-c", str(configuration)]  # noqa: S607
        )
        try:
            wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def sockets() -> int:
    """How many this process has open."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += os.readlink(descriptor).startswith("socket:")
    return count


def ask(session: requests.Session, url: str, results: Counter[str], lost: list[str]) -> None:
    duration = random.uniform(0.2, 2)
    while True:
        try:
            response = session.post(f"{url}/start_work", params={"duration": f"{duration:.2f}"})
            results[response.json()["work_id"]] += 1
        except requests.ConnectionError as error:
            if error.request is not None and error.request.method == "POST":
                Faulty.faults["start not answered"] += 1  # to repeat it is the caller's to decide
                continue
            lost.append(repr(error))
        except Exception as error:
            lost.append(repr(error))
        return


def soak(servers: Servers, url: str, *, works: int, threads: int, restarts: int) -> dict[str, Any]:
    """So many works, by so many threads on one session."""
    Faulty.faults = Counter()
    Faulty.requests = 0
    results: Counter[str] = Counter()
    lost: list[str] = []
    early = servers.server.nb_early_call
    stops = servers.stops
    before = sockets(), threading.active_count()
    started = time.monotonic()
    refused: list[int] = []

    def note(wait: Wait) -> None:
        if wait.response is not None and wait.response.status_code == 429:
            refused.append(1)

    policy = PollingPolicy(backoff_factor=0.2, poll_failures=20, total_timeout=100, on_wait=note)
    adapter = PollingAdapter(policy=policy, pool_maxsize=threads)
    with PollingSession(policy=policy) as session, ThreadPoolExecutor(threads) as pool:
        session.mount("http://", adapter)
        # A restart takes some polls with it, but no start: those come between the restarts.
        for batch in range(restarts + 1):
            size = works * (batch + 1) // (restarts + 1) - works * batch // (restarts + 1)
            asking = [pool.submit(ask, session, url, results, lost) for _ in range(size)]
            if batch < restarts:
                while sum(one.running() or not one.done() for one in asking) > threads // 2:
                    time.sleep(0.02)
                while any(not one.running() and not one.done() for one in asking):
                    time.sleep(0.02)
                time.sleep(0.2)
                servers.restart()
    seconds = time.monotonic() - started
    left = left_behind(before)
    return {
        "works": works,
        "threads": threads,
        "requests": Faulty.requests,
        "restarts": servers.stops - stops,
        "429 seen": len(refused),
        **{f"fault {name}": times for name, times in sorted(Faulty.faults.items())},
        "results": len(results),
        "lost": len(lost),
        "doubled": sum(times - 1 for times in results.values()),
        "early": servers.server.nb_early_call - early,
        "sockets left": left[0],
        "threads left": left[1],
        "seconds": round(seconds, 1),
        "errors": sorted(set(lost))[:5],
    }


def left_behind(before: tuple[int, int]) -> tuple[int, int]:
    """Sockets and threads that are more than before; the server's have a moment to end."""
    # urllib3 2 closes the connections of a pool when nothing refers to it any more, and an error of
    # a connection refers to it in a circle, with stock requests too.
    gc.collect()
    until = time.monotonic() + 10
    while True:
        left = sockets() - before[0], threading.active_count() - before[1]
        if max(left) <= 0 or time.monotonic() > until:
            return left
        time.sleep(0.1)


def failed(name: str, figures: dict[str, Any]) -> bool:
    """Print the figures; whether one of them is not what it must be."""
    print(f"{name}:")
    for what, figure in figures.items():
        if figure != []:
            print(f"  {what:<14} {figure}")
    nothing = ("lost", "doubled", "early", "sockets left", "threads left")
    return figures["results"] != figures["works"] or any(figures[what] > 0 for what in nothing)


def absent(figures: dict[str, Any], *names: str) -> bool:
    """Whether something that was to happen did not: the figures would then prove nothing."""
    missing = [name for name in names if not figures.get(name)]
    if missing:
        print(f"  never happened: {', '.join(missing)}")
    return bool(missing)


def main() -> int:
    logging.getLogger("polling_adapter").setLevel(logging.ERROR)  # failed polls are the point here
    servers = Servers()
    try:
        figures = soak(servers, servers.url, works=3000, threads=200, restarts=3)
        bad = failed("faults and restarts", figures)
        bad |= absent(figures, "429 seen", "restarts", *(f"fault {name}" for name in FAULTS))
        if shutil.which("nginx") is None:
            print("nginx is not installed: nothing was refused by a real rate limit")
            return bad or "CI" in os.environ
        Faulty.chances = {}
        with nginx(servers.url) as url:
            figures = soak(servers, url, works=600, threads=200, restarts=0)
            bad |= failed("behind the rate limit of nginx", figures)
            bad |= absent(figures, "429 seen")
    finally:
        servers.stop()
    return bad


if __name__ == "__main__":
    sys.exit(main())
