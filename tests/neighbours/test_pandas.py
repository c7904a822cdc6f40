"""The recipe of the documentation for tables."""

from __future__ import annotations

import json
import runpy

import pandas

from polling_adapter import PollingPolicy, PollingSession

from ..server import RESET, Reply, Seen, Server, poll
from ..test_docs import TOP

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


def answer(seen: Seen) -> Reply:
    if seen.method == "POST":
        status = json.loads(seen.body)["status"]
        return poll(f"/{status}") if status else RESET
    return Reply(int(seen.path[1:]), {"Content-Type": "application/json"}, b'{"rows": 7}')


def test_each_row_gets_what_has_become_of_it(server: Server) -> None:
    with_results = runpy.run_path(str(TOP / "docs" / "examples" / "with_pandas.py"))["with_results"]
    server.answer = answer
    table = pandas.DataFrame({"status": [422, 200, 0, 200]}, index=["a", "a", "b", "c"])
    with PollingSession(policy=FAST) as session:
        done = with_results(session, server.url, table)
    assert [*done.index] == [*table.index]
    assert [*done["result"]] == [None, {"rows": 7}, None, {"rows": 7}]
    assert [*done["error"].isna()] == [False, True, False, True]
    assert "result" not in table
