"""HTTPie's transports, so that ``http --follow`` waits as the server asks."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from httpie.adapters import HTTPieHTTPAdapter
from httpie.config import Config
from httpie.plugins import TransportPlugin
from httpie.ssl_ import AVAILABLE_SSL_VERSION_ARG_MAPPING, HTTPieHTTPSAdapter

from .adapter import PollingAdapterMixin


class PollingHTTP(TransportPlugin):  # type: ignore[misc]
    """http:// with Retry-After."""

    name = "polling_adapter"
    description = "respects Retry-After on redirects"
    prefix = "http://"

    def get_adapter(self) -> PollingAdapterMixin:
        return _HTTPAdapter()


class PollingHTTPS(PollingHTTP):
    """https:// with Retry-After."""

    prefix = "https://"

    def get_adapter(self) -> PollingAdapterMixin:
        return _HTTPSAdapter(**_tls_options())


class _HTTPAdapter(PollingAdapterMixin, HTTPieHTTPAdapter):  # type: ignore[misc]
    pass


class _HTTPSAdapter(PollingAdapterMixin, HTTPieHTTPSAdapter):  # type: ignore[misc]
    pass


def _tls_options() -> dict[str, Any]:
    """What HTTPie gives its own adapter, which ours replaces, and tells no plugin."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--verify", default="yes")
    parser.add_argument("--ssl")
    parser.add_argument("--ciphers")
    given, _ = parser.parse_known_args([*Config().default_options, *sys.argv[1:]])
    return {
        "verify": given.verify.lower() not in ("no", "false"),
        "ssl_version": AVAILABLE_SSL_VERSION_ARG_MAPPING.get(given.ssl),
        "ciphers": given.ciphers,
    }
