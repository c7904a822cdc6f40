"""The names that others rely on, and what may rely on what."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest
import requests

import polling_adapter
from polling_adapter import (
    OutageTooLong,
    PollingError,
    PollingTimeout,
    RetryAfterTooLong,
    TooManyPolls,
    WorkFailed,
)

PACKAGE = Path(polling_adapter.__file__).parent
DOCS = Path(__file__).parent.parent / "docs"
REFERENCE = "".join((DOCS / page).read_text() for page in ("policy.rst", "reference.rst"))


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
        "OutageTooLong",
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
        "WorkFailed",
        "__version__",
        "as_completed",
        "continuation_token",
        "install",
        "installed",
        "parse_retry_after",
        "uninstall",
    ]
    assert all(hasattr(polling_adapter, name) for name in polling_adapter.__all__)
    assert (PACKAGE / "py.typed").exists()


def test_each_name_is_where_it_is_looked_up() -> None:
    """What is imported when it is asked for is what a type checker is told."""
    (typed,) = (
        node for node in ast.parse((PACKAGE / "__init__.py").read_text()).body
        if isinstance(node, ast.If)
    )  # fmt: skip
    told = {
        alias.name: node.module
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == polling_adapter._HOME_OF
    assert {*told} == {*polling_adapter.__all__}
    assert {*dir(polling_adapter)} > {*polling_adapter.__all__}
    assert polling_adapter.exceptions.PollingError is PollingError
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = polling_adapter.nothing


def defined_by(file: Path) -> set[str]:
    """The names that a module defines itself, private ones left out."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update(target.id for target in targets if isinstance(target, ast.Name))
    return {name for name in found if not name.startswith("_")}


def test_all_that_is_public_is_in_the_reference() -> None:
    """Who adds a name documents it, or begins it with an underscore."""
    public = {name for name in polling_adapter.__all__ if not name.startswith("_")}
    for file in PACKAGE.glob("[!_]*.py"):
        public |= defined_by(file)
    name = r"^\.\. auto\w+:: (?:[\w.]+\.)?(\w+)(?:\(.*\))?$"
    documented = re.findall(name, REFERENCE, re.MULTILINE)
    assert public - {*documented} == set()


@functools.cache
def modules_used_by(file: Path) -> set[Path]:
    """The files of the package that ``file`` imports, for types alone too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*file.parents][node.level - 1].joinpath(*(node.module or "").split("."))
            found |= {file_of(base / alias.name) or file_of(base) for alias in node.names}
    return {one for one in found if one is not None}


def file_of(module: Path) -> Path | None:
    files = (module.with_suffix(".py"), module.with_suffix(".pyi"), module / "__init__.py")
    return next((file for file in files if file.exists()), None)


def floor(file: Path, below: tuple[Path, ...] = ()) -> int:
    """How many files stand on each other below this one."""
    assert file not in below, f"a circle: {[one.stem for one in (*below, file)]}"
    return 1 + max((floor(one, (*below, file)) for one in modules_used_by(file)), default=0)


def test_the_rules_do_no_io() -> None:
    """Neither HTTP nor time is known where decisions are taken."""
    rules = [*(PACKAGE / "_rules").glob("*.py")]
    assert len(rules) > 5
    for file in rules:
        assert not imported_by(file) & {
            *("requests", "urllib3", "http", "socket", "time", "threading", "logging", "os")
        }, file


def test_modules_import_downwards_only() -> None:
    floors = {file.stem: floor(file) for file in PACKAGE.glob("*.py")}
    assert floors["_clock"] == 1
    assert floors["session"] <= 8


def test_only_the_clock_touches_time() -> None:
    assert [file.stem for file in PACKAGE.rglob("*.py") if "time" in imported_by(file)] == [
        "_clock"
    ]


def test_P8_all_errors_are_errors_of_requests() -> None:
    assert issubclass(PollingError, requests.RequestException)
    assert issubclass(PollingTimeout, (PollingError, requests.Timeout))
    assert issubclass(PollingTimeout, TimeoutError)
    assert issubclass(PollingTimeout, requests.Timeout)
    assert issubclass(TooManyPolls, requests.TooManyRedirects)
    assert all(
        issubclass(error, PollingError) for error in (TooManyPolls, RetryAfterTooLong, WorkFailed)
    )
    assert issubclass(OutageTooLong, PollingError)
    assert issubclass(OutageTooLong, requests.ConnectionError)
    assert issubclass(OutageTooLong, requests.Timeout)
