"""HTTPie's transports, so that ``http --follow`` waits as the server asks.

What a plugin gives to HTTPie takes the place of HTTPie's own adapter, and HTTPie tells no plugin
which options it has made that one with. ``--verify`` and ``--cert`` come with each request;
``--ssl`` and ``--ciphers`` stand where HTTPie's own parser has left them. That is no documented
hook, but it knows what HTTPie's configuration and ``--no-ssl`` make of the command line.

Nor can a plugin add options: the policy's numbers are read from the environment.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import requests
from httpie.adapters import HTTPieHTTPAdapter
from httpie.cli.definition import parser
from httpie.plugins import TransportPlugin
from httpie.ssl_ import AVAILABLE_SSL_VERSION_ARG_MAPPING, HTTPieHTTPSAdapter
from requests.adapters import BaseAdapter

from ._call.messages import without_line
from .adapter import PollingAdapterMixin
from .exceptions import PollingError
from .policy import PollingPolicy

# The fields of a policy that a variable can hold, by what they are annotated with.
_NUMBERS: dict[Any, type[float] | type[int]] = {
    "float": float,
    "float | None": float,
    "int | None": int,
}


class PollingHTTP(TransportPlugin):  # type: ignore[misc]
    """http:// with Retry-After."""

    name = "polling_adapter"
    description = "respects Retry-After on redirects"
    prefix = "http://"

    def get_adapter(self) -> BaseAdapter:
        return _HTTPAdapter(policy=_policy())


class PollingHTTPS(PollingHTTP):
    """https:// with Retry-After."""

    prefix = "https://"

    def get_adapter(self) -> BaseAdapter:
        # There are no args where a program builds a session of HTTPie by itself.
        given = {} if parser.args is None else vars(parser.args)
        return _OnFirstRequest(
            policy=_policy(),
            ssl_version=AVAILABLE_SSL_VERSION_ARG_MAPPING.get(given.get("ssl_version")),
            ciphers=given.get("ciphers"),
        )


class _ShowsWhy(PollingAdapterMixin):
    """Its errors are of a kind that HTTPie has no words of its own for, which it would show in the
    place of ours: "Request timed out (Nones)"."""

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        try:
            return super().send(request, *args, **kwargs)
        except PollingError as error:
            raise PollingError(  # with no request, as HTTPie would add its URL to the message
                without_line(str(error)),
                url=error.url,
                polls=error.polls,
                elapsed=error.elapsed,
                continuation_token=error.continuation_token,
            ) from error


class _HTTPAdapter(_ShowsWhy, HTTPieHTTPAdapter):  # type: ignore[misc]
    pass


class _HTTPSAdapter(_ShowsWhy, HTTPieHTTPSAdapter):  # type: ignore[misc]
    pass


class _OnFirstRequest(BaseAdapter):
    """Makes its adapter when it knows whether to verify, once; and for http:// none at all: to read
    the certificates that are trusted takes longer than many a request."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._options = options
        self._adapter: _HTTPSAdapter | None = None

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        if self._adapter is None:
            self._adapter = _HTTPSAdapter(verify=bool(verify), **self._options)
        return self._adapter.send(request, stream, timeout, verify, cert, proxies)

    def close(self) -> None:
        if self._adapter is not None:
            self._adapter.close()


def _policy() -> PollingPolicy:
    """What the environment says: ``POLLING_TOTAL_TIMEOUT`` is ``total_timeout``, and so on.

    :raises ValueError: a variable's value is not accepted.
    """
    values: dict[str, float | None] = {}
    variables = []
    for field in dataclasses.fields(PollingPolicy):
        variable = f"POLLING_{field.name.upper()}"
        text = os.environ.get(variable, "").strip()
        if text and field.type in _NUMBERS:
            values[field.name] = _value(variable, text, _NUMBERS[field.type])
            variables.append(variable)
    try:
        return PollingPolicy(**values)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{', '.join(variables)} of the environment: {error}") from None


def _value(variable: str, text: str, kind: type[float] | type[int]) -> float | None:
    if text.lower() == "none":
        return None
    try:
        return kind(text)
    except ValueError:
        accepted = "a whole number" if kind is int else "a number"
        raise ValueError(
            f"{variable}={text!r} of the environment is not accepted: it takes {accepted}, or none"
        ) from None
