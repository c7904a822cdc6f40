"""The command: a demo of what the library does, and the server it is shown on."""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit

import requests

from . import __version__
from ._demo import Demo
from .reference_server import DURATION_MAX, ReferenceServer

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: the arguments; default: those of the process.
    :return: the exit status: 0, 1 after an error that is told, 130 after Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    return status


def demo(arguments: argparse.Namespace) -> int:
    """Show one call against a server of its own, or the one at ``--url``."""
    show = _show if sys.stdout.isatty() else None
    try:
        with ExitStack() as stack:
            url = arguments.url or stack.enter_context(ReferenceServer()).url
            Demo(url, _say, show).run(arguments.duration)
    except (requests.RequestException, OSError) as error:
        print(f"no result: {error}", file=sys.stderr)
        return 1
    return 0


def serve(arguments: argparse.Namespace) -> int:
    """Run the reference server until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=arguments.log_level, format="%(asctime)s %(levelname)s %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        with ReferenceServer(arguments.host, arguments.port) as server:
            _say(f"listening on {server.url}, Ctrl-C ends it")
            ended.wait()
    except OSError as error:
        where = f"{arguments.host}:{arguments.port}"
        print(f"cannot listen on {where}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="polling-adapter", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("demo", help="show one call, hop by hop", description=demo.__doc__)
    one.set_defaults(run=demo)
    one.add_argument("--duration", type=_seconds, help="seconds that the work takes (1..20)")
    one.add_argument("--url", type=_url, help="use this server (default: one of its own)")

    other = commands.add_parser("serve", help="run the server", description=serve.__doc__)
    other.set_defaults(run=serve)
    # A default that is text is read as an argument is, so a bad one is told as clearly.
    for flag, variable, default, read in (
        ("--host", "APP_HOST", "127.0.0.1", str),
        ("--port", "APP_PORT", "8080", _port),
        ("--log-level", "APP_LOG_LEVEL", "INFO", _log_level),
    ):
        other.add_argument(
            flag,
            type=read,
            default=os.environ.get(variable, default),
            help=f"default: {variable} of the environment, or {default}",
        )
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= DURATION_MAX:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of seconds from 0 to {DURATION_MAX}"
        )
    return seconds


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname
    except ValueError:  # [ without ]
        good = False
    if not good:
        raise argparse.ArgumentTypeError(f"{text!r} is no http:// or https:// address of a server")
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 (a free one) to 65535")
    return int(text)


def _log_level(text: str) -> str:
    if text.upper() not in _LOG_LEVELS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(_LOG_LEVELS)}")
    return text.upper()


def _say(line: str) -> None:
    print(line, flush=True)


def _show(text: str) -> None:
    print(text, end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
