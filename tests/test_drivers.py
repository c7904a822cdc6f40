"""What holds on the wire, for both ways in."""

from __future__ import annotations

import gzip
import itertools
import logging
import operator
import pickle
import re
import threading
import time
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from requests.exceptions import UnrewindableBodyError

from polling_adapter import (
    OutageTooLong,
    PollingAdapter,
    PollingError,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    RetryAfterTooLong,
    TooManyPolls,
    Wait,
)

from .conftest import Open
from .fake_clock import FakeClock
from .server import DONE, RESET, Reply, Seen, Server, again, poll
from .wire.ways import WAYS

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


def asked(response: requests.Response) -> list[str]:
    return [f"{hop.request.method} {hop.status_code}" for hop in [*response.history, response]]


# P1: never early


def test_P1_never_early(server: Server, connect: Open) -> None:
    server.script(poll("/work", "0.2"), again("0.2"), poll("/work", "0.1"), DONE)
    assert connect(FAST.replace(jitter=0.5)).post(server.url).text == "done"
    at = [seen.at for seen in server.seen]
    waited = [later - sooner for sooner, later in itertools.pairwise(at)]
    assert all(map(operator.ge, waited, [0.2, 0.2, 0.1]))


def test_P1_P2_waits_are_those_that_are_asked_for(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    late = {"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}  # a clock that is wrong does no harm
    server.script(
        poll("/work", "3"),
        poll("/work", "0.493"),
        again("7"),
        again("8", 503),
        poll("/work", "Sun, 06 Nov 1994 08:49:47 GMT", **late),
        poll("/work", "Sun, 06 Nov 1994 08:49:27 GMT", **late),
        poll("/work", "9999"),
        DONE,
    )
    policy = PollingPolicy(jitter=0, clock=clock, total_timeout=None)
    assert connect(policy).post(server.url).text == "done"
    assert clock.slept == [3, 0.493, 7, 8, 10, 0.1, 9999]


def test_P2_late_by_no_more_than_the_jitter(server: Server, connect: Open) -> None:
    server.script(poll("/work", "0.5"), DONE)
    connect(FAST.replace(jitter=0.1)).post(server.url)
    first, second = (seen.at for seen in server.seen)
    assert 0.5 <= second - first < 0.55 + 1  # a busy machine may take a while


def test_P1_a_wait_is_as_long_as_asked_for_at_any_instant(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    clock.now = 5.7
    server.script(poll("/work", "5"), poll("/work", "0.493"), DONE)
    waits: list[float] = []
    policy = FAST.replace(
        clock=clock, retry_after_max=5, on_wait=lambda wait: waits.append(wait.seconds)
    )
    connect(policy).get(server.url)
    assert waits == clock.slept == [5, 0.493]


# P3: polls and other redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_P3_two_hundred_polls_where_requests_gives_up(
    server: Server, connect: Open, status: int
) -> None:
    polls = [poll(f"/work/{n}", status=status) for n in range(200)]
    server.script(*polls, DONE)
    assert connect(FAST).get(server.url).text == "done"
    assert len(server.seen) == 201
    server.script(*polls, DONE)
    with requests.Session() as plain, pytest.raises(requests.TooManyRedirects):
        plain.get(server.url)


def test_P3_only_other_redirects_count(server: Server, connect: Open) -> None:
    hops = [hop for n in range(5) for hop in (poll("/work"), Reply(302, {"Location": f"/{n}"}))]
    server.script(*hops, poll("/work"), DONE)
    session = connect(FAST)
    session.max_redirects = 30
    assert session.get(server.url).text == "done"
    server.script(*[Reply(302, {"Location": f"/{n}"}) for n in range(31)], DONE)
    with pytest.raises(requests.TooManyRedirects) as caught:
        session.get(server.url)
    assert not isinstance(caught.value, PollingError)
    assert len(caught.value.response.history) == 30


def test_P3_other_redirects_are_not_waited_for(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    server.script(Reply(302, {"Location": "/a"}), Reply(301, {"Location": "/b"}), DONE)
    response = connect(FAST.replace(clock=clock)).get(server.url)
    assert asked(response) == ["GET 302", "GET 301", "GET 200"]
    assert clock.slept == []


@pytest.mark.parametrize("status", [301, 307, 308])
def test_P3_P5_polls_of_any_method(server: Server, connect: Open, status: int) -> None:
    server.script(*[poll(f"/work/{n}", status=status) for n in range(100)], DONE)
    assert connect(FAST).put(server.url, data=b"body").text == "done"
    assert {seen.method for seen in server.seen} == {"PUT"}
    assert {seen.body for seen in server.seen[1:]} == {b"body" if status > 306 else b""}
    assert len(server.seen) == 101


# P4: refusals


def test_P4_refused_requests_are_sent_again(server: Server, connect: Open) -> None:
    server.script(again(), again(status=503), DONE)
    response = connect(FAST).post(server.url, data=b"body")
    assert response.text == "done"
    assert response.history == []
    assert [seen.body for seen in server.seen] == [b"body"] * 3


def test_P4_a_refused_poll_asks_for_its_own_url(server: Server, connect: Open) -> None:
    server.script(poll("/work"), again(), DONE)
    assert connect(FAST).post(server.url).text == "done"
    assert server.asked == ["POST /", "GET /work", "GET /work"]


def test_P4_a_file_is_rewound(server: Server, connect: Open) -> None:
    server.script(again(), DONE)
    file = BytesIO(b"skipped body")
    file.seek(8)
    connect(FAST).put(server.url, data=file)
    assert [seen.body for seen in server.seen] == [b"body"] * 2


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, partial(array, "B")])
def test_P4_bytes_of_any_kind_are_sent_again(server: Server, connect: Open, kind: Any) -> None:
    server.script(again(), DONE)
    connect(FAST).put(server.url, data=kind(b"body"))
    assert [seen.body for seen in server.seen] == [b"body"] * 2


def test_P4_a_body_that_cannot_be_rewound_is_said_before_any_wait(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    def body() -> Iterator[bytes]:
        yield b"5"

    server.script(again("600"), DONE)
    with pytest.raises(UnrewindableBodyError, match="give bytes or a seekable file"):
        connect(FAST.replace(clock=clock)).post(server.url, data=body())
    assert clock.slept == []


# P5: without redirects


def test_P5_without_redirects_the_first_is_returned_at_once(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    server.script(Reply(303, {"Location": "/work", "Retry-After": "20000"}, b"soon"))
    response = connect(FAST.replace(clock=clock)).post(server.url, allow_redirects=False)
    assert (response.status_code, response.text) == (303, "soon")
    assert len(server.seen) == 1
    assert clock.slept == []


def test_P5_its_body_can_be_streamed(server: Server, connect: Open) -> None:
    server.script(Reply(303, {"Location": "/work", "Retry-After": "5"}, b"x" * 60_000))
    options: dict[str, Any] = {"allow_redirects": False, "stream": True}
    with requests.Session() as plain:
        expected = plain.post(server.url, **options).content
    assert connect(FAST).post(server.url, **options).content == expected


def test_P1_P5_the_next_request_sent_by_hand_is_waited_for(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    server.script(poll("/work", "5"), poll("/work/2", "6"), DONE)
    session = connect(FAST.replace(clock=clock))
    response = session.post(server.url, allow_redirects=False)
    assert response.next is not None
    clock.now += 2
    assert session.send(response.next).text == "done"
    assert server.asked == ["POST /", "GET /work", "GET /work/2"]
    assert clock.slept == [3, 6]


def test_P1_P5_hop_by_hop(server: Server, connect: Open, clock: FakeClock) -> None:
    """As HTTPie follows redirects."""
    server.script(*[poll(f"/work/{n}", str(n)) for n in range(1, 50)], DONE)
    session = connect(FAST.replace(clock=clock))
    response = session.post(server.url, allow_redirects=False)
    while response.next is not None:
        response = session.send(response.next, allow_redirects=False)
    assert response.text == "done"
    assert clock.slept == list(range(1, 50))


def test_a_wait_too_long_that_has_gone_by_in_the_callers_hands(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    server.script(poll("/work", "20000"), DONE)
    session = connect(FAST.replace(clock=clock, total_timeout=3))
    response = session.post(server.url, allow_redirects=False)
    assert response.next is not None
    clock.now += 10
    with pytest.raises(PollingTimeout, match="due in 19990 s"):
        session.send(response.next)
    assert len(server.seen) == 1
    clock.now += 19990
    assert session.send(response.next).text == "done"


# P6: nothing is lost


def test_P6_failed_polls_are_survived(server: Server, connect: Open) -> None:
    def cut_short() -> Iterator[bytes]:
        yield b"do"
        raise ConnectionAbortedError

    hops = [RESET, Reply(502), poll("/work"), Reply(500), Reply(200, {}, cut_short)]
    server.script(poll("/work"), *hops, DONE)
    assert connect(FAST).post(server.url).text == "done"
    assert server.asked == ["POST /", *["GET /work"] * 6]


def test_P6_the_request_that_starts_the_work_is_sent_once(server: Server, connect: Open) -> None:
    for method in ("GET", "POST"):
        server.seen.clear()
        server.script(RESET, DONE)
        with pytest.raises(requests.ConnectionError):
            connect(FAST).request(method, server.url)
        assert len(server.seen) == 1


def test_P6_an_error_of_the_callers_own_hook_starts_nothing_again(
    server: Server, connect: Open
) -> None:
    def tell(wait: Wait) -> None:
        if wait.number == 2:
            raise requests.ConnectionError("the dashboard is down")

    server.script(poll("/work"))
    with pytest.raises(requests.ConnectionError, match="dashboard"):
        connect(FAST.replace(on_wait=tell)).get(server.url)
    assert server.asked == ["GET /", "GET /work"]


def test_P6_a_hook_that_raises_is_no_failed_poll(server: Server, connect: Open) -> None:
    """The result was there, and is not asked for again."""
    server.script(poll("/work"), DONE)

    def hook(response: requests.Response, **_: Any) -> None:
        if response.ok and not response.is_redirect:
            raise requests.ConnectionError("the caller's own", response=response)

    with pytest.raises(requests.ConnectionError, match="own"):
        connect(FAST).post(server.url, hooks={"response": hook})
    assert server.asked == ["POST /", "GET /work"]


def test_P6_what_a_hook_sends_on_the_side_is_no_failed_poll(
    server: Server, elsewhere: Server, connect: Open
) -> None:
    server.script(poll("/work"), DONE)
    elsewhere.script(RESET)

    def hook(response: requests.Response, **_: Any) -> None:
        if response.url.endswith("/work"):
            requests.get(elsewhere.url, timeout=5)

    with pytest.raises(requests.ConnectionError):
        connect(FAST).post(server.url, hooks={"response": hook})
    assert server.asked == ["POST /", "GET /work"]


@pytest.mark.parametrize(
    ("breaks", "error"),
    [
        (RESET, requests.ConnectionError),
        (
            Reply(200, {"Content-Encoding": "gzip"}, b"no gzip"),
            requests.exceptions.ContentDecodingError,
        ),
    ],
)
def test_P6_whatever_ends_a_job_says_where_it_is(
    server: Server, connect: Open, breaks: Reply, error: type[Exception]
) -> None:
    """A poll by PUT may not be sent again by itself, but the caller can."""
    server.script(poll("/work/1", status=307), poll("/work/2", status=307), breaks)
    with pytest.raises(error) as caught:
        connect(FAST.replace(poll_failures=0)).put(server.url)
    found: Any = caught.value
    assert found.request.url == server.url + "/work/2"
    assert found.response.status_code in (307, 303, 200)
    with PollingSession(policy=FAST) as session:
        server.script(DONE)
        assert session.resume(found.continuation_token).result().text == "done"
    assert server.asked[-1] == "PUT /work/2"


def test_P6_P8_failures_that_outlast_the_policy(server: Server, connect: Open) -> None:
    server.script(poll("/work"), RESET)
    with pytest.raises(OutageTooLong, match="outlasts poll_failures=2") as caught:
        connect(FAST.replace(poll_failures=2)).post(server.url)
    assert len(server.seen) == 4
    assert isinstance(caught.value, (requests.ConnectionError, requests.Timeout))
    assert type(caught.value.__cause__) is requests.ConnectionError
    assert caught.value.url == f"{server.url}/work"
    assert caught.value.continuation_token
    server.script(poll("/work"), Reply(502, {}, b"gone"))
    response = connect(FAST.replace(poll_failures=2)).post(server.url)
    assert (response.status_code, response.text) == (502, "gone")


def test_P6_errors_carry_what_is_needed_to_go_on(server: Server, connect: Open) -> None:
    server.script(poll("/work/1"), poll("/work/2", "60"))
    url = server.url.replace("//", "//user:secret@") + "/start"
    with pytest.raises(PollingTimeout) as caught:
        connect(FAST.replace(total_timeout=30)).post(url)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert error.polls == 1
        assert 0 <= error.elapsed < 30
        assert error.response.status_code == 303
        assert error.url.endswith("/work/2")
        assert re.search(r"due in (60|59\.\d+) s", str(error))
        assert "303 x 2" in str(error)
        assert f"resume with GET {server.url}/work/2" in str(error)
        assert "secret" not in str(error)
    assert caught.value.request.url.endswith("/work/1")


# P7: what requests decides


def test_P7_hooks_see_every_poll(server: Server, connect: Open) -> None:
    server.script(poll("/work/1"), poll("/work/2"), again(), DONE)
    seen: list[int] = []

    def hook(response: requests.Response, **_: Any) -> None:
        seen.append(response.status_code)

    connect(FAST).post(server.url, hooks={"response": hook})
    # a 429 is asked again below the hooks, except where the adapter knows nothing of it
    assert [status for status in seen if status != 429] == [303, 303, 200]


@pytest.mark.parametrize("empty", [None, {}, {"response": ()}, {"response": None}])
def test_P7_hooks_in_any_form_that_requests_takes(
    server: Server, connect: Open, empty: Any
) -> None:
    seen: list[int] = []

    def hook(response: requests.Response, **_: Any) -> None:
        seen.append(response.status_code)

    for hooks in (empty, {"response": hook}, {"response": (hook,)}):
        server.script(poll("/work"), poll("/work"), DONE)
        request = requests.Request("GET", server.url).prepare()
        request.hooks = hooks
        assert connect(FAST).send(request).text == "done"
    assert seen == [303, 303, 200] * 2


def test_P7_what_a_hook_changes_in_a_request_is_in_the_next(server: Server, connect: Open) -> None:
    """As requests copies it, after the hooks."""
    server.script(*[poll("/work")] * 4, DONE)
    numbers = itertools.count(1)

    def hook(response: requests.Response, **_: Any) -> None:
        response.request.headers["X-Number"] = str(next(numbers))

    connect(FAST).get(f"{server.url}/work", hooks={"response": hook})
    sent = [seen.headers.get("X-Number") for seen in server.seen]
    assert sent == [None, "1", "2", "3", "4"]


def test_P7_cookies_come_and_go_between_polls_of_one_address(server: Server, connect: Open) -> None:
    def cookie(value: str) -> Reply:
        return poll("/work", **{"Set-Cookie": f"a={value}; Path=/"})

    same = poll("/work")
    gone = cookie("; Max-Age=0")
    server.script(same, same, same, cookie("1"), same, cookie("2"), same, gone, same, same, DONE)
    connect(FAST).get(f"{server.url}/work")
    sent = [seen.headers.get("Cookie") for seen in server.seen]
    assert sent == [*[None] * 4, "a=1", "a=1", "a=2", "a=2", None, None, None]


def test_P7_headers_of_a_body_go_with_the_first_303(server: Server, connect: Open) -> None:
    kept, dropped = poll("/work", status=307), poll("/work", status=303)
    server.script(kept, kept, kept, dropped, kept, dropped, DONE)
    connect(FAST).get(f"{server.url}/work", headers={"Content-Type": "text/x"})
    sent = [seen.headers.get("Content-Type") for seen in server.seen]
    assert sent == [*["text/x"] * 4, None, None, None]


def test_P7_netrc_is_read_where_the_address_changes(
    server: Server, connect: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("NETRC", str(file))
    server.script(poll("/work"), poll("/work"), poll("/work"), poll("/other"), DONE)
    connect(FAST).get(server.url)
    assert len({seen.headers["Authorization"] for seen in server.seen}) == 1


def test_P7_authorization_stays_with_its_origin(
    server: Server, elsewhere: Server, connect: Open
) -> None:
    server.script(poll("/work"), poll(f"{elsewhere.url}/work"))
    elsewhere.script(poll("/work"), DONE)
    assert connect(FAST).get(server.url, auth=("user", "secret")).text == "done"
    assert ["Authorization" in seen.headers for seen in server.seen] == [True, True]
    assert ["Authorization" in seen.headers for seen in elsewhere.seen] == [False, False]


def test_P7_bodies_and_methods_are_rebuilt_by_requests(server: Server, connect: Open) -> None:
    server.script(poll("/work", status=307), poll("/work", status=303), DONE)
    connect(FAST).put(server.url, data=BytesIO(b"body"))
    assert server.asked == ["PUT /", "PUT /work", "GET /work"]
    assert [seen.body for seen in server.seen] == [b"body", b"body", b""]


def test_P7_cookies_set_by_a_poll_reach_the_next(server: Server, connect: Open) -> None:
    polls = [poll(f"/work/{n}", **{"Set-Cookie": f"c{n}=1; Path=/"}) for n in range(40)]
    server.script(*polls, DONE)
    session = connect(FAST)
    session.post(server.url)
    assert len(server.seen[-1].headers["Cookie"].split("; ")) == 40
    assert len(session.cookies) == 40


def test_P7_a_cookie_set_anew_by_each_poll_is_kept_once(server: Server, connect: Open) -> None:
    polls = [poll("/work", **{"Set-Cookie": f"c={n}; Path=/"}) for n in range(100)]
    server.script(*polls, DONE)
    session = connect(FAST)
    response = session.post(server.url)
    assert session.cookies["c"] == "99"
    assert len(response.history) <= 31


def test_P7_a_location_without_an_adapter_is_refused_before_any_wait(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    server.script(poll("ftp://127.0.0.1/work", "60"))
    with pytest.raises(requests.exceptions.InvalidSchema):
        connect(FAST.replace(clock=clock)).get(server.url)
    assert clock.slept == []


def test_P7_a_location_with_no_port_is_refused_by_requests(server: Server, connect: Open) -> None:
    server.script(poll("http://127.0.0.1:99999/work"))
    with pytest.raises(requests.exceptions.InvalidURL):
        connect(FAST).get(server.url)


@pytest.mark.parametrize("retry_after", [{}, {"Retry-After": "5"}])
def test_P7_an_empty_location_leads_nowhere(
    server: Server, connect: Open, retry_after: dict[str, str]
) -> None:
    server.script(poll("/work"), Reply(303, {"Location": "", **retry_after}))
    assert connect(FAST).get(server.url).status_code == 303


# P8: errors are requests' errors


def test_P8_nothing_is_asked_after_the_end(server: Server, connect: Open) -> None:
    server.script(poll("/work"))
    started = time.monotonic()
    with pytest.raises(PollingTimeout):
        connect(FAST.replace(total_timeout=0.3)).get(server.url)
    last = max(seen.at for seen in server.seen)
    assert last - started < 0.3 + 1  # a busy machine may take a while


def test_P8_a_wait_past_the_deadline_raises_unslept(server: Server, connect: Open) -> None:
    server.script(poll("/work/1", "20000"))
    started = time.monotonic()
    with pytest.raises(requests.Timeout) as caught:
        connect(FAST.replace(total_timeout=3)).post(server.url)
    assert time.monotonic() - started < 2
    assert isinstance(caught.value, PollingTimeout)
    assert caught.value.url == server.url + "/work/1"


def test_P8_a_server_that_does_not_answer_in_time(server: Server, connect: Open) -> None:
    def answer(_: object) -> Reply:
        time.sleep(1)
        return DONE

    server.answer = answer
    for timeout in (None, 5, (5, 5), (None, None), urllib3.Timeout(5), urllib3.Timeout(read=5)):
        with pytest.raises(PollingTimeout, match=r"total_timeout=0\.1"):
            connect(FAST.replace(total_timeout=0.1)).post(server.url, timeout=timeout)


def test_P8_retry_after_too_long(server: Server, connect: Open, clock: FakeClock) -> None:
    server.script(again("9999999999"))
    with pytest.raises(RetryAfterTooLong, match="resume with PUT") as caught:
        connect(PollingPolicy(total_timeout=None, clock=clock)).put(server.url)
    assert clock.slept == []
    assert caught.value.response.status_code == 429


@pytest.mark.parametrize("digits", ["9" * 400, "9" * 5000, "9" * 400 + ".5"])
def test_P1_P8_a_wait_longer_than_any_number(server: Server, connect: Open, digits: str) -> None:
    server.script(poll("/work", digits))
    for policy in (FAST.replace(total_timeout=None), FAST):
        server.seen.clear()
        with pytest.raises(RetryAfterTooLong) as caught:
            connect(policy).get(server.url)
        assert len(server.seen) == 1
        assert caught.value.seconds > 1e300
        assert caught.value.continuation_token is not None


def test_P8_a_day_is_too_long_by_default(server: Server, connect: Open) -> None:
    server.script(again("86400"))
    with pytest.raises(RetryAfterTooLong, match="asks to wait 86400 s") as caught:
        connect(PollingPolicy()).get(server.url)
    assert caught.value.seconds == 86400


# outages


@pytest.mark.parametrize("status", [0, 408, 425, 429, 502, 503, 504, 520, 524, 530])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_P6_an_outage_of_ten_minutes_is_survived(
    server: Server, connect: Open, clock: FakeClock, status: int, method: str
) -> None:
    """A deploy, whatever it looks like; also for polls that stay PUT or DELETE."""
    begins = clock.now

    def answer(seen: Seen) -> Reply:
        if seen.path == "/start":
            return poll("/work", "1", 303 if method == "POST" else 307)
        down = begins + 1 <= clock.now < begins + 599
        return (Reply(status) if status else RESET) if down else DONE

    server.answer = answer
    policy = PollingPolicy(clock=clock, jitter=0)
    response = connect(policy).request(method, f"{server.url}/start", data=b"body")
    assert response.text == "done"
    assert 599 <= clock.now - begins < 640
    assert len([seen for seen in server.seen if seen.path == "/start"]) == 1


def test_P6_an_outage_is_over_by_a_status_or_by_an_error(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    policy = PollingPolicy(clock=clock, jitter=0)
    server.script(poll("/work", "1"), Reply(502, {}, b"gone"))
    began = clock.now
    assert connect(policy).post(server.url).text == "gone"
    assert 600 <= clock.now - began < 640
    server.script(poll("/work", "1"), RESET)
    with pytest.raises(OutageTooLong, match="outlasts outage_max=600"):
        connect(policy).post(server.url)


def test_P6_five_500_in_a_row_are_the_answer(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    policy = PollingPolicy(clock=clock, jitter=0)
    five = [Reply(500)] * 4
    server.script(poll("/work", "1"), *five, poll("/work", "1"), *five, Reply(502), *five, DONE)
    assert connect(policy).post(server.url).text == "done"
    server.script(poll("/work", "1"), Reply(500))
    server.seen.clear()
    assert connect(policy).post(server.url).status_code == 500
    assert len(server.seen) == 6


def test_P6_a_safe_request_that_was_put_off_may_fail(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    policy = PollingPolicy(clock=clock, jitter=0)
    server.script(again("60", 503), Reply(502), RESET, again("1"), DONE)
    assert connect(policy).get(server.url).text == "done"
    server.seen.clear()
    server.script(again("60", 503), Reply(502))
    assert connect(policy).post(server.url).status_code == 502
    assert len(server.seen) == 2


def test_P6_an_error_page_that_is_cut_short_is_a_failed_poll(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    """It does not reset the count of those in a row."""

    def cut_short() -> Iterator[bytes]:
        yield b"no"
        raise ConnectionAbortedError

    server.script(poll("/work", "1"), Reply(404, {}, cut_short))
    began = clock.now
    with pytest.raises(OutageTooLong):
        connect(PollingPolicy(clock=clock, jitter=0)).post(server.url)
    assert 600 <= clock.now - began < 640
    assert len(server.seen) < 40


def test_P2_refusals_in_a_row_slow_down(server: Server, connect: Open, clock: FakeClock) -> None:
    server.script(*[again("0")] * 6, again("9"), again("0"), poll("/work", "0"), again("0"), DONE)
    connect(PollingPolicy(clock=clock, jitter=0)).get(server.url)
    assert clock.slept == [0.1, 0.5, 1, 2, 4, 8, 16, 30, 0.1, 0.1]


def test_P6_what_urllib3_gives_up_on_is_a_failed_poll(server: Server, clock: FakeClock) -> None:
    policy = PollingPolicy(clock=clock, jitter=0)
    with PollingSession(policy=policy) as session:
        retries = urllib3.Retry(2, status_forcelist=[502])
        session.mount("http://", PollingAdapter(policy=policy, max_retries=retries))
        server.script(poll("/work", "1"), *[Reply(502)] * 7, DONE)
        assert session.post(server.url).text == "done"


def test_P8_nothing_is_asked_where_a_body_has_dripped_past_the_end(
    server: Server, connect: Open
) -> None:
    def drip() -> Iterator[bytes]:
        for _ in range(100):
            time.sleep(0.05)
            yield b"x"

    headers = {"Location": "/work", "Retry-After": "0"}
    server.script(poll("/work"), Reply(303, headers, drip), DONE)
    with pytest.raises(PollingTimeout):
        connect(FAST.replace(total_timeout=0.5)).get(server.url)
    assert len(server.seen) == 2


def test_P6_the_tally_has_all_answers(server: Server, connect: Open) -> None:
    server.script(poll("/work"))
    with pytest.raises(TooManyPolls, match="seen so far: 303 x 1;"):
        connect(FAST.replace(max_polls=0)).get(server.url)
    server.script(poll("/work"), again(), poll("/work"), poll("/work"))
    with pytest.raises(TooManyPolls, match="seen so far: 303 x 3, 429 x 1;"):
        connect(FAST.replace(max_polls=2)).get(server.url)


def test_P8_too_many_polls(server: Server, connect: Open) -> None:
    server.script(poll("/work"))
    with pytest.raises(requests.TooManyRedirects) as caught:
        connect(FAST.replace(max_polls=5)).post(server.url)
    assert isinstance(caught.value, TooManyPolls)
    assert caught.value.polls == 5
    assert len(server.seen) == 6


# P9: no hidden state


def test_P9_calls_know_nothing_of_each_other(server: Server, connect: Open) -> None:
    session = connect(FAST.replace(max_polls=2))
    for _ in range(3):
        server.script(poll("/work"), poll("/work"), DONE)
        assert session.get(server.url).text == "done"


def test_P9_sessions_pickle_with_their_policy(server: Server, connect: Open) -> None:
    session = pickle.loads(pickle.dumps(connect(FAST.replace(max_polls=1))))
    server.script(poll("/work"))
    with session, pytest.raises(TooManyPolls):
        session.get(server.url)


def test_P9_threads_share_a_session(server: Server, connect: Open) -> None:
    works: dict[str, int] = {}

    def answer(seen: Any) -> Reply:
        times = works[seen.path] = works.get(seen.path, 0) + 1
        if times <= 5:
            return poll(seen.path)
        return Reply(200, {}, seen.path.encode())

    server.answer = answer
    session = connect(FAST)
    with ThreadPoolExecutor(8) as pool:
        paths = [f"/{n}" for n in range(40)]
        results = pool.map(lambda path: session.get(server.url + path).text, paths)
        assert list(results) == paths


def test_P9_threads_share_a_prepared_request(server: Server, connect: Open) -> None:
    due: dict[str, float] = {}
    early: list[float] = []
    lock = threading.Lock()

    def answer(seen: Any) -> Reply:
        with lock:
            if seen.path == "/start":
                path = f"/work/{len(due)}"
            elif seen.path.startswith("/work"):
                path = "/done" + seen.path
            else:
                path = ""
            now = time.monotonic()
            early.extend(due[seen.path] - now for _ in [0] if now < due.get(seen.path, now))
            if not path:
                return DONE
            wait = 0.05 * (1 + len(due) % 4)
            due[path] = now + wait
        return poll(path, f"{wait:.3f}")

    server.answer = answer
    session = connect(FAST)
    request = session.prepare_request(requests.Request("POST", f"{server.url}/start"))
    with ThreadPoolExecutor(8) as pool:
        assert {done.text for done in pool.map(lambda _: session.send(request), range(24))} == {
            "done"
        }
    assert early == []


# what a caller sees


@pytest.mark.parametrize("stream", [True, False])
def test_a_large_result_arrives_whole(server: Server, connect: Open, stream: bool) -> None:
    large = b"x" * 1_000_000
    server.script(poll("/work"), poll("/work"), Reply(200, {}, large))
    response = connect(FAST).get(server.url, stream=stream)
    assert response.raw.isclosed() is not stream
    assert response.content == large


def test_history_is_bounded_and_in_order(server: Server, connect: Open) -> None:
    redirect = Reply(302, {"Location": "/work"})
    server.script(*[poll(f"/work/{n}") for n in range(100)], redirect, DONE)
    response = connect(FAST).get(server.url)
    assert len(response.history) <= 32
    assert response.history[0].url == server.url + "/"
    assert response.history[-1].status_code == 302


def test_on_wait_sees_each_wait_before_it_begins(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    waits: list[Wait] = []
    progress = gzip.compress(b'{"progress": 40}')
    headers = {"Location": "/work", "Retry-After": "2", "Content-Encoding": "gzip"}
    server.script(poll("/work", "3"), Reply(303, headers, progress), RESET, again("4"), DONE)
    policy = PollingPolicy(jitter=0, clock=clock, on_wait=waits.append)
    connect(policy).post(server.url)
    assert [wait.seconds for wait in waits] == [3, 2, 0.5, 4] == clock.slept
    assert [wait.number for wait in waits] == [1, 2, 3, 4]
    assert [wait.elapsed for wait in waits] == [0, 3, 5, 5.5]
    assert {wait.url for wait in waits} == {f"{server.url}/work"}
    assert waits[1].response.json() == {"progress": 40}
    assert waits[1].reason == "303 with Retry-After: 2"
    assert waits[2].response is None
    assert waits[2].reason == "ConnectionError, failed poll 1 in a row"
    assert {wait.job for wait in waits} == {f"{server.url}/"}


def test_the_log_tells_the_waits_and_no_secrets(
    server: Server, connect: Open, caplog: pytest.LogCaptureFixture
) -> None:
    server.script(poll("/work"), poll("/work", "soon"), RESET, DONE)
    url = server.url.replace("//", "//user:secret@")
    with caplog.at_level(logging.DEBUG, "polling_adapter"):
        connect(FAST).post(url, headers={"Cookie": "secret"})
    records = [record for record in caplog.records if record.name == "polling_adapter"]
    levels = ["DEBUG", "WARNING", "WARNING", "INFO", "INFO"]
    assert [record.levelname for record in records] == levels
    assert "answers again, after 1 failed polls in a row" in records[3].getMessage()
    assert re.search(r"/: 200 after 2 polls, \d\.\d s", records[4].getMessage())
    assert "303 with Retry-After: soon, which names no usable time" in caplog.text
    assert "secret" not in "".join(record.getMessage() for record in records)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("limit", "end"),
    [
        ({"max_polls": 2}, "TooManyPolls after 2 polls"),
        ({"retry_after_max": 5}, "RetryAfterTooLong after 2 polls"),
        ({"total_timeout": 6}, "PollingTimeout after 2 polls"),
    ],
)
def test_the_end_by_an_error_is_told_of(
    server: Server,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    way: str,
    limit: dict[str, Any],
    end: str,
) -> None:
    """A token knows where its job began by the origin alone, and not what was seen."""
    server.script(poll("/w", "1"), poll("/w", "1"), poll("/w", "9"))
    policy = FAST.replace(clock=clock, **limit)
    caplog.set_level(logging.INFO, "polling_adapter")
    with pytest.raises(PollingError, match=f"begun at {server.url}/?, seen so far: 303 x "):
        WAYS[way](policy, "POST", server.url)
    told = [one.getMessage() for one in caplog.records if one.name == "polling_adapter"]
    assert len(told) == 1
    assert re.match(f"{server.url}/?: {end}, ", told[0])


def test_the_first_long_wait_is_told_of(
    server: Server, connect: Open, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Half an hour is not silent; a call is not noisy either."""
    server.script(again("1800"), poll("/work", "10"), poll("/work", "60"), DONE)
    with caplog.at_level(logging.INFO, "polling_adapter"):
        connect(FAST.replace(clock=clock)).get(server.url)
    told = [one.getMessage() for one in caplog.records if one.name == "polling_adapter"]
    # A plain session above makes a call of each hop of an adapter that it follows.
    assert len([text for text in told if "is asked in" in text]) <= 2
    assert "is asked in 1800.000 s: 429 with Retry-After: 1800" in told[0]
    assert "200 after 2 polls, 1870.0 s" in told[-1]


def test_long_is_ten_seconds(
    server: Server, connect: Open, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    server.script(*[poll("/work", wait) for wait in ("9", "10", "60")], DONE)
    with caplog.at_level(logging.DEBUG, "polling_adapter"):
        connect(FAST.replace(clock=clock)).get(server.url)
    told = [one for one in caplog.records if "is asked in" in one.getMessage()]
    assert clock.slept == [9, 10, 60]
    assert [one.levelname for one in told] == ["DEBUG", "INFO", "DEBUG"]


def test_an_outage_that_is_over_is_told_of_once(
    server: Server, connect: Open, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    server.script(poll("/work"), *[Reply(502)] * 3, DONE)
    with caplog.at_level(logging.INFO, "polling_adapter"):
        connect(FAST.replace(clock=clock)).get(server.url)
    told = [text for text in caplog.messages if "answers again" in text]
    assert told == [f"{server.url}/work answers again, after 3 failed polls in a row"]


def test_a_waiting_call_holds_no_connection(server: Server, connect: Open) -> None:
    replies = iter([poll("/work", "0.3", **{"X": "1"}), DONE])
    server.answer = lambda seen: next(replies) if "work" in seen.path or "go" in seen.path else DONE
    session = connect(FAST)
    adapter = session.get_adapter(server.url)
    assert isinstance(adapter, requests.adapters.HTTPAdapter)
    with ThreadPoolExecutor() as pool:
        polling = pool.submit(session.get, f"{server.url}/go")
        time.sleep(0.1)
        assert session.get(server.url).text == "done"
        assert polling.result().text == "done"
    assert server.connections == 1


def test_the_connection_is_used_again(server: Server, connect: Open) -> None:
    parts = Reply(303, {"Location": "/work", "Retry-After": "0"}, lambda: [b"not ", b"yet"])
    server.script(
        poll("/work"), parts, poll("/work")._replace(body=b"x" * 9999), parts, again(), DONE
    )
    session = connect(FAST)
    response = session.get(server.url)
    assert response.text == "done"
    assert server.connections == 1


def test_an_endless_body_costs_a_bounded_number_of_bytes(server: Server, connect: Open) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 4096

    headers = {"Location": "/work", "Retry-After": "0"}
    server.script(poll("/work"), Reply(303, headers, endless), Reply(429, headers, endless), DONE)
    assert connect(FAST).get(server.url).text == "done"
    assert server.connections == 3
    assert server.sent < 20_000_000  # what fits into the sockets' buffers
