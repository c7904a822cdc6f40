"""Every way in which a caller can have a job done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from polling_adapter import PollingPolicy, PollingSession, as_completed, installed

from ..conftest import Open, mixed_in, mounted_adapter, polling_session

Way = Callable[..., requests.Response]


def in_session(connect: Open) -> Way:
    def ask(policy: PollingPolicy, method: str, url: str, **kwargs: Any) -> requests.Response:
        with connect(policy) as session:
            return session.request(method, url, **kwargs)

    return ask


def begun(policy: PollingPolicy, method: str, url: str, **kwargs: Any) -> requests.Response:
    with PollingSession(policy=policy) as session:
        return session.begin(method, url, **kwargs).result()


def submitted(policy: PollingPolicy, method: str, url: str, **kwargs: Any) -> requests.Response:
    with PollingSession(policy=policy) as session:
        jobs = [session.submit(method, url, **kwargs)]
        return next(as_completed(jobs)).result()


def by_tokens(policy: PollingPolicy, method: str, url: str, **kwargs: Any) -> requests.Response:
    """Another session for each request."""
    with PollingSession(policy=policy) as session:
        poller = session.begin(method, url, **kwargs)
    kwargs = {
        name: kwargs[name] for name in kwargs if name in ("auth", "headers", "hooks", "stream")
    }
    while not poller.done():
        with PollingSession(policy=policy) as session:
            poller = session.resume(poller.continuation_token(), **kwargs)
            policy.clock.sleep(poller.wait_seconds)
            poller.poll()
    return poller.result()


def for_one_call(policy: PollingPolicy, method: str, url: str, **kwargs: Any) -> requests.Response:
    with PollingSession() as session:
        return session.request(method, url, polling=policy, **kwargs)


def where_installed(
    policy: PollingPolicy, method: str, url: str, **kwargs: Any
) -> requests.Response:
    with installed(policy), requests.Session() as session:
        return session.request(method, url, **kwargs)


WAYS: dict[str, Way] = {
    "session": in_session(polling_session),
    "mounted": in_session(mounted_adapter),
    "mixed": in_session(mixed_in),
    "begin": begun,
    "submit": submitted,
    "tokens": by_tokens,
    "one call": for_one_call,
    "installed": where_installed,
}
