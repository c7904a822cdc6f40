"""What a response means by HTTP alone."""

from __future__ import annotations

import pytest
from requests.structures import CaseInsensitiveDict

from polling_adapter._rules.answer import (
    is_error,
    is_final,
    is_poll,
    is_repeatable,
    retry_after,
)

WALL = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_poll_is_a_redirect_with_Retry_After_that_leads_somewhere(status: int) -> None:
    asks = {"Location": "/work", "Retry-After": "soon"}
    assert is_poll(status, asks)
    assert not is_poll(status, {"Location": "/work"})
    assert not is_poll(status, {**asks, "Location": ""})
    assert not is_poll(status, {"Retry-After": "3"})


@pytest.mark.parametrize("status", [200, 202, 300, 304, 305, 306, 309, 404, 503])
def test_what_no_user_agent_follows_is_no_poll(status: int) -> None:
    assert not is_poll(status, {"Location": "/work", "Retry-After": "3"})


def test_the_classes_of_statuses_have_ends() -> None:
    assert [status for status in range(1000) if is_final(status)] == [*range(200, 300)]
    assert [status for status in range(1000) if is_error(status)] == [*range(400, 600)]
    assert not is_error(None)


def test_P6_what_may_be_sent_again() -> None:
    for method in ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"):
        assert is_repeatable(method, {})
    for method in ("POST", "PATCH", "get", ""):
        assert not is_repeatable(method, {})
    assert is_repeatable("POST", CaseInsensitiveDict({"idempotency-key": "7"}))
    assert not is_repeatable("POST", {"Idempotency-Key": ""})


def test_P1_a_date_is_counted_by_the_servers_own_clock() -> None:
    headers = {"Retry-After": "Sun, 06 Nov 1994 08:50:37 GMT"}
    assert retry_after(headers, WALL) == 60
    dated = {**headers, "Date": "Sun, 06 Nov 1994 08:50:07 GMT"}
    assert retry_after(dated, WALL) == 30
    assert retry_after({**dated, "Age": "0"}, WALL) == 60  # out of a cache: it says nothing of now
    assert retry_after({"Retry-After": "7"}, WALL) == 7
    assert retry_after({}, WALL) is None
