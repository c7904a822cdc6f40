"""The same script for requests and for ours: what comes of it must be the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import requests

from ..server import Server

#: Earlier versions of requests put a redirect into its own history, and so into a cycle.
IN_ITS_OWN_HISTORY = "hist[1:]" in inspect.getsource(requests.Session.resolve_redirects)


def told(response: requests.Response) -> tuple[Any, ...]:
    return (
        response.request.method,
        response.request.url,
        response.status_code,
        response.url,
        dict(response.headers),
        response.content,
        []
        if IN_ITS_OWN_HISTORY
        else [
            (hop.status_code, hop.url, hop.content, len(hop.history)) for hop in response.history
        ],
        None if response.next is None else (response.next.method, response.next.url),
    )


def record(server: Server, call: Callable[[], requests.Response]) -> dict[str, Any]:
    """What a call returns or raises, and what the server sees of it."""
    connections = server.connections
    server.seen.clear()
    result: dict[str, Any] = {}
    try:
        with call() as response:
            result["response"] = told(response)
    except Exception as error:
        result["error"] = type(error)
        result["text"] = str(error).partition("0x")[0]
        found = getattr(error, "response", None)
        result["its response"] = None if found is None else told(found)
        asked = getattr(error, "request", None)
        result["its request"] = None if asked is None else asked.url
    result["seen"] = [(seen.method, seen.path, seen.body, seen.headers) for seen in server.seen]
    result["connections"] = server.connections - connections
    return result


def cookies(session: requests.Session) -> list[tuple[str, str | None, str]]:
    return sorted((cookie.name, cookie.value, cookie.path) for cookie in session.cookies)
