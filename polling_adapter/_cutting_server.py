"""A server whose end is the end of its connections."""

from __future__ import annotations

import contextlib
import logging
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

logger = logging.getLogger("polling_adapter.reference_server")


class Handler(BaseHTTPRequestHandler):
    """Sends a reply in one piece, at once: no client waits for a delayed acknowledgement."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def handle_expect_100(self) -> bool:
        is_expected = super().handle_expect_100()
        self.wfile.flush()
        return is_expected


class CuttingServer(ThreadingHTTPServer):
    """Cuts its connections when it is closed, and waits for the end of their threads."""

    daemon_threads = False
    request_queue_size = 1024

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, _request: Any, client_address: Any) -> None:
        logger.debug("%s hung up", client_address, exc_info=True)

    def server_close(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):  # it may just have been closed
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()
