"""The command: a demo of what the library does, and the server it is shown on."""

from __future__ import annotations

import argparse
import logging
import math
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NoReturn

import requests

from . import __version__
from ._demo import Demo, NoResult, folded, in_words
from ._rules.address import authority, is_address
from .progress import ProgressBar
from .reference_server import DURATION_MAX, ReferenceServer

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: the arguments; default: those of the process.
    :return: the exit status: 0, 1 after an error that is told, 130 after Ctrl-C, 141 where nobody
        reads what is printed.
    """
    try:
        try:
            arguments = _parser().parse_args(argv)
            status: int = arguments.run(arguments)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as of a pipe to head, which has read enough
        _print_nowhere()
        return 141
    return status


def demo(arguments: argparse.Namespace) -> int:
    """Show one call."""
    bar = _progress_bar()
    show = _show if sys.stdout.isatty() else None
    try:
        with ExitStack() as stack:
            url = arguments.url or stack.enter_context(ReferenceServer()).url
            shown = Demo(url, _say if bar is None else _say_above, show, bar)
            # A server of its own is no matter of a proxy.
            shown.run(arguments.duration, trust_env=bool(arguments.url))
    except BrokenPipeError:
        raise
    # requests lets a ValueError pass, of a Location that cannot be read
    except (NoResult, requests.RequestException, OSError, ValueError) as error:
        told = in_words(error)
        if not arguments.url:  # that server is gone, and nothing of its addresses is of use
            told = told.partition("; begun at ")[0]
        _complain(f"no result: {told}")
        return 1
    return 0


def serve(arguments: argparse.Namespace) -> int:
    """Run the reference server until SIGTERM or Ctrl-C."""
    logging.basicConfig(
        level=arguments.log_level,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",  # with the date, a line would be longer than 80 columns
    )
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        with ReferenceServer(arguments.host, arguments.port) as server:
            _say(f"listening on {server.url}, Ctrl-C ends it")
            ended.wait()
    except BrokenPipeError:
        raise
    except (OSError, UnicodeError) as error:  # the latter of what can be no name of a host
        where = authority(arguments.host, arguments.port)
        _complain(f"cannot listen on {where}: {getattr(error, 'strerror', None) or error}")
        return 1
    return 0


class _Parser(argparse.ArgumentParser):
    """Repeats no password, of what was typed in a wrong place too."""

    def error(self, message: str) -> NoReturn:
        head, separator, tail = message.partition("://")
        head = re.sub(r"[^\s'\"]*@", "", head)
        told = f"{self.prog}: error: {head}{separator}{tail.rpartition('@')[2]}"
        self.print_usage(sys.stderr)
        self.exit(2, f"{folded(told)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="polling-adapter", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser(
        "demo",
        help="show one call, hop by hop",
        description="Post to a server whose work takes time, and show each hop until the result.",
    )
    one.set_defaults(run=demo)
    one.add_argument(
        "--duration",
        type=_seconds,
        metavar="SECONDS",
        help=f"that the work takes, from 0 to {DURATION_MAX} (default: 1 to 20, by chance)",
    )
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
            default=os.environ.get(variable) or default,
            metavar=variable.removeprefix("APP_").replace("LOG_", ""),
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
    if not is_address(text):
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


def _progress_bar() -> ProgressBar | None:
    """One, if somebody looks and tqdm is installed."""
    try:
        return ProgressBar() if sys.stderr.isatty() else None
    except ImportError:
        return None


def _say(line: str) -> None:
    print(line, flush=True)


def _say_above(line: str) -> None:
    """While there is a progress bar, which tqdm takes away and brings again."""
    from tqdm import tqdm

    with tqdm.external_write_mode():
        _say(line)


def _show(text: str) -> None:
    print(text, end="", flush=True)


def _complain(text: str) -> None:
    """Say what is wrong, but no password that is in an address."""
    print(folded(re.sub(r"://[^/\s]*@", "://", text)), file=sys.stderr)


def _print_nowhere() -> None:
    """From here on, so that Python finds nothing wrong either when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
