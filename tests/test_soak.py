"""A little of the soak, so that it stays as good as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import soak


@pytest.fixture
def servers() -> Iterator[soak.Servers]:
    servers = soak.Servers()
    yield servers
    servers.stop()


def test_P6_nothing_is_lost(servers: soak.Servers) -> None:
    figures = soak.soak(servers, servers.url, works=40, threads=20, restarts=1)
    assert not soak.failed("smoke", figures), figures
    assert figures["results"] == 40
    assert figures["restarts"] == 1


def test_what_is_not_as_it_must_be_fails() -> None:
    good = dict.fromkeys(["lost", "doubled", "early", "sockets left", "threads left"], 0)
    good.update(works=3, results=3)
    assert not soak.failed("good", good)
    for name in ("lost", "doubled", "early", "sockets left", "threads left"):
        assert soak.failed("bad", {**good, name: 1})
    assert soak.failed("bad", {**good, "results": 2})


def test_what_never_happened_fails() -> None:
    assert not soak.absent({"429 seen": 1}, "429 seen")
    assert soak.absent({"429 seen": 0}, "429 seen")
    assert soak.absent({}, "fault reset")
