"""Jobs while their server is killed and gone for a while: ``python -m tests.outage``.

The server is a process of its own. What it must know of a work is in the work's address, so that
one that was killed by ``kill -9`` goes on where it was; what it has seen is in a file.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import requests

from polling_adapter import PollingAdapter, PollingSession, as_completed
from polling_adapter._cutting_server import CuttingServer

from .soak import wait_for

# Between two polls of a work, in seconds
RETRY_AFTER = 1


class Handler(BaseHTTPRequestHandler):
    """``/start/{name}/{seconds}`` leads to ``/work/{name}/{end}/{due}``, until the end."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    log: Path

    def handle_any(self) -> None:
        now, (_, what, name, *numbers) = time.time(), self.path.split("/")
        if what == "start":
            end = now + float(numbers[0])
            self.note(f"start {name}")
        else:
            end, due = map(float, numbers)
            if now < due:
                self.note(f"early {name} {due - now:.3f}")
        if now >= end:
            self.answer(200, name, {})
        else:
            due = now + RETRY_AFTER
            headers = {"Location": f"/work/{name}/{end}/{due}", "Retry-After": str(RETRY_AFTER)}
            self.answer(303, "", headers)

    do_GET = do_POST = handle_any

    def answer(self, status: int, body: str, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for header, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def note(self, line: str) -> None:
        with self.log.open("a") as file:
            file.write(f"{line}\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


def serve(port: int, log: str) -> None:
    Handler.log = Path(log)
    CuttingServer(("127.0.0.1", port), Handler).serve_forever()


class Server:
    """In a process of its own, which can be killed and started again."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.port = 0
        self.start()

    def start(self) -> None:
        if not self.port:
            with CuttingServer(("127.0.0.1", 0), Handler) as free:
                self.port = free.server_port
        command = [sys.executable, "-m", "tests.outage", str(self.port), str(self.log)]
        self.process = subprocess.Popen(command)
        wait_for(self.port)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def outage(seconds: float, works: int, threads: int) -> dict[str, Any]:
    """``works`` of which half are waited for by threads, half by a loop, while the server is gone
    for ``seconds``."""
    results: Counter[str] = Counter()
    errors: list[str] = []
    names = itertools.count()
    with contextlib.ExitStack() as stack:
        log = Path(stack.enter_context(tempfile.TemporaryDirectory()), "log")
        log.touch()
        server = stack.enter_context(Server(log))
        session = stack.enter_context(PollingSession())
        session.mount("http://", PollingAdapter(pool_maxsize=threads))

        def url() -> str:
            name = next(names)
            return f"http://127.0.0.1:{server.port}/start/{name}/{4 + name % 3}"

        def wait(_: int) -> None:
            try:
                results[session.post(url()).text] += 1
            except requests.RequestException as error:
                errors.append(repr(error))

        def loop() -> None:
            jobs = [session.begin("POST", url()) for _ in range(works // 2)]
            for job in as_completed(jobs):
                error = job.exception()
                if error is None:
                    results[job.result().text] += 1
                else:
                    errors.append(repr(error))

        looping = threading.Thread(target=loop)
        with ThreadPoolExecutor(threads) as pool:
            began = time.monotonic()
            waiting = [pool.submit(wait, n) for n in range(works - works // 2)]
            looping.start()
            while sum(line.startswith("start") for line in log.read_text().splitlines()) < works:
                if time.monotonic() - began > 30:
                    raise SystemExit("not all works were started")
                time.sleep(0.05)
            time.sleep(0.5)
            server.kill()
            time.sleep(seconds)
            server.start()
            for one in waiting:
                one.result()
        looping.join()
        seen = Counter(line.split()[0] for line in log.read_text().splitlines())
        started = Counter(line for line in log.read_text().splitlines() if line[0] == "s")
    return {
        "works": works,
        "outage": seconds,
        "started": seen["start"],
        "started twice": sum(times - 1 for times in started.values()),
        "early": seen["early"],
        "results": len(results),
        "lost": works - len(results),
        "doubled": sum(times - 1 for times in results.values()),
        "seconds": round(time.monotonic() - began, 1),
        "errors": sorted(set(errors))[:5],
    }


def failed(figures: dict[str, Any]) -> bool:
    """Print the figures; whether one of them is not what it must be."""
    for what, figure in figures.items():
        print(f"  {what:<14} {figure}")
    nothing = ("lost", "doubled", "early", "started twice")
    return figures["started"] != figures["works"] or any(figures[what] != 0 for what in nothing)


def main() -> int:
    print("killed, and gone for 20 s:")
    return failed(outage(20, works=400, threads=64))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(int(sys.argv[1]), sys.argv[2])
    sys.exit(main())
