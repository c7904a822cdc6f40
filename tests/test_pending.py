"""Answers that say "not yet" without being a redirect."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from polling_adapter import PollingError, WorkFailed
from polling_adapter.pending import (
    Result,
    __all__,
    accepted,
    any_of,
    created,
    json_field,
    rate_limit_reset,
)
from polling_adapter.testing import FakeClock

from ._rules.test_json_fields import JSON_VALUES

URL = "http://user:password@host/jobs?key=secret"


def answer(
    body: object = b"", status: int = 200, method: str = "GET", url: str = URL, **headers: str
) -> requests.Response:
    """``body`` as JSON, or as it is where it is bytes."""
    response = requests.Response()
    response.status_code = status
    response.url = url
    response.request = requests.Request(method, url).prepare()
    response.headers.update({name.replace("_", "-"): text for name, text in headers.items()})
    response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return response


def started(body: object = b"", status: int = 200, **headers: str) -> requests.Response:
    return answer(body, status, "POST", **headers)


def test_the_public_names() -> None:
    assert __all__ == ["Result", "accepted", "any_of", "created", "json_field", "rate_limit_reset"]


# accepted and created


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("header", ["Location", "Content_Location"])
def test_accepted_is_a_202_that_names_an_address(method: str, header: str) -> None:
    assert accepted(answer(b"", 202, method, **{header: "/jobs/1"})) is True


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_was_only_read_is_accepted_without_an_address(method: str) -> None:
    assert accepted(answer(b"", 202, method)) is True


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_bare_202_to_another_method_is_the_result(method: str) -> None:
    assert accepted(answer(b"", 202, method)) is False
    assert accepted(answer(b"", 202, method, Location="")) is False


@pytest.mark.parametrize("status", [200, 201, 203, 204, 303])
def test_no_other_status_is_accepted(status: int) -> None:
    assert accepted(answer(b"", status, Location="/jobs/1")) is False
    assert accepted(started(b"", status, Location="/jobs/1")) is False


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_created_is_a_201_with_a_location(method: str) -> None:
    assert created(answer(b"", 201, method, Location="/jobs/1")) is True
    assert created(answer(b"", 201, method)) is False
    assert created(answer(b"", 201, method, Content_Location="/jobs/1")) is False


@pytest.mark.parametrize("method", ["GET", "HEAD", "get"])
def test_what_is_read_was_not_created(method: str) -> None:
    assert created(answer(b"", 201, method, Location="/jobs/1")) is False


@pytest.mark.parametrize("status", [200, 202, 204, 303])
def test_no_other_status_is_created(status: int) -> None:
    """pygeoapi's synchronous 200 has a Location too."""
    assert created(started(b"", status, Location="/jobs/1")) is False


# json_field: which values


def test_pending_names_what_is_not_yet() -> None:
    says = json_field("status", pending=["accepted", "running"])
    assert says(answer({"status": "accepted"})) is True
    assert says(answer({"status": "running"})) is True
    assert says(answer({"status": "successful"})) is False
    assert says(answer({"status": None})) is False
    assert says(answer({})) is False
    assert says(answer({"status": ["running"]})) is False


def test_until_names_what_is_the_end() -> None:
    says = json_field("status", until=["done", "skipped"])
    assert says(answer({"status": "done"})) is False
    assert says(answer({"status": "skipped"})) is False
    assert says(answer({"status": "running"})) is True
    assert says(answer({"status": None})) is True
    assert says(answer({})) is True
    assert says(answer({"status": {"done": "done"}})) is True


def test_one_value_needs_no_collection() -> None:
    assert json_field("status", "running") == json_field("status", ["running"])
    assert json_field("status", until="done") == json_field("status", until={"done"})
    assert json_field("status", until="done", failed="failed")(answer({"status": "d"})) is True


def test_absent_is_none() -> None:
    says = json_field("finished_at", pending=[None])
    assert says(answer({"finished_at": None})) is True
    assert says(answer({})) is True
    assert says(answer({"finished_at": "2026-01-01"})) is False
    assert json_field("running", until=[None])(answer({"running": 3})) is True
    assert json_field("running", until=[None])(answer({})) is False
    with pytest.raises(WorkFailed, match="id is null"):
        json_field("id", pending=(), failed=[None])(answer({}))


