"""How to go on, whatever has ended a call."""

from __future__ import annotations

import requests

from ._rules.token import Token


def continuation_token(ended: BaseException | requests.Response) -> str | None:
    """What :meth:`PollingSession.resume` takes to go on with a job.

    :param ended: an exception that left a call, whoever raised it; or a response that is no result
        (401, 404, 429, 502, or a redirect that was not followed), or what its
        ``raise_for_status()`` has raised, or a plain session to which it was one redirect too many.
    :return: None where there is nothing to go on with: the result is there, nothing was polled, or
        it is unknown whether the work has begun. What is sent again without harm, a request by an
        idempotent method or with an Idempotency-Key that got no answer, has a token.
    """
    token = getattr(ended, "continuation_token", None)
    if token is None:
        kinds = requests.HTTPError, requests.TooManyRedirects
        answer = ended.response if isinstance(ended, kinds) else ended
        token = getattr(answer, "_continuation_token", None)
    return str(token) if isinstance(token, (str, Token)) else None
