"""HTTPie's transports, so that ``http --follow`` waits as the server asks.

What a plugin gives to HTTPie takes the place of HTTPie's own adapter, and HTTPie tells no plugin
which options it has made that one with. ``--verify`` and ``--cert`` come with each request;
``--ssl`` and ``--ciphers`` stand where HTTPie's own parser has left them. That is no documented
hook, but it knows what HTTPie's configuration and ``--no-ssl`` make of the command line.
"""

from __future__ import annotations

from typing import Any

import requests
from httpie.adapters import HTTPieHTTPAdapter
from httpie.cli.definition import parser
from httpie.plugins import TransportPlugin
from httpie.ssl_ import AVAILABLE_SSL_VERSION_ARG_MAPPING, HTTPieHTTPSAdapter
from requests.adapters import BaseAdapter

from .adapter import PollingAdapterMixin


class PollingHTTP(TransportPlugin):  # type: ignore[misc]
    """http:// with Retry-After."""

    name = "polling_adapter"
    description = "respects Retry-After on redirects"
    prefix = "http://"

    def get_adapter(self) -> BaseAdapter:
        return _HTTPAdapter()


class PollingHTTPS(PollingHTTP):
    """https:// with Retry-After."""

    prefix = "https://"

    def get_adapter(self) -> BaseAdapter:
        # There are no args where a program builds a session of HTTPie by itself.
        given = {} if parser.args is None else vars(parser.args)
        return _OnFirstRequest(
            ssl_version=AVAILABLE_SSL_VERSION_ARG_MAPPING.get(given.get("ssl_version")),
            ciphers=given.get("ciphers"),
        )


class _HTTPAdapter(PollingAdapterMixin, HTTPieHTTPAdapter):  # type: ignore[misc]
    pass


class _HTTPSAdapter(PollingAdapterMixin, HTTPieHTTPSAdapter):  # type: ignore[misc]
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
