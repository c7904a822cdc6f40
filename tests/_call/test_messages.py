"""What errors say of a job, and the line of code that goes on."""

from __future__ import annotations

from typing import Any

import pytest

from polling_adapter import PollingPolicy
from polling_adapter._call.messages import (
    WITH_A_SESSION,
    line,
    resume_by,
    without_line,
    without_token,
)

from .made import TOKEN as A_TOKEN
from .made import request

WALL = 1_700_000_000.0
TOKEN = A_TOKEN._replace(url="http://user@example.org/work/42?sig=secret", due=WALL + 30, left=None)
LINE = "session.resume(error.continuation_token"


@pytest.mark.parametrize(
    ("policy", "further"),
    [
        (PollingPolicy(), ""),
        (PollingPolicy(pending=lambda response: None), ", polling=error.policy"),
        (PollingPolicy(before_poll=lambda request: None), ", polling=error.policy"),
        (PollingPolicy(retry_after=lambda response: None), ", polling=error.policy"),
        (
            PollingPolicy(total_timeout=5),
            ", polling=error.policy.replace(total_timeout=None, retry_after_max=None)",
        ),
        (
            PollingPolicy(retry_after_max=29),
            ", polling=error.policy.replace(total_timeout=None, retry_after_max=None)",
        ),
    ],
    ids=["plain", "pending", "before_poll", "retry_after", "too short", "too long"],
)
def test_the_line_has_a_policy_that_lets_it(policy: PollingPolicy, further: str) -> None:
    said = resume_by(TOKEN, request(), policy, WALL, "")
    assert said == f"resume with GET http://example.org/work/42?...: {LINE}{further}).result()"


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"has_body": True}, "data=..."),
        ({"needs_key": True}, "headers={'Idempotency-Key': ...}"),
        ({"has_body": True, "needs_key": True}, "data=..., headers={'Idempotency-Key': ...}"),
    ],
)
def test_and_names_what_no_token_holds(changes: dict[str, Any], more: str) -> None:
    start = request(method="POST", data=b"body")
    said = resume_by(TOKEN._replace(**changes), start, PollingPolicy(), WALL, WITH_A_SESSION)
    assert said.endswith(f": {WITH_A_SESSION}{LINE}, {more}).result()")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"data": b"body"}, "data"),
        ({"data": {"a": "form"}}, "data"),
        ({"json": {"a": 1}}, "json"),
        ({"files": {"a": b"file"}}, "files"),
        (
            {"json": {"a": 1}, "headers": {"Content-Type": "application/json; charset=utf-8"}},
            "json",
        ),
    ],
)
def test_a_body_is_given_as_it_was(given: dict[str, Any], name: str) -> None:
    """A dict as ``data`` is a form, and in the place of JSON other work."""
    start = request(method="POST", **given)
    assert line(TOKEN._replace(has_body=True), start, "token") == (
        f"session.resume(token, {name}=...).result()"
    )


@pytest.mark.parametrize("opening", ["", WITH_A_SESSION])
def test_who_reads_no_python_is_spared_the_line(opening: str) -> None:
    said = f"3 s are left; {resume_by(TOKEN, request(), PollingPolicy(), WALL, opening)}"
    assert without_line(said) == "3 s are left; resume with GET http://example.org/work/42?..."
    assert without_line("nothing of it: at all") == "nothing of it: at all"


def test_why_there_is_none() -> None:
    start = request("http://user:secret@example.org/start", "POST")
    assert without_token(start, may_be_sent=False) == (
        "POST http://example.org/start was sent and not answered: it is unknown whether the work "
        "has begun, so no line of code goes on"
    )
    assert without_token(request("unix://path/w"), may_be_sent=True) == (
        "it goes on with GET unix://path/w; there is no continuation token, as one holds http:// "
        "and https:// addresses only"
    )
