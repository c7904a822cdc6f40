"""CPU time of one poll, against one redirect of plain requests, and against other clients."""

from __future__ import annotations

import asyncio
import http.client
import os
from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import urlsplit

import aiohttp
import httpx
import requests
import tenacity
import urllib3
from httpx_retries import RetryTransport

from polling_adapter import PollingAdapter, PollingPolicy, PollingSession

from .measure import Row, cpu_of_each, rows
from .niquests_peer import niquests_peer
from .server import serving

NOW = PollingPolicy(min_wait=0, jitter=0)
STOCK = "plain requests, a redirect"


def mounted() -> requests.Session:
    session = requests.Session()
    session.mount("http://", PollingAdapter(policy=NOW))
    return session


def with_tenacity(url: str) -> Callable[[], object]:
    session = requests.Session()

    @tenacity.retry(
        retry=tenacity.retry_if_result(lambda response: response.status_code == 303),
        wait=tenacity.wait_none(),
        sleep=lambda _: None,
    )
    def ask() -> requests.Response:
        return session.get(url, allow_redirects=False)

    return ask


def with_http_client(url: str, polls: int) -> Callable[[], object]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)

    def ask() -> None:
        for _ in range(polls + 1):
            connection.request("GET", urlsplit(url).path, headers={"Accept": "*/*"})
            connection.getresponse().read()

    return ask


def with_aiohttp(url: str, polls: int) -> Callable[[], object]:
    async def ask() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, max_redirects=polls + 5) as response,
        ):
            await response.read()

    return lambda: asyncio.run(ask())


def measure(quick: bool) -> list[Row]:
    polls, rounds = (50, 3) if quick else (300, 15)
    goals = {
        "PollingSession, same address": "<= 0.40",
        "mounted adapter, same address": "<= 0.40",
    }
    with serving() as url, ExitStack() as peers:
        stock = requests.Session()
        stock.max_redirects = 10**6
        ours, adapter, cookies = PollingSession(policy=NOW), mounted(), PollingSession(policy=NOW)
        pool = urllib3.PoolManager()
        client, retrying = (
            httpx.Client(transport=transport, follow_redirects=True, max_redirects=10**6)
            for transport in (None, RetryTransport())
        )
        others: dict[str, Callable[[], object]] = {}
        if not quick:
            peer = peers.enter_context(niquests_peer())
            others[peer.name] = lambda: peer.get(f"{url}/redirect/{polls}")
        taken = cpu_of_each(
            {
                STOCK: lambda: stock.get(f"{url}/redirect/{polls}"),
                "PollingSession, same address": lambda: ours.get(f"{url}/same/{polls}"),
                "mounted adapter, same address": lambda: adapter.get(f"{url}/same/{polls}"),
                "PollingSession, new addresses": lambda: ours.get(f"{url}/moving/{polls}"),
                "mounted adapter, new addresses": lambda: adapter.get(f"{url}/moving/{polls}"),
                "PollingSession, with a cookie": lambda: cookies.get(f"{url}/cookie/{polls}"),
                "urllib3, by hand": lambda: [
                    pool.request("GET", f"{url}/same/{polls}", redirect=False)
                    for _ in range(polls + 1)
                ],
                "httpx": lambda: client.get(f"{url}/redirect/{polls}"),
                "httpx-retries": lambda: retrying.get(f"{url}/redirect/{polls}"),
                **others,
                "aiohttp": with_aiohttp(f"{url}/redirect/{polls}", polls),
                "a loop with tenacity": with_tenacity(f"{url}/same/{polls}"),
                "http.client, the floor": with_http_client(f"{url}/same/{polls}", polls),
            },
            per=polls,
            rounds=rounds,
        )
        for session in (stock, ours, adapter, cookies, client, retrying):
            session.close()
        pool.clear()
    # requests looks through all of them at every redirect
    environment = Row("environment variables", len(os.environ), "")
    return [*rows(taken, STOCK, "us", goals), environment]
