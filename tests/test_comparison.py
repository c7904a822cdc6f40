"""What the documentation says of other clients: each does the same calls, and each row is looked
for."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import pytest
import requests
import urllib3

from polling_adapter import PollingPolicy, PollingSession
from polling_adapter.pending import accepted

from .pages import TOP
from .server import DONE, RESET, Reply, Server, again, poll

pytestmark = pytest.mark.slow

PAGE = (TOP / "docs" / "comparison.rst").read_text()

# What comes out of a call: a status, or an error's name.
Ask = Callable[[str], object]


def curl(*options: str) -> Ask:
    def ask(url: str) -> object:
        if shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        command = ["curl", "-sSL", *options, "-o", "-", "-w", "%{http_code}", "-d", "", url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout[-3:] if done.returncode == 0 else f"error {done.returncode}"

    return ask


def with_requests(url: str) -> object:
    return requests.post(url, timeout=30).status_code


def with_httpx(url: str) -> object:
    httpx = pytest.importorskip("httpx")
    with httpx.Client(follow_redirects=True) as client:
        return client.post(url).status_code


def with_urllib3(**retry: object) -> Ask:
    def ask(url: str) -> object:
        retries = urllib3.Retry(**retry) if retry else None  # type: ignore[arg-type]
        with urllib3.PoolManager(retries=retries) as pool:
            return pool.request("POST", url).status

    return ask


def with_azure_core(url: str) -> object:
    core = pytest.importorskip("azure.core")
    policies = pytest.importorskip("azure.core.pipeline.policies")
    rest = pytest.importorskip("azure.core.rest")
    used = [policies.RedirectPolicy(), policies.RetryPolicy()]
    with core.PipelineClient(url, policies=used) as client:
        return client.send_request(rest.HttpRequest("POST", url)).status_code


def with_tenacity(url: str) -> object:
    tenacity = pytest.importorskip("tenacity")
    again = tenacity.retry(
        retry=tenacity.retry_if_exception_type()
        | tenacity.retry_if_result(lambda response: not response.ok),
        wait=tenacity.wait_fixed(0.2),
        stop=tenacity.stop_after_attempt(5),
        reraise=True,
    )
    return again(requests.request)("POST", url).status_code


def with_ours(url: str) -> object:
    with PollingSession(policy=PollingPolicy(min_wait=0, pending=accepted)) as session:
        return session.post(url).status_code


CLIENTS: dict[str, Ask] = {
    "curl": curl(),
    "curl --retry": curl("--retry", "5"),
    "requests": with_requests,
    "httpx": with_httpx,
    "urllib3": with_urllib3(),
    "with Retry": with_urllib3(total=5, status_forcelist=[502], allowed_methods=None),
    "azure-core": with_azure_core,
    "tenacity": with_tenacity,
    "ours": with_ours,
}

PENDING = Reply(202, {"Location": "/work", "Retry-After": "1"})

# By the heading of each table
JOBS: dict[str, list[Reply]] = {
    "A job of a few seconds": [*3 * [poll("/work", "1")], DONE],
    "A long job": [*400 * [poll("/work", "0")], DONE],
    "A start that is refused": [again("1"), DONE],
    "A poll that fails": [poll("/work", "0"), Reply(502), DONE],
    "A start that gets no answer": [RESET, DONE],
    "A 202": [PENDING, PENDING, DONE],
}


class Row(NamedTuple):
    sent: str
    early: str
    ends: str


def tried(server: Server, ask: Ask, replies: list[Reply]) -> Row:
    server.script(*replies)
    try:
        ends = str(ask(server.url))
    except Exception as error:
        ends = type(error).__name__
    sent = Counter(seen.method for seen in server.seen)
    waited = [after.at - before.at for before, after in pairwise(server.seen)]
    asked = [float(reply.headers.get("Retry-After", 0)) for reply in replies]
    early = any(one < other for one, other in zip(waited, asked, strict=False))
    counted = ", ".join(f"{number} {method}" for method, number in sent.items())
    return Row(counted, "yes" if early else "no", ends)


def row_of(heading: str, client: str) -> list[str]:
    """The cells after the client's name; "early" is left out where nobody can be."""
    table = PAGE.partition(f"\n{heading}\n---")[2].partition("\n---")[0]
    found = re.search(rf"\* - (?:``)?{client}(?:``)?\n((?:     - .+\n)+)", table)
    assert found is not None
    return found[1].replace("     - ", "").splitlines()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("heading", JOBS)
def test_each_row_is_what_comes(server: Server, heading: str, client: str) -> None:
    row, told = tried(server, CLIENTS[client], JOBS[heading]), row_of(heading, client)
    assert told == ([*row] if len(told) == 3 else [row.sent, row.ends])
    assert len(told) == 3 or row.early == "no"


def test_a_pool_of_one_host_waits_before_a_redirect(server: Server) -> None:
    server.script(poll("/work", "1"), DONE)
    with urllib3.connection_from_url(server.url) as pool:
        assert pool.request("POST", "/").status == 200
    first, second = server.seen
    assert second.at - first.at >= 1
