"""What a request fails with."""

from __future__ import annotations

import traceback
import weakref

import pytest
import requests
from urllib3.exceptions import MaxRetryError, ReadTimeoutError, ResponseError

from polling_adapter._call.failures import (
    is_timeout,
    show_no_secrets,
    what_failed,
    without_frames,
)

READ_TIMEOUT = ReadTimeoutError(None, "http://host/", "Read timed out.")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (requests.ConnectTimeout(), True),
        (requests.ReadTimeout(), True),
        (requests.ConnectionError(READ_TIMEOUT), True),  # in the midst of a body
        (requests.ConnectionError(), False),
        (requests.exceptions.ChunkedEncodingError("cut"), False),
    ],
)
def test_what_took_too_long(error: requests.RequestException, is_one: bool) -> None:
    assert is_timeout(error) is is_one


def too_many(reason: Exception | None) -> requests.RequestException:
    return requests.exceptions.RetryError(MaxRetryError(None, "/", reason))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (requests.ReadTimeout(), "ReadTimeout"),
        (too_many(ResponseError("too many 502 error responses")), 502),
        (too_many(ResponseError("too many redirects")), "RetryError"),
        (too_many(None), "RetryError"),
        (requests.exceptions.RetryError(), "RetryError"),
    ],
)
def test_where_urllib3_gave_up_it_is_the_status(
    error: requests.RequestException, what: str | int
) -> None:
    assert what_failed(error) == what


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_no_secret_is_shown_of_an_error_nor_of_what_it_comes_of() -> None:
    said = "GET https://user:secret@host/w?sig=secret failed"
    inner = MaxRetryError(None, "/w?sig=secret", None)  # type: ignore[arg-type]
    error = raised(requests.ConnectionError(said), raised(requests.ConnectionError(inner)))
    show_no_secrets(error)
    assert str(error) == "GET https://host/w?... failed"
    assert "with url: /w?... " in str(error.__cause__)
    assert "secret" not in f"{error!r} {error.__cause__!r}"


def test_what_is_not_of_requests_is_left_as_it_is() -> None:
    error = raised(ValueError("https://user:secret@host/"))
    show_no_secrets(error)
    assert error.args == ("https://user:secret@host/",)


def test_P9_an_error_that_is_kept_knows_no_frame_but_says_where_it_was_raised() -> None:
    class Local:
        pass

    def fail() -> weakref.ref[Local]:
        local = Local()
        reference = weakref.ref(local)
        kept.append(raised(KeyError("the caller's own")))
        return reference

    kept: list[Exception] = []
    reference = fail()
    error = without_frames(kept[0])
    assert error.__traceback__ is None
    assert reference() is None
    assert "test_failures.py" in "".join(traceback.format_exception(error))


def test_P9_nor_does_what_it_comes_of() -> None:
    error = raised(requests.ConnectionError("no"), raised(OSError("refused")))
    without_frames(error)
    assert error.__traceback__ is None
    assert error.__cause__ is not None
    assert error.__cause__.__traceback__ is None
