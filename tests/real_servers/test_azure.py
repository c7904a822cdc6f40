"""Azure's long-running operations, as the test server of its own client libraries has them.

A start is answered by 202 and a Location, or by 200 or 201 and a ``provisioningState``, or it names
an operation whose ``status`` is asked for, and then its result is elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urldefrag

import pytest
import requests

from polling_adapter import PollingPolicy, Wait, WorkFailed
from polling_adapter.pending import Result, accepted, any_of, json_field

from ..wire.ways import WAYS, Way
from .started import Relay, needs_command, relay, running

FAILED = ["Failed", "Canceled"]
VALUES = (
    json_field("status", ["Accepted", "InProgress"], failed=FAILED),
    accepted,
    json_field("properties.provisioningState", until=["Succeeded", None], failed=FAILED),
)


def operation(response: requests.Response) -> str | Result | None:
    """Where ``Azure-AsyncOperation`` says. Where the result is then goes along as the fragment of
    that address, which no server sees: this function remembers nothing."""
    where = response.headers.get("Azure-AsyncOperation")
    method = response.request.method or ""
    if method == "GET":
        result = urldefrag(response.url).fragment
        if result and field(response, "status") == "succeeded":
            return Result(result)
    else:
        if response.status_code == 200 and field(response, "properties", "provisioningState") == (
            "succeeded"
        ):
            return None
        location = response.headers.get("Location", "")
        result = {"PUT": response.url, "PATCH": response.url, "POST": location}.get(method, "")
    return where and f"{where}#{result}"


def field(response: requests.Response, *names: str) -> str | None:
    try:
        found = response.json()
        for name in names:
            found = found[name]
    except (ValueError, LookupError, TypeError):
        return None
    return str(found).lower()


class Route(NamedTuple):
    """Where work starts.

    :param ends: the status of the result, or ``failed`` where it is that the work has failed.
    :param words: a part of what the result or the error says.
    """

    method: str
    path: str
    ends: str
    words: str = ""


def routes(table: str) -> list[Route]:
    return [Route(*line.split(maxsplit=3)) for line in table.splitlines() if line]


# The work is done, or it has failed, as a client is told by the protocol.
JOBS = routes("""
PUT    /lro/put/200/succeeded                                 200     "Succeeded"
PUT    /lro/put/201/succeeded                                 201     "Succeeded"
PUT    /lro/put/200/succeeded/nostate                         200     "foo"
PATCH  /lro/patch/200/succeeded/ignoreheaders                 200     "Succeeded"
PATCH  /lro/patch/201/retry/onlyAsyncHeader                   200     "Succeeded"
PATCH  /lro/patch/202/retry/asyncAndLocationHeader            200     "Succeeded"
PUT    /lro/put/202/retry/200                                 200     "foo"
PUT    /lro/put/201/creating/succeeded/200                    200     "Succeeded"
PUT    /lro/put/200/updating/succeeded/200                    200     "Succeeded"
PUT    /lro/put/201/created/failed/200                        failed  "Failed"
PUT    /lro/put/200/accepted/canceled/200                     failed  "Canceled"
PUT    /lro/putasync/retry/succeeded                          200     State": "Succeeded"
PUT    /lro/putasync/noretry/succeeded                        200     State": "Succeeded"
PUT    /lro/putasync/retry/failed                             failed  "Failed"
PUT    /lro/putasync/noretry/canceled                         failed  "Canceled"
PUT    /lro/put/noheader/202/200                              200     "Succeeded"
PUT    /lro/putasync/noheader/201/200                         200     State": "Succeeded"
DELETE /lro/delete/noheader                                   204
DELETE /lro/deleteasync/noheader/202/204                      200     "status": "Succeeded"
PUT    /lro/putsubresource/202/200                            200     "sub1"
PUT    /lro/putsubresourceasync/202/200                       200     "sub1"
PUT    /lro/putnonresource/202/200                            200     "sku"
PUT    /lro/putnonresourceasync/202/200                       200     "sku"
DELETE /lro/delete/provisioning/202/accepted/200/succeeded    200     "Succeeded"
DELETE /lro/delete/provisioning/202/deleting/200/failed       failed  "Failed"
DELETE /lro/delete/provisioning/202/deleting/200/canceled     failed  "Canceled"
DELETE /lro/delete/204/succeeded                              204
DELETE /lro/delete/202/retry/200                              200
DELETE /lro/delete/202/noretry/204                            204
DELETE /lro/deleteasync/retry/succeeded                       200     "status": "Succeeded"
DELETE /lro/deleteasync/noretry/succeeded                     200     "status": "Succeeded"
DELETE /lro/deleteasync/retry/failed                          failed  "Failed"
DELETE /lro/deleteasync/retry/canceled                        failed  "Canceled"
POST   /lro/post/202/retry/200                                200     "Succeeded"
POST   /lro/post/202/noretry/204                              204
POST   /lro/post/payload/200                                  200     "product"
POST   /lro/LROPostDoubleHeadersFinalAzureHeaderGet           200     "100"
POST   /lro/LROPostDoubleHeadersFinalAzureHeaderGetDefault    200     "foo"
POST   /lro/LROPostDoubleHeadersFinalLocationGet              200     "foo"
POST   /lro/list                                              200     [{ "id": "100"
POST   /lro/postasync/retry/succeeded                         200     State": "Succeeded"
POST   /lro/postasync/noretry/succeeded                       200     State": "Succeeded"
POST   /lro/postasync/retry/failed                            failed  "Failed"
POST   /lro/postasync/retry/canceled                          failed  "Canceled"
PUT    /lro/customheader/putasync/retry/succeeded             200     State": "Succeeded"
POST   /lro/customheader/postasync/retry/succeeded            200     "status": "Succeeded"
PUT    /lro/customheader/put/201/creating/succeeded/200       200     "Succeeded"
POST   /lro/customheader/post/202/retry/200                   200
POST   /lroParameterizedEndpoints                             200     "success"
POST   /lroConstantParameterizedEndpoints/iAmConstant         200     "success"
POST   /paging/multiple/lro                                   200     "nextLink"
PUT    /customization/lro/raw                                 200     "raw"
PUT    /customization/lro/model                               200     "model"
""")

# The start or a poll is refused: that is what the caller gets.
REFUSALS = routes("""
PUT    /lro/nonretryerror/put/400                             400     bad request
PUT    /lro/nonretryerror/put/201/creating/400                400     Error from the server
PUT    /lro/nonretryerror/put/201/creating/400/invalidjson    400     Error from the server
PUT    /lro/nonretryerror/putasync/retry/400                  400
DELETE /lro/nonretryerror/delete/400                          400     bad request
DELETE /lro/nonretryerror/delete/202/retry/400                400     bad request
DELETE /lro/nonretryerror/deleteasync/retry/400               400     bad request
POST   /lro/nonretryerror/post/400                            400     bad request
POST   /lro/nonretryerror/post/202/retry/400                  400     bad request
POST   /lro/nonretryerror/postasync/retry/400                 400     bad request
""")

# The server breaks the protocol: the call is over all the same, with what came.
BROKEN = routes("""
PUT    /lro/error/put/201/noprovisioningstatepayload          201
PUT    /lro/error/putasync/retry/nostatus                     200     { }
PUT    /lro/error/putasync/retry/nostatuspayload              200
PUT    /lro/error/put/200/invalidjson                         200     "Creating"
PUT    /lro/error/putasync/retry/invalidheader                404     /foo
PUT    /lro/error/putasync/retry/invalidjsonpolling           200     "Accepted"
DELETE /lro/error/delete/204/nolocation                       204
DELETE /lro/error/delete/202/retry/invalidheader              404     /foo
DELETE /lro/error/deleteasync/retry/nostatus                  200     { }
DELETE /lro/error/deleteasync/retry/invalidheader             404     /foo
DELETE /lro/error/deleteasync/retry/invalidjsonpolling        200     "Accepted"
POST   /lro/error/post/202/nolocation                         202
POST   /lro/error/post/202/retry/invalidheader                404     /foo
POST   /lro/error/postasync/retry/nopayload                   200
POST   /lro/error/postasync/retry/invalidheader               404     /foo
POST   /lro/error/postasync/retry/invalidjsonpolling          200     "Accepted"
""")

# A start is answered by 500: the server wants it to be sent again, which is for the caller to do.
SENT_AGAIN = routes("""
PUT    /lro/retryerror/put/201/creating/succeeded/200                      500
PUT    /lro/retryerror/putasync/retry/succeeded                            500
DELETE /lro/retryerror/delete/provisioning/202/accepted/200/succeeded      500
DELETE /lro/retryerror/delete/202/retry/200                                500
DELETE /lro/retryerror/deleteasync/retry/succeeded                         500
POST   /lro/retryerror/post/202/retry/200                                  500
POST   /lro/retryerror/postasync/retry/succeeded                           500
""")

# Its result is the operation itself, which only the description of that service says.
NOT_TOLD = "/lro/LROPostDoubleHeadersFinalAzureHeaderGet"

POLICY = PollingPolicy(jitter=0, min_wait=0.01, backoff_factor=0.02, total_timeout=20)
AZURE = POLICY.replace(pending=any_of(operation, *VALUES))
# What the server expects of a client that has an identifier for each request.
HEADERS = {"x-ms-client-request-id": "9C4D50EE-2D56-4CD3-8152-34347DC9F2B0"}


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    needs_command("node")
    command = needs_command("autorest-testserver")
    folder = tmp_path_factory.mktemp("azure")
    loopback = Path(__file__).with_name("loopback.js")
    with relay() as server:
        port = server.upstream
        options = ("--port", str(port), "--coverageDirectory", str(folder))
        log, env = folder / "log", {"NODE_OPTIONS": f'--require="{loopback}"'}
        with running(command, *options, log=log, port=port, cwd=folder, env=env):
            yield server


class Outcome(NamedTuple):
    route: Route
    ends: str
    words: str
    counted: bool  # by the server, as a scenario that a client has carried out
    starts: int
    asked: int

    @property
    def is_right(self) -> bool:
        return self.ends == self.route.ends and self.route.words in self.words and self.counted


def outcome(
    server: Relay, reports: requests.Session, way: Way, policy: PollingPolicy, route: Route
) -> Outcome:
    server.exchanges.clear()
    waits: list[Wait] = []
    before = counters(server, reports)
    try:
        response = way(
            policy.replace(on_wait=waits.append),
            route.method,
            server.url + route.path,
            headers=HEADERS,
        )
        ends, words = str(response.status_code), response.text
    except WorkFailed as error:
        ends, words = "failed", str(error)
    assert all(took >= POLICY.min_wait for took in server.waits[: len(waits)])
    starts = sum(one.request.method == route.method for one in server.exchanges)
    counted = counters(server, reports) != before
    return Outcome(route, ends, words, counted, starts, len(server.exchanges))


def counters(server: Relay, reports: requests.Session) -> list[dict[str, int]]:
    """How often each scenario was carried out, in the server's view."""
    url = f"http://127.0.0.1:{server.upstream}/report"
    return [reports.get(f"{url}/{name}").json() for name in ("azure", "dpg", "optional")]


def outcomes(server: Relay, way: Way, policy: PollingPolicy, table: list[Route]) -> list[Outcome]:
    with requests.Session() as reports:
        found = [outcome(server, reports, way, policy, route) for route in table]
    for one in found:
        right = "right" if one.is_right else "WRONG"
        method, path, *_ = one.route
        print(f"{right} {method:6} {path:65} {one.asked} requests: {one.ends} {one.words[:60]!r}")
    print(f"{sum(one.is_right for one in found)} of {len(found)} end right")
    assert [one.route for one in found if one.starts != 1] == []
    return found


@pytest.mark.parametrize("name", ["session", "mounted", "begin"])
def test_all_that_can_be_done_without_sending_a_start_again(azure: Relay, name: str) -> None:
    found = outcomes(azure, WAYS[name], AZURE, JOBS + REFUSALS + BROKEN)
    assert len(found) == 79
    assert sum(one.is_right for one in found) >= 78
    assert {one.route.path for one in found if not one.is_right} <= {NOT_TOLD}


def test_what_the_ready_made_values_do_without_a_function(azure: Relay) -> None:
    policy = POLICY.replace(pending=any_of(*VALUES))
    found = outcomes(azure, WAYS["session"], policy, JOBS + REFUSALS + BROKEN)
    assert sum(one.is_right for one in found) >= 57


@pytest.mark.parametrize("name", ["session", "mounted", "begin"])
def test_P6_a_start_is_not_sent_again(azure: Relay, name: str) -> None:
    found = outcomes(azure, WAYS[name], AZURE, SENT_AGAIN)
    assert [(one.ends, one.asked) for one in found] == [("500", 1)] * len(SENT_AGAIN)


def test_a_token_carries_where_the_result_is(azure: Relay) -> None:
    azure.exchanges.clear()
    response = WAYS["tokens"](AZURE, "POST", f"{azure.url}/lro/list")
    azure.report("Azure, an operation by tokens")
    assert response.json() == [{"id": "100", "name": "foo"}]
    assert azure.asked == ["POST /lro/list", "GET /lro/list/pollingGet", "GET /lro/list/finalGet"]


@pytest.mark.parametrize("name", ["session", "mounted", "begin"])
def test_an_operation_is_one_call(azure: Relay, name: str) -> None:
    azure.exchanges.clear()
    response = WAYS[name](AZURE, "PUT", f"{azure.url}/lro/putasync/retry/succeeded")
    azure.report("Azure, an operation")
    assert response.json()["properties"]["provisioningState"] == "Succeeded"
    polls = 2 * ["GET /lro/putasync/retry/succeeded/operationResults/200"]
    first, second = "PUT /lro/putasync/retry/succeeded", "GET /lro/putasync/retry/succeeded"
    assert [asked.rstrip("/") for asked in azure.asked] == [first, *polls, second]
    assert azure.statuses == [200, 202, 200, 200]


def test_plain_requests_returns_the_first_answer(azure: Relay) -> None:
    for route in JOBS:
        azure.exchanges.clear()
        response = requests.request(
            route.method, azure.url + route.path, headers=HEADERS, timeout=30
        )
        assert response.status_code in (200, 201, 202, 204)
        assert azure.asked == [f"{route.method} {route.path}"]