def test_true_is_not_1() -> None:
    assert json_field("done", until=True)(answer({"done": 1})) is True
    assert json_field("done", until=True)(answer({"done": True})) is False
    assert json_field("done", until=1)(answer({"done": True})) is True
    assert json_field("done", until=1)(answer({"done": 1.0})) is False
    assert json_field("done", pending=False)(answer({"done": 0})) is False


@pytest.mark.parametrize(
    "body",
    [
        *[
            b"",
            b"not ready",
            b"<status>running</status>",
            b"{",
            b'{"status": "running"',
            b"\xff\xfe",
        ],
        *[b"null", b'"running"', b"0", b"true", b"[]", b'["running"]', b'[{"status": "running"}]'],
        b"[" * 60_000,
    ],
    ids=lambda body: repr(body[:20]),
)
@pytest.mark.parametrize(
    "says",
    [
        json_field("status", "running"),
        json_field("status", [None]),
        json_field("status", until="done", failed=[None], then="/result"),
    ],
    ids=repr,
)
def test_what_is_no_json_object_is_the_result(body: bytes, says: Callable[..., object]) -> None:
    assert says(answer(body)) is False
    assert says(started(body)) is False


def test_a_list_is_read_where_the_name_begins_with_an_index() -> None:
    says = json_field("0.status", until="done")
    assert says(answer([{"status": "running"}])) is True
    assert says(answer([])) is True
    assert says(answer([{"status": "done"}])) is False


def test_json_is_read_whatever_its_type_and_encoding() -> None:
    """Buildbot's is text/plain."""
    says = json_field("status", "läuft")
    assert says(answer({"status": "läuft"}, Content_Type="text/plain; charset=latin-1")) is True
    assert says(answer('{"status": "läuft"}'.encode("utf-16"))) is True
    assert says(answer('{"status": "läuft"}'.encode("utf-8-sig"))) is True


# json_field: where to ask


def test_where_to_ask_is_made_of_the_answer() -> None:
    says = json_field("status", "running", url="/jobs/{job.id}/status?of={name}")
    body = {"status": "running", "job": {"id": 7}, "name": "a/b c"}
    assert says(started(body)) == "/jobs/7/status?of=a%2Fb%20c"
    assert says(answer(body)) == "/jobs/7/status?of=a%2Fb%20c"
    assert says(answer({**body, "status": "done"})) is False


def test_one_field_alone_is_taken_as_it_is() -> None:
    says = json_field("status", "running", url="{links.0.href}")
    body = {"status": "running", "links": [{"href": "https://host/jobs/7?a=b&c=d#e"}]}
    assert says(started(body)) == "https://host/jobs/7?a=b&c=d#e"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("body", [{"status": "running"}, {}, {"status": "running", "id": ""}])
def test_a_status_need_not_repeat_the_id(method: str, body: object) -> None:
    """It is asked at the same URL again."""
    says = json_field("status", until="done", url="/jobs/{id}")
    assert says(answer(body, method=method)) is True


def test_a_start_without_the_id_is_asked_where_it_says() -> None:
    says = json_field("status", until="done", url="/jobs/{id}")
    assert says(started({"status": "running"}, 201, Location="/jobs/7")) is True
    assert says(started({"status": "running"}, 202, Content_Location="/jobs/7")) is True


@pytest.mark.parametrize("body", [{"value": 42}, {"status": None}, {"error": "no such spider"}])
def test_a_start_that_says_nothing_of_work_is_the_result(body: object) -> None:
    """It was done at once, or refused: nothing could be asked for."""
    assert json_field("status", until="done", url="/jobs/{id}")(started(body)) is False
    assert json_field("status", [None], url="/jobs/{id}")(started(body)) is False


def test_work_that_cannot_be_asked_for_is_an_error() -> None:
    says = json_field("status", until="done", url="/jobs/{job_id}?key=secret")
    response = started({"status": "running", "job-id": 7}, Location="/of/a/200")
    with pytest.raises(PollingError) as caught:
        says(response)
    assert str(caught.value) == (
        'http://host/jobs?... says that status is "running", but lacks what url is made of '
        "(job_id), so that it is unknown where to ask; in its own words: "
        '{"status": "running", "job-id": 7}'
    )
    assert type(caught.value) is PollingError
    assert caught.value.response is response
    assert caught.value.request is response.request


# json_field: where the result is


