"""The documentation's examples run, page by page, against the reference server."""

from __future__ import annotations

import re
import textwrap
from datetime import date
from pathlib import Path

import pytest
import requests

from polling_adapter import __version__
from polling_adapter.reference_server import ReferenceServer

TOP = Path(__file__).parent.parent
PAGES = [TOP / "README.rst", *sorted((TOP / "docs").glob("*.rst"))]
CHANGELOG = TOP / "docs" / "changelog.rst"
EXAMPLE = re.compile(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", re.MULTILINE)

# What is installed for the examples of a page, besides requests.
NEEDED = {"works_with.rst": "requests_cache", "progress.rst": "tqdm"}


def examples(page: Path) -> list[str]:
    return [textwrap.dedent(block) for block in EXAMPLE.findall(page.read_text())]


@pytest.mark.parametrize("page", [*filter(examples, PAGES)], ids=lambda page: page.name)
def test_the_examples_run(page: Path) -> None:
    if page.name in NEEDED:
        pytest.importorskip(NEEDED[page.name])
    # Long enough for an example to run out of time, where one does.
    duration = 1 if "total_timeout=0.5" in page.read_text() else 0.05
    with ReferenceServer() as server:
        names: dict[str, object] = {}
        for example in examples(page):
            short = example.replace('/start_work"', f'/start_work?duration={duration}"')
            exec(short.replace("https://example.org", server.url), names)  # noqa: S102
        for session in names.values():
            if isinstance(session, requests.Session):
                session.close()
    assert server.nb_early_call == 0


def test_the_pages_with_examples() -> None:
    assert {page.name for page in PAGES if examples(page)} == {
        "README.rst",
        "existing_code.rst",
        "progress.rst",
        "quickstart.rst",
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
