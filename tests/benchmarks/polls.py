"""CPU time of one poll, in each of its shapes, by each client that follows it."""

from __future__ import annotations

import asyncio
import http.client
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import httpx
import requests
import tenacity
import urllib3
from httpx_retries import RetryTransport
from requests.adapters import HTTPAdapter
from requests.cookies import extract_cookies_to_jar

from polling_adapter import PollingAdapter, PollingPolicy, PollingSession

from .measure import Row, cpu_of_each, rows
from .niquests_peer import niquests_peer
from .server import serving

Get = Callable[[str], object]

NOW = PollingPolicy(min_wait=0, jitter=0)

STOCK = "plain requests"
OURS = ("PollingSession", "mounted adapter")
SHAPES = {
    "same": "same address",
    "moving": "new addresses",
    "kept": "a cookie kept",
    "each": "a cookie set by each",
}
# Of httpx, in the same shape
GOALS = {"same": "<= 0.75", "moving": "<= 0.95", "kept": "<= 0.95", "each": "<= 1.00"}


def clients(polls: int, exits: ExitStack) -> dict[str, Get]:
    """Those that follow redirects by themselves, and keep cookies."""
    stock = exits.enter_context(requests.Session())
    stock.max_redirects = polls + 5
    ours = exits.enter_context(PollingSession(policy=NOW))
    found: dict[str, Get] = {STOCK: stock.get, OURS[0]: ours.get, OURS[1]: mounted(NOW, exits).get}
    for name, transport in (("httpx", None), ("httpx-retries", RetryTransport())):
        client = httpx.Client(transport=transport, follow_redirects=True, max_redirects=polls + 5)
        found[name] = exits.enter_context(client).get
    found["aiohttp"] = lambda url: asyncio.run(by_aiohttp(url, polls))
    return found


def mounted(policy: PollingPolicy, exits: ExitStack) -> requests.Session:
    session = exits.enter_context(requests.Session())
    session.mount("http://", PollingAdapter(policy=policy))
    return session


async def by_aiohttp(url: str, polls: int) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, max_redirects=polls + 5) as response,
    ):
        await response.read()


def by_hand() -> dict[str, Get]:
    """Loops of one's own."""
    pool = urllib3.PoolManager()

    def by_urllib3(url: str) -> None:
        while (answer := pool.request("GET", url, redirect=False)).status == 303:
            url = urljoin(url, answer.headers["Location"])

    def by_http_client(url: str) -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        path = urlsplit(url).path
        while True:
            connection.request("GET", path, headers={"Accept": "*/*"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 303:
                return connection.close()
            path = answer.headers["Location"]

    return {"urllib3, by hand": by_urllib3, "http.client, by hand": by_http_client}


class SessionWithoutProxies(requests.Session):
    """Does not look through the environment for them, as a call does it once for all its polls."""

    def rebuild_proxies(self, prepared_request: requests.PreparedRequest, proxies: Any) -> Any:
        return proxies or {}


def by_requests() -> Get:
    """What of requests no poll can do without, and nothing else: a request is sent by an adapter,
    its cookies are kept, and where the next one is another, it is prepared."""
    session, adapter = SessionWithoutProxies(), HTTPAdapter()

    def ask(url: str) -> None:
        request = session.prepare_request(requests.Request("GET", url))
        while (answer := adapter.send(request, timeout=60)).status_code == 303:
            _ = answer.content
            extract_cookies_to_jar(session.cookies, request, answer.raw)
            if session.cookies or urljoin(answer.url, answer.headers["Location"]) != answer.url:
                following = session.resolve_redirects(answer, request, yield_requests=True)
                request = next(following)  # type: ignore[assignment]

    return ask


def by_tenacity() -> Get:
    session = requests.Session()

    @tenacity.retry(
        retry=tenacity.retry_if_result(lambda response: response.status_code == 303),
        wait=tenacity.wait_none(),
        sleep=lambda _: None,
    )
    def ask(url: str) -> requests.Response:
        return session.get(url, allow_redirects=False)

    return ask


def cases(url: str, polls: int, quick: bool, exits: ExitStack) -> dict[str, Callable[[], object]]:
    """By name: the client, and the shape. Each shape has clients of its own, as they keep
    cookies."""
    peers = [] if quick else [exits.enter_context(niquests_peer())]
    found: dict[str, Callable[[], object]] = {}
    for kind, shape in SHAPES.items():
        asking = {**clients(polls, exits), **{peer.name: peer.get for peer in peers}}
        asking["the steps of requests"] = by_requests()
        if kind in ("same", "moving"):
            asking |= by_hand()
        if kind == "same":
            asking["a loop with tenacity"] = by_tenacity()
        for name, get in asking.items():
            found[f"{name}, {shape}"] = partial(get, f"{url}/{kind}/{polls}?{len(found)}")
    return found


def compared(taken: dict[str, list[float]]) -> list[Row]:
    """Of a redirect of plain requests, and of httpx, in the same shape."""
    found = []
    for kind, shape in SHAPES.items():
        ours = {name: times for name, times in taken.items() if name.endswith(f", {shape}")}
        goals = {f"{name}, {shape}": GOALS[kind] for name in OURS}
        found += rows(ours, f"{STOCK}, {shape}", "us")
        found += [row for row in rows(ours, f"httpx, {shape}", "us", goals) if row.unit == "x"]
    return found


@contextmanager
def environment(number: int) -> Iterator[None]:
    """So many variables: requests looks through all of them at each redirect."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update({f"VARIABLE_{n}": "a value" for n in range(number)})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def measure(quick: bool, variables: int = 40) -> list[Row]:
    polls, rounds = (20, 3) if quick else (200, 15)
    with serving() as url, ExitStack() as exits:
        asking = cases(url, polls, quick, exits)
        with environment(variables):
            taken = cpu_of_each(asking, per=polls, rounds=rounds)
    return compared(taken)