def test_then_leads_to_the_result() -> None:
    says = json_field("status", "running", then="/jobs/{id}/results")
    assert says(answer({"status": "running", "id": 7})) is True
    assert says(answer({"status": "done", "id": 7})) == Result("/jobs/7/results")
    assert json_field("status", until="done", then="{href}")(
        answer({"status": "done", "href": "http://other/7?a=b"})
    ) == Result("http://other/7?a=b")


def test_what_comes_from_where_then_leads_is_the_result() -> None:
    """Flower's first answer may say SUCCESS, and never has the result."""
    there = "/api/task/result/{task-id}"
    says = json_field("state", until="SUCCESS", url=there, then=there)
    done = {"task-id": "7", "state": "SUCCESS"}
    assert says(started(done)) == Result("/api/task/result/7")
    assert says(answer(done, url="http://user:password@host/api/task/result/7")) is False
    unreadable = json_field("state", until="SUCCESS", then="{href}")
    assert unreadable(started({**done, "href": "http://["})) == Result("http://[")


def test_what_then_cannot_lead_from_is_the_result() -> None:
    assert json_field("status", "running", then="{href}")(answer({"status": "done"})) is False
    assert json_field("status", until="done", then="{a}/{b}")(answer({"status": "done"})) is False


def test_an_answer_without_a_status_is_not_led_away_from() -> None:
    """pygeoapi's result of hello-world has an id of its own."""
    says = json_field("status", "running", then="/jobs/{id}/results")
    assert says(started({"id": "echo", "value": "Hello"})) is False


def test_an_absent_field_that_is_the_end_leads_to_the_result() -> None:
    says = json_field("running", until=[None], then="/jobs/{id}/results")
    assert says(answer({"id": 7})) == Result("/jobs/7/results")


# json_field: work that failed


def test_failed_work_raises() -> None:
    says = json_field("status", "running", failed=["failed", "dismissed"], url="{href}", then="/r")
    response = answer({"status": "failed", "message": "disk full"})
    with pytest.raises(WorkFailed) as caught:
        says(response)
    assert str(caught.value) == (
        'http://host/jobs?... says that the work failed: status is "failed"; in its own words: '
        '{"status": "failed", "message": "disk full"}'
    )
    assert caught.value.response is response
    assert caught.value.request is response.request
    assert caught.value.continuation_token is None
    with pytest.raises(requests.RequestException):
        says(answer({"status": "dismissed"}))


def message(body: object) -> str:
    with pytest.raises(WorkFailed) as caught:
        json_field("ok", (), failed=False)(answer(body))
    return str(caught.value)


def test_a_message_shows_no_secrets_of_urls() -> None:
    body = (
        b'{"ok": false, "log": "https:\\/\\/me:pass@host\\/log?sig=s3cret", "next": "/a?key=k3y"}'
    )
    shown = message(body)
    assert '"log": "https://host/log?...", "next": "/a?..."' in shown
    assert not any(secret in shown for secret in ("password", "secret", "pass@", "s3cret", "k3y"))


def test_a_message_is_short_and_one_line_that_can_be_printed() -> None:
    shown = message({"ok": False, "why": "\n\r\x00\x1b\u2028\u202e\ud800 größer"})
    assert shown.isprintable()
    assert "größer" in shown
    assert shown.encode()
    assert len(message({"ok": False, "why": "x" * 10_000})) < 400
    assert message({"ok": False, "why": "x" * 10_000}).endswith("x…")


# any_of


def test_the_first_that_says_anything_wins() -> None:
    says = any_of(
        lambda response: None,
        accepted,
        lambda response: response.headers.get("X-Next"),
        lambda response: Result("/result"),
    )
    assert says(answer(b"", 202)) is True
    assert says(answer(b"", X_Next="/next")) == "/next"
    assert says(answer(b"")) == Result("/result")


def test_nothing_said_is_the_result() -> None:
    assert any_of(accepted, created, lambda response: None)(answer(b"")) is False


def test_what_raises_has_said_it() -> None:
    says = any_of(json_field("status", "running", failed="failed"), lambda response: True)
    with pytest.raises(WorkFailed):
        says(answer({"status": "failed"}))
    assert any_of(accepted, says)(answer({"status": "failed"}, 202)) is True


