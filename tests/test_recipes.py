"""The recipes that the documentation shows."""

from __future__ import annotations

import csv
import json
import runpy
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from polling_adapter import PollingPolicy, PollingSession

from .server import DONE, RESET, Reply, Seen, Server, again, poll

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)
QUESTION = {"question": "life"}


@pytest.fixture
def session() -> Iterator[PollingSession]:
    with PollingSession(policy=FAST) as session:
        yield session


def recipe(name: str, function: str = "ask") -> Callable[..., requests.Response]:
    found: Callable[..., requests.Response] = runpy.run_path(str(EXAMPLES / name))[function]
    return found


def test_a_start_without_an_answer_is_sent_again(server: Server, session: PollingSession) -> None:
    ask = recipe("start_again.py")
    server.script(RESET, again("0"), poll("/work"), DONE)
    assert ask(session, server.url, QUESTION).text == "done"
    assert server.asked == [*["POST /"] * 3, "GET /work"]
    assert len({seen.headers["Idempotency-Key"] for seen in server.seen}) == 1
    assert [json.loads(seen.body or b"null") for seen in server.seen] == [QUESTION] * 3 + [None]


def test_and_one_with_an_answer_is_not(server: Server, session: PollingSession) -> None:
    ask = recipe("start_again.py")
    session.policy = FAST.replace(poll_failures=0)
    server.script(poll("/work"), RESET, DONE)
    assert ask(session, server.url, QUESTION).text == "done"
    assert server.asked == ["POST /", "GET /work", "GET /work"]
    assert server.seen[-1].body == b""


def test_and_what_cannot_go_on_is_raised(session: PollingSession) -> None:
    with pytest.raises(requests.exceptions.InvalidURL):
        recipe("start_again.py")(session, "http://[", QUESTION)


def test_a_job_goes_on_when_its_program_starts_again(
    server: Server, session: PollingSession, tmp_path: Path
) -> None:
    result_of, kept = recipe("keep_token.py", "result_of"), tmp_path / "token"
    server.script(poll("/work"), Reply(404), DONE)
    for _ in range(2):  # as a kill, that ends what runs
        with suppress(requests.HTTPError):
            result_of(session, server.url, QUESTION, kept)
        assert kept.exists() == (len(server.seen) == 2)
    assert server.asked == ["POST /", "GET /work", "GET /work"]
    result_of(session, server.url, QUESTION, kept)  # answered at once
    assert not kept.exists()


def test_it_goes_on_with_a_start_that_is_refused(
    server: Server, session: PollingSession, tmp_path: Path
) -> None:
    result_of, kept = recipe("keep_token.py", "result_of"), tmp_path / "token"
    server.script(again("0"), DONE)
    kept.write_text(session.begin("POST", server.url, json=QUESTION).continuation_token())
    assert result_of(session, server.url, QUESTION, kept).text == "done"
    assert [seen.body for seen in server.seen] == [json.dumps(QUESTION).encode()] * 2


def test_a_start_that_fails_keeps_nothing(
    server: Server, session: PollingSession, tmp_path: Path
) -> None:
    server.script(Reply(500))
    with pytest.raises(requests.HTTPError):
        recipe("keep_token.py", "result_of")(session, server.url, QUESTION, tmp_path / "token")
    assert not (tmp_path / "token").exists()


def what_becomes_of(seen: Seen) -> Reply:
    """A start whose body is a status ends with it, a 0 without any answer."""
    if seen.method == "POST":
        return RESET if seen.body == b"0" else poll(f"/{seen.body.decode()}")
    return Reply(int(seen.path[1:]), body=b"seven")


def test_a_table_has_a_row_for_each_job(
    server: Server, session: PollingSession, tmp_path: Path
) -> None:
    server.answer = what_becomes_of
    path = tmp_path / "results.csv"
    recipe("write_table.py", "write_table")(session, server.url, [200, 422, 0], path)
    with path.open(newline="") as file:
        rows = {row.pop("sample"): row for row in csv.DictReader(file)}
    assert rows["200"] == {"result": "seven", "error": "", "token": ""}
    assert rows["422"]["error"].startswith("422 Client Error")
    assert rows["0"]["error"]
    assert [bool(rows[sample]["token"]) for sample in ("422", "0")] == [True, False]


class Guarded:
    """A server that takes a bearer credential for two requests."""

    def __init__(self, server: Server) -> None:
        self.valid = 0
        self.used = 0
        self.polls = 0
        server.answer = self.answer

    def credential(self) -> str:
        self.valid += 1
        self.used = 0
        return f"number-{self.valid}"

    def answer(self, seen: Seen) -> Reply:
        self.used += 1
        if seen.headers.get("Authorization") != f"Bearer number-{self.valid}" or self.used > 2:
            return Reply(401, {"WWW-Authenticate": "Bearer"})
        if seen.method == "POST":
            return poll("/work")
        self.polls += 1
        return poll("/work") if self.polls < 5 else DONE


def test_a_credential_that_expires_in_the_middle(server: Server, session: PollingSession) -> None:
    guarded = Guarded(server)
    ask = recipe("fresh_credential.py")
    assert ask(session, server.url, QUESTION, guarded.credential).text == "done"
    assert guarded.valid == 3
    assert [asked for asked in server.asked if "POST" in asked] == ["POST /"]
    assert guarded.polls == 5


def test_a_credential_that_is_refused_is_the_end(server: Server, session: PollingSession) -> None:
    ask: Any = recipe("fresh_credential.py")
    server.script(Reply(401))
    assert ask(session, server.url, QUESTION, lambda: "x").status_code == 401
    assert server.asked == ["POST /"]
    server.script(poll("/work"), Reply(401))
    assert ask(session, server.url, QUESTION, lambda: "x").status_code == 401
    assert len(server.seen) < 20
