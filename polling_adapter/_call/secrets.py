"""What errors of others show of URLs."""

from __future__ import annotations

import requests
import urllib3

from .._rules.address import without_secrets


def show_no_secrets(error: BaseException) -> None:
    """Take userinfo and what is in a query out of the messages of ``error``, and of what it comes
    of. They are the same errors as before, of requests and urllib3 alone."""
    chain: list[object] = [error]
    for one in chain:
        if isinstance(one, (requests.RequestException, urllib3.exceptions.HTTPError)):
            one.args = tuple(
                without_secrets(arg) if isinstance(arg, str) else arg for arg in one.args
            )
            further = (*one.args, one.__cause__, one.__context__)
            chain += [other for other in further if all(other is not known for known in chain)]
