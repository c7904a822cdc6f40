"""The names that others rely on, and what may rely on what."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import requests

import polling_adapter
from polling_adapter import PollingError, PollingTimeout, RetryAfterTooLong, TooManyPolls

PACKAGE = Path(polling_adapter.__file__).parent


def imported_by(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_the_public_names() -> None:
    assert polling_adapter.__all__ == [
        "Poller",
        "PollingAdapter",
        "PollingAdapterMixin",
        "PollingError",
        "PollingMixin",
        "PollingPolicy",
        "PollingSession",
        "PollingTimeout",
        "RetryAfterTooLong",
        "TooManyPolls",
        "Wait",
        "__version__",
        "as_completed",
        "install",
        "installed",
        "parse_retry_after",
        "uninstall",
    ]
    assert all(hasattr(polling_adapter, name) for name in polling_adapter.__all__)
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize("name", ["_poll", "_retry_after", "policy", "_works"])
def test_the_core_does_no_io(name: str) -> None:
    """Neither HTTP nor time is known where decisions are taken; ``_works`` has a lock."""
    forbidden = {"requests", "urllib3", "time", "threading", "socket", "http"}
    assert not imported_by(PACKAGE / f"{name}.py") & (forbidden - {"threading"})
    if name != "_works":
        assert "threading" not in imported_by(PACKAGE / f"{name}.py")


def test_only_the_clock_touches_time() -> None:
    assert {file.stem for file in PACKAGE.glob("*.py") if "time" in imported_by(file)} == {"clock"}


def test_P8_all_errors_are_errors_of_requests() -> None:
    assert issubclass(PollingError, requests.RequestException)
    assert issubclass(PollingTimeout, (PollingError, requests.Timeout))
    assert issubclass(PollingTimeout, TimeoutError)
    assert issubclass(PollingTimeout, requests.Timeout)
    assert issubclass(TooManyPolls, requests.TooManyRedirects)
    assert all(issubclass(error, PollingError) for error in (TooManyPolls, RetryAfterTooLong))
