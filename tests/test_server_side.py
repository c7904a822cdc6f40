"""The servers of the documentation, run as it says, against a session, an adapter and curl."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
import requests

from polling_adapter import PollingAdapter, PollingPolicy, PollingSession, Wait, as_completed

from .python_path import python_path
from .server import Reply, Seen, serving

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parent.parent / "docs"
KEPT = 3  # seconds, in place of an hour
WORK = 1.5  # seconds that a report takes

# What is run is the example, with another KEPT.
RUN = """
import runpy, sys
import {example}
{example}.KEPT = {kept}
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
COMMANDS = {
    "flask": ["flask", "--app", "flask_server", "run", "--port"],
    "fastapi": ["uvicorn", "fastapi_server:app", "--port"],
    "django": ["django", "runserver", "--noreload"],
}
REPORT = {"year": 2025, "total": 42}


class Site(NamedTuple):
    url: str
    log: Path

    @property
    def starts(self) -> int:
        return self.log.read_text().count("POST /reports")


@pytest.fixture(scope="module", params=COMMANDS)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    pytest.importorskip(request.param)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp(request.param) / "log"
    program = RUN.format(example=f"{request.param}_server", kept=KEPT)
    command = [sys.executable, "-c", program, *COMMANDS[request.param], str(port)]
    environ = {**os.environ, **python_path(DOCS / "examples"), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environ)
    try:
        wait_for(port, log)
        yield Site(f"http://127.0.0.1:{port}", log)
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int, log: Path) -> None:
    until = time.monotonic() + 30
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)


def asked(session: requests.Session, method: str, url: str) -> requests.Response:
    return session.request(method, url, allow_redirects=False, timeout=10)


def test_a_session_gets_the_result_or_the_failure(site: Site) -> None:
    waits: list[Wait] = []
    policy = PollingPolicy(jitter=0, on_wait=waits.append)
    with PollingSession(policy=policy) as session:
        start = f"{site.url}/reports"
        jobs = [session.begin("POST", start, params={"year": year}) for year in (2025, 2031)]
        done = {job.result().status_code: job.result() for job in as_completed(jobs)}
    assert done[200].json() == REPORT
    assert "there are no figures for 2031" in done[422].text
    assert {wait.response.status_code for wait in waits if wait.response is not None} == {303}


def test_the_program_of_the_page_prints_the_result(site: Site) -> None:
    program = (DOCS / "examples" / "ask_report.py").read_text()
    assert "http://127.0.0.1:5000" in program
    program = program.replace("http://127.0.0.1:5000", site.url)
    assert ast.literal_eval(run(sys.executable, "-c", program).stdout) == REPORT


def test_an_adapter_gets_the_result_through_a_proxy_that_takes_a_prefix_away(site: Site) -> None:
    def forwarded(seen: Seen) -> Reply:
        if not seen.path.startswith("/api/"):
            return Reply(404)
        answer = asked(upstream, seen.method, site.url + seen.path.removeprefix("/api"))
        passed = ("Location", "Retry-After", "Content-Type")
        headers = {name: answer.headers[name] for name in passed if name in answer.headers}
        return Reply(answer.status_code, headers, answer.content)

    with requests.Session() as upstream, serving() as proxy, requests.Session() as session:
        proxy.answer = forwarded
        session.mount("http://", PollingAdapter(policy=PollingPolicy(jitter=0)))
        assert session.post(f"{proxy.url}/api/reports?year=2025").json() == REPORT


def test_who_comes_early_is_told_when_to_come(site: Site) -> None:
    with requests.Session() as session:
        first = asked(session, "POST", f"{site.url}/reports?year=2025")
        assert (first.status_code, first.headers["Retry-After"]) == (303, "1")
        assert not urlsplit(first.headers["Location"]).netloc
        assert first.next is not None
        job = str(first.next.url)
        early = asked(session, "GET", job)
        assert (early.status_code, early.headers["Retry-After"]) == (429, "1")
        assert "ask again in 1 s" in early.text
        time.sleep(1)  # from the start, not from the refusal
        poll = asked(session, "GET", job)
        assert (poll.status_code, poll.headers["Retry-After"]) == (303, "1")
        assert poll.next is not None
        assert poll.next.url == job
        time.sleep(0.7)  # earlier than asked, but the result is there
        assert asked(session, "GET", job).json() == REPORT


def test_the_result_is_kept_for_a_while(site: Site) -> None:
    began = time.monotonic()
    with PollingSession(policy=PollingPolicy(jitter=0)) as session:
        job = session.post(f"{site.url}/reports?year=2025").url
        assert asked(session, "GET", job).json() == REPORT
        while (answer := asked(session, "GET", job)).status_code == 200:
            assert time.monotonic() < began + 30
            time.sleep(0.5)
            asked(session, "POST", f"{site.url}/reports?year=2025")  # each start tidies up
    assert answer.status_code == 404
    assert "no longer" in answer.text
    assert time.monotonic() > began + WORK + KEPT


def test_what_cannot_work_is_refused_at_the_start(site: Site) -> None:
    for query in ("", "?year=", "?year=next"):
        with requests.Session() as session:
            response = asked(session, "POST", f"{site.url}/reports{query}")
        assert response.status_code in (400, 422)
        assert "year" in response.text


def curl() -> str:
    """The curl of this machine, if it knows ``%header{}``."""
    found = shutil.which("curl")
    if found is None:
        pytest.skip("curl is not installed")
    version = subprocess.run(
        [found, "--version"], capture_output=True, text=True, check=True
    ).stdout
    if [int(part) for part in version.split()[1].split(".")[:2]] < [7, 84]:
        pytest.skip("curl is older than 7.84")
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_curl_that_follows_at_once_is_told_why_there_is_no_result(site: Site) -> None:
    output = run(curl(), "-sSL", "-d", "", f"{site.url}/reports?year=2025").stdout
    assert "not done yet: ask again in 1 s" in output


def test_curl_that_retries_a_post_begins_the_work_anew(site: Site) -> None:
    before = site.starts
    run(curl(), "-sL", "--retry", "1", "-d", "", f"{site.url}/reports?year=2025")
    assert site.starts - before == 2


def test_two_commands_of_curl_get_the_result(site: Site) -> None:
    curl()
    page = (DOCS / "server_side.rst").read_text()
    (block,) = re.findall(r"^\.\. code-block:: sh\n\n((?:    .*\n)+)", page, re.MULTILINE)
    before = site.starts
    ended = run("sh", "-c", textwrap.dedent(block).replace("https://example.org", site.url))
    assert json.loads(ended.stdout) == REPORT
    assert ended.returncode == 0
    assert site.starts - before == 1


def test_the_script_gets_the_result_or_the_failure(site: Site) -> None:
    curl()
    before = site.log.read_text().count(" 429")
    script = str(DOCS / "examples" / "poll.sh")
    with ThreadPoolExecutor(2) as pool:
        done, failed = pool.map(
            lambda year: run("sh", script, f"{site.url}/reports?year={year}"), (2025, 2031)
        )
    assert (json.loads(done.stdout), done.returncode) == (REPORT, 0)
    assert "there are no figures for 2031" in failed.stdout
    assert failed.returncode == 1
    assert site.log.read_text().count(" 429") == before


def test_the_page_says_how_they_are_run() -> None:
    for name, command in COMMANDS.items():
        example = (DOCS / "examples" / f"{name}_server.py").read_text()
        assert example.startswith('"""To run it: ')
        assert {*command} - {"--port", "--noreload", "django"} <= {*example.split('"')[3].split()}