@pytest.mark.parametrize("predicates", [(), (None,), (accepted, "accepted"), ([accepted],)])
def test_what_are_no_predicates(predicates: Any) -> None:
    with pytest.raises(TypeError, match="predicates=.* is not accepted: it takes at least one"):
        any_of(*predicates)


# Wrong arguments


def test_exactly_one_of_pending_and_until() -> None:
    with pytest.raises(TypeError, match="it takes exactly one of them"):
        json_field("status")
    with pytest.raises(TypeError, match="it takes exactly one of them"):
        json_field("status", "running", until="done")


@pytest.mark.parametrize("name", ["pending", "until", "failed"])
@pytest.mark.parametrize("value", [b"a", object(), [{}], [["a"]], [b"a"], float("nan"), 1j])
def test_what_are_no_values(name: str, value: Any) -> None:
    arguments: Any = {"pending": "a"} if name == "failed" else {}
    with pytest.raises(TypeError, match=rf"{name}=.* is not accepted: it takes a value of JSON"):
        json_field("status", **{**arguments, name: value})


def test_failed_has_no_none_alone() -> None:
    nothing: Any = None
    with pytest.raises(TypeError, match="failed=None is not accepted"):
        json_field("status", "running", failed=nothing)


def test_values_that_contradict_each_other() -> None:
    with pytest.raises(ValueError, match=r"failed=\['b'\] .* not in pending=\['a', 'b'\]"):
        json_field("status", ["a", "b"], failed=["b"])
    with pytest.raises(ValueError, match="failed=True .* not in until=True"):
        json_field("status", until=True, failed=True)
    json_field("status", until=True, failed=1)


def test_without_an_end_nothing_would_end() -> None:
    with pytest.raises(ValueError, match=r"until=\[\] is not accepted"):
        json_field("status", until=[])


@pytest.mark.parametrize("name", ["", "a..b", ".a"])
def test_names_that_cannot_be_read(name: str) -> None:
    with pytest.raises(ValueError, match="name=.* is not accepted"):
        json_field(name, "running")


@pytest.mark.parametrize("name", [None, 0, b"status", ["status"], answer()])
def test_what_is_no_name(name: Any) -> None:
    with pytest.raises(TypeError, match="name=.* is not accepted"):
        json_field(name, "running")


@pytest.mark.parametrize("argument", ["url", "then"])
@pytest.mark.parametrize(
    ("template", "error"),
    [("", ValueError), ("/{", ValueError), ("/{}", ValueError), (b"/a", TypeError), (1, TypeError)],
)
def test_templates_that_cannot_be_read(
    argument: str, template: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=f"{argument}=.* is not accepted: it takes a URL, with fields"):
        json_field("status", "running", **{argument: template})


@pytest.mark.parametrize(("url", "error"), [("", ValueError), (None, TypeError), (b"/", TypeError)])
def test_a_result_has_a_url(url: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="url=.* is not accepted: it takes a URL"):
        Result(url)


def test_what_is_left_out_or_unknown_is_refused() -> None:
    wrong: list[Callable[..., object]] = [json_field, Result, accepted, rate_limit_reset]
    for function in wrong:
        with pytest.raises(TypeError):
            function()
        with pytest.raises(TypeError):
            function("a", unknown=True)


# Values


SHOWN = [
    (accepted, "accepted"),
    (created, "created"),
    (Result("/result"), "Result(url='/result')"),
    (json_field("status", "running"), "json_field('status', pending='running')"),
    (json_field("status", until=[None]), "json_field('status', until=[None])"),
    (json_field("ok", [], failed={False}), "json_field('ok', pending=[], failed=False)"),
    (
        json_field("status", {"b", "a", None}, failed=[1, 2.5], url="/jobs/{id}", then="{href}"),
        "json_field('status', pending=['a', 'b', None], failed=[1, 2.5], url='/jobs/{id}', "
        "then='{href}')",
    ),
    (
        any_of(accepted, any_of(created), json_field("done", until=True)),
        "any_of(accepted, any_of(created), json_field('done', until=True))",
    ),
]


