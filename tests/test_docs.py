"""The documentation's examples run, page by page, against the reference server and the services
that they call."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import requests

from polling_adapter import __version__
from polling_adapter.reference_server import ReferenceServer

from .dialects import services
from .pages import PAGES, TOP, examples, run
from .python_path import python_path
from .server import Server

CHANGELOG = TOP / "docs" / "changelog.rst"

# What is installed for the examples of a page, besides requests.
NEEDED = {
    "works_with.rst": (
        "requests_cache",
        "requests_ntlm",
        "requests_aws4auth",
        "google.auth",
        "azure.core",
    ),
    "progress.rst": ("tqdm",),
    "credentials.rst": ("requests_oauthlib",),
}


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    with services() as servers:
        yield servers


@pytest.mark.parametrize("page", [*filter(examples, PAGES)], ids=lambda page: page.name)
def test_the_examples_run(
    page: Path,
    servers: dict[str, Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("WARNING", "polling_adapter")  # one of them changes it
    monkeypatch.chdir(tmp_path)
    for module in NEEDED.get(page.name, ()):
        pytest.importorskip(module)
    if page.name == "credentials.rst":
        monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    # Long enough for an example to run out of time, where one does.
    duration = 1 if "total_timeout=0.5" in page.read_text() else 0.05
    with ReferenceServer() as server:
        urls = {
            '/start_work"': f'/start_work?duration={duration}"',
            "https://example.org": server.url,
            **{url: service.url for url, service in servers.items()},
        }
        for session in run(page, urls).values():
            if isinstance(session, requests.Session):
                session.close()
    assert server.nb_early_call == 0


def test_the_tests_of_a_page_pass(tmp_path: Path) -> None:
    page = TOP / "docs" / "testing.rst"
    file = tmp_path / "test_of_the_page.py"
    file.write_text("\n\n".join(examples(page)))
    plugins = ["-p", "polling_adapter._pytest_plugin", "-p", "requests_mock"]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, "-p", "no:cacheprovider", str(file)]
    environment = {**os.environ, **python_path(TOP), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60
    )
    tests = len(re.findall(r"(?m)^ *def test_", file.read_text()))
    assert tests >= 10
    assert done.stdout.splitlines()[-1].startswith(f"{tests} passed"), done.stdout


def test_the_pages_with_examples() -> None:
    assert {page.name for page in PAGES if examples(page)} == {
        "README.rst",
        "asyncio.rst",
        "credentials.rst",
        "existing_code.rst",
        "other_ways.rst",
        "progress.rst",
        "quickstart.rst",
        "rate_limits.rst",
        "restart.rst",
        "security.rst",
        "testing.rst",
        "without_blocking.rst",
        "works_with.rst",
    }


def test_the_version_stands_in_one_place_and_in_the_changelog() -> None:
    naming = [
        path
        for path in (*TOP.glob("setup.*"), *PAGES, *(TOP / "polling_adapter").glob("*.py"))
        if re.search(rf"(?<![\d.]){re.escape(__version__)}(?![\d.])", path.read_text())
    ]
    assert [path.name for path in naming] == ["changelog.rst", "_version.py"]


def test_the_changelog_begins_with_this_version_and_its_date() -> None:
    heading = re.search(r"^(\S+) \((\S+)\)\n-+$", CHANGELOG.read_text(), re.MULTILINE)
    assert heading is not None
    assert heading[1] == __version__
    date.fromisoformat(heading[2])
