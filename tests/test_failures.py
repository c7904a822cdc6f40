"""What only looks like a failed request."""

from __future__ import annotations

import requests
from requests.hooks import dispatch_hook

from polling_adapter._failures import is_raised_by_a_hook


def raised(error: requests.RequestException, in_a_hook: bool) -> requests.RequestException:
    def hook(*_: object, **__: object) -> None:
        raise error

    try:
        if in_a_hook:
            dispatch_hook("response", {"response": [hook]}, None)
        hook()
    except requests.RequestException as caught:
        return caught


def test_an_error_of_the_users_own_hook() -> None:
    error = requests.ConnectionError("its own")
    assert is_raised_by_a_hook(raised(error, in_a_hook=True), lambda _: None)
    assert not is_raised_by_a_hook(
        raised(requests.ConnectionError("the adapter's"), in_a_hook=False), lambda _: None
    )


def test_what_an_auth_handler_sends_in_a_hook_is_the_calls() -> None:
    request = requests.Request("GET", "http://host/").prepare()
    error = raised(requests.ConnectionError(request=request), in_a_hook=True)
    assert not is_raised_by_a_hook(error, lambda _: "the call")
    assert is_raised_by_a_hook(error, lambda _: None)