@pytest.mark.parametrize(("value", "shown"), SHOWN, ids=[shown for _, shown in SHOWN])
def test_they_are_values(value: Any, shown: str) -> None:
    """Shown as the call that makes them, equal, hashable, picklable, and not to be changed."""
    assert repr(value) == shown
    others = [pickle.loads(pickle.dumps(value)), copy.deepcopy(value), eval(shown)]  # noqa: S307
    for other in others:
        assert other == value
        assert hash(other) == hash(value)
        assert repr(other) == shown
    for name in ("url", "anything"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(value, name, "/elsewhere")


def test_no_two_of_them_are_equal() -> None:
    made = [
        *(value for value, _ in SHOWN),
        Result("/other"),
        json_field("state", "running"),
        json_field("status", until="running"),
        json_field("status", "running", failed="failed"),
        json_field("status", "running", url="/a"),
        json_field("status", "running", then="/a"),
        *(json_field("status", value) for value in (True, 1, "1", [None], "True")),
        *(any_of(accepted), any_of(created), any_of(accepted, created), any_of(created, accepted)),
    ]
    assert len(set(made)) == len(made)
    assert all((one == other) is (one is other) for one in made for other in made)


@given(
    until=st.lists(JSON_VALUES, min_size=1),
    value=JSON_VALUES,
    identifier=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_what_comes_out_of_a_pickle_says_the_same(
    until: list[Any], value: object, identifier: str
) -> None:
    says = json_field("status", until=until, url="/jobs/{id}", then="/jobs/{id}/results")
    other = pickle.loads(pickle.dumps(says))
    assert other == says
    assert hash(other) == hash(says)
    assert eval(repr(says)) == says  # noqa: S307
    response = answer({"status": value, "id": identifier})
    assert other(response) == says(response)
    assert isinstance(says(answer({"status": until[0], "id": 7})), Result)


# Services, each with the answers it gives

URL_OF_AZURE = "https://management/operations/7?api-version=1"
SERVICES: dict[str, tuple[Callable[..., object], list[tuple[requests.Response, object]]]] = {
    "the protocol's page": (
        json_field("status", "not ready"),
        [
            (answer({"status": "not ready"}), True),
            (answer({"status": "ready", "result": 42}), False),
        ],
    ),
    "Celery Flower, without the state in its first answer": (
        json_field(
            "state", until="SUCCESS", failed=["FAILURE", "REVOKED"], url="/api/task/info/{task-id}"
        ),
        [
            (started({"task-id": "abc-1"}), "/api/task/info/abc-1"),
            (started({"task-id": "abc-1", "state": "PENDING"}), "/api/task/info/abc-1"),
            (answer({"uuid": "abc-1", "state": "RECEIVED"}), True),
            (answer({"uuid": "abc-1", "state": "FAILURE", "exception": "E"}), WorkFailed),
            (answer({"uuid": "abc-1", "state": "SUCCESS", "result": "3"}), False),
        ],
    ),
    "scrapyd": (
        json_field("currstate", until="finished", url="/status.json?job={jobid}"),
        [
            (started({"status": "ok", "jobid": "6487ec"}), "/status.json?job=6487ec"),
            (answer({"status": "ok", "currstate": "pending"}), True),
            (answer({"status": "ok", "currstate": "running"}), True),
            (answer({"status": "ok", "currstate": "finished"}), False),
            (started({"status": "error", "message": "no such spider"}), False),
        ],
    ),
    "scrapyd of before, by its list of jobs": (
        json_field("finished.0.id", [None], url="/listjobs.json?project=p&jobid={jobid}"),
        [
            (started({"status": "ok", "jobid": "64"}), "/listjobs.json?project=p&jobid=64"),
            (answer({"status": "ok", "running": [{"id": "64"}], "finished": []}), True),
            (answer({"status": "ok", "running": [], "finished": [{"id": "64"}]}), False),
        ],
    ),
    "Azure, an operation beside its resource": (
        any_of(
            lambda response: (
                response.request.method != "GET" and response.headers.get("Azure-AsyncOperation")
            ),
            json_field(
                "status",
                ["InProgress", "Creating"],
                failed=["Failed", "Canceled"],
                then="{resourceLocation}",
            ),
            accepted,
        ),
        [
            (started(b"", 202, Azure_AsyncOperation=URL_OF_AZURE), URL_OF_AZURE),
            (started(b"", 202, Location="/operations/7"), True),
            (answer({"status": "InProgress"}), True),
            (answer({"status": "Failed", "error": {"code": "Conflict"}}), WorkFailed),
            (answer({"status": "Succeeded"}), False),
            (answer({"status": "Succeeded", "resourceLocation": "/vms/1"}), Result("/vms/1")),
            (answer({"name": "vm", "properties": {"provisioningState": "Succeeded"}}), False),
        ],
    ),
    "OGC API - Processes (pygeoapi)": (
        any_of(
            created,
            json_field(
                "status",
                ["accepted", "running"],
                failed=["failed", "dismissed"],
                then="/jobs/{jobID}/results?f=json",
            ),
        ),
        [
            (started(b"null", 201, Location="http://host/jobs/7"), True),
            (started({"id": "echo", "value": "Hello"}, Location="http://host/jobs/7"), False),
            (answer({"jobID": "7", "status": "accepted"}), True),
            (answer({"jobID": "7", "status": "running", "progress": 5}), True),
            (answer({"jobID": "7", "status": "failed", "message": "E"}), WorkFailed),
            (answer({"jobID": "7", "status": "successful"}), Result("/jobs/7/results?f=json")),
        ],
    ),
    "OGC API - Processes, by its links": (
        json_field("status", ["accepted", "running"], failed="failed", then="{links.0.href}"),
        [
            (started({"jobID": "7", "status": "accepted"}, 201, Location="/jobs/7"), True),
            (
                answer({"status": "successful", "links": [{"href": "http://host/r?a=b"}]}),
                Result("http://host/r?a=b"),
            ),
        ],
    ),
    "Prefect": (
        json_field(
            "state.type",
            until="COMPLETED",
            failed=["FAILED", "CRASHED", "CANCELLED"],
            url="/api/flow_runs/{id}",
        ),
        [
            (started({"id": "f-1", "state": {"type": "SCHEDULED"}}, 201), "/api/flow_runs/f-1"),
            (answer({"id": "f-1", "state": {"type": "RUNNING"}}), "/api/flow_runs/f-1"),
            (answer({"id": "f-1", "state": None}), "/api/flow_runs/f-1"),
            (answer({"id": "f-1", "state": {"type": "CRASHED"}}), WorkFailed),
            (answer({"id": "f-1", "state": {"type": "COMPLETED"}}), False),
        ],
    ),
    "Buildbot": (
        json_field("builds.0.complete", until=True, url="/api/v2/buildrequests/{result.0}/builds"),
        [
            (started({"id": None, "result": [5, {"1": 5}]}), "/api/v2/buildrequests/5/builds"),
            (answer({"builds": [], "meta": {}}, Content_Type="text/plain"), True),
            (answer({"builds": [{"complete": False}]}, Content_Type="text/plain"), True),
            (answer({"builds": [{"complete": True}]}, Content_Type="text/plain"), False),
        ],
    ),
    "FHIR bulk export": (
        accepted,
        [
            (answer(b"", 202, Content_Location="http://host/status/7"), True),
            (answer(b"", 202, X_Progress="in progress"), True),
            (answer({"output": []}), False),
            (answer(b"", 202, "DELETE"), False),
        ],
    ),
}


@pytest.mark.parametrize("service", SERVICES)
def test_services(service: str) -> None:
    says, answers = SERVICES[service]
    for response, said in answers:
        if said is WorkFailed:
            with pytest.raises(WorkFailed):
                says(response)
        else:
            assert says(response) == said, response.content


# rate_limit_reset


def test_github() -> None:
    date = "Tue, 14 Nov 2023 22:13:20 GMT"
    github = {"Date": date, "X_RateLimit_Reset": "1700000060"}
    assert rate_limit_reset(answer({}, 403, X_RateLimit_Remaining="0", **github)) == 60
    assert rate_limit_reset(answer({}, 403, X_RateLimit_Remaining="4000", **github)) is None


def test_P1_what_a_rate_limit_says_goes_by_the_clock_in_place() -> None:
    """In tests for one, where a service sends no Date."""
    with FakeClock(time=1_700_000_000):
        assert rate_limit_reset(answer({}, 429, X_RateLimit_Reset="1700000030")) == 30


@pytest.mark.parametrize("status", [200, 202, 303, 403, 429, 503])
def test_a_rate_limit_is_read_from_any_answer(status: int) -> None:
    assert rate_limit_reset(answer(b"", status, ratelimit='"a";r=0;t=7')) == 7
    assert rate_limit_reset(answer(b"", status)) is None
