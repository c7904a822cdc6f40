"""The documentation as it is read: built without a network, and searched as its search does."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from polling_adapter import PollingPolicy

from .pages import TOP
from .python_path import python_path

Index = dict[str, Any]


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("furo")
    pytest.importorskip("sphinx_copybutton")
    folder = tmp_path_factory.mktemp("html")
    nowhere = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-qW", "-d", str(folder / ".trees"), "docs", str(folder)],
        cwd=TOP,
        env={**os.environ, **nowhere, **python_path(TOP)},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def index(html: Path) -> Index:
    script = (html / "searchindex.js").read_text()
    found: Index = json.loads(script.removeprefix("Search.setIndex(").removesuffix(")"))
    return found


def pages_with(word: str, index: Index) -> set[str]:
    """The pages that a search for ``word`` finds, as Sphinx's searchtools.js looks for it: what is
    a number only among the entries of the index, and all else among the words of the text, too."""
    word, found = word.lower(), set()
    for entry, places in index["indexentries"].items():
        if word in entry and len(word) >= len(entry) / 2:
            found |= {place[0] for place in places}
    if not word.isdigit():
        for terms in (index["terms"], index["titleterms"]):
            for term in [word] if word in terms else [term for term in terms if word in term]:
                found |= {*(terms[term] if isinstance(terms[term], list) else [terms[term]])}
    return {index["docnames"][number] for number in found}


WORDS = [
    ("202", "other_ways"),
    ("303", "protocol"),
    ("401", "credentials"),
    ("429", "rate_limits"),
    ("503", "rate_limits"),
    ("async", "asyncio"),
    ("Ctrl-C", "restart"),
    ("curl", "comparison"),
    ("flask", "server_side"),
    ("history", "limits"),
    ("Idempotency-Key", "restart"),
    ("license", "install"),
    ("memory", "without_blocking"),
    ("password", "security"),
    ("pytest", "testing"),
    ("total_timeout", "policy"),
    ("tqdm", "progress"),
]


@pytest.mark.parametrize(("word", "page"), WORDS, ids=[word for word, _ in WORDS])
def test_a_search_finds(index: Index, word: str, page: str) -> None:
    assert page in pages_with(word, index)


def test_each_field_of_the_policy_has_an_anchor(html: Path) -> None:
    page = (html / "policy.html").read_text()
    for field in dataclasses.fields(PollingPolicy):
        assert f'id="polling_adapter.PollingPolicy.{field.name}"' in page


def test_what_others_document_is_linked_without_a_network(html: Path) -> None:
    page = (html / "quickstart.html").read_text()
    assert 'href="https://requests.readthedocs.io/en/latest/api/#requests.Session"' in page
