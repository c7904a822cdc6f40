"""What the documentation says of the package, compared with the package; and what it prints, with
what is printed."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import urllib3

from polling_adapter import PollingPolicy, exceptions
from polling_adapter.reference_server import ReferenceServer

from .pages import PAGES, TOP, examples
from .test_public_names import PACKAGE, modules_used_by

DOCS = TOP / "docs"

# Their messages are for who calls a command, who reads them there.
COMMANDS = {"__main__.py", "_demo.py"}
# What these raise, the package itself catches.
CAUGHT = {"body.py", "read_ahead.py", "view.py", "below.py", "__init__.py"}


def text_of(page: str) -> str:
    return " ".join((DOCS / page).read_text().split())


def calls_in(file: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            yield node


# The policy


def test_the_table_of_the_policy() -> None:
    page = (DOCS / "policy.rst").read_text()
    row = r"\* - :attr:`~PollingPolicy\.(\w+)`\n     - (.+)\n     - (.+)\n     - (.+)\n"
    rows = re.findall(row, page)
    fields = {field.name: field for field in dataclasses.fields(PollingPolicy)}
    assert [name for name, *_ in rows] == [*fields]
    for name, unit, default, _ in rows:
        value = fields[name].default
        if isinstance(value, frozenset):
            assert {int(status) for status in default.split()} == value
        elif name != "clock":
            assert default == str(value)
        is_function = "Callable" in str(fields[name].type)
        assert is_function == (unit == "function")


def test_the_names_of_urllib3_are_its_own() -> None:
    theirs = re.findall(r"^     - ``(\w+)``$", (DOCS / "policy.rst").read_text(), re.MULTILINE)
    known = {*inspect.signature(urllib3.Retry).parameters, "Timeout"}
    assert len(theirs) > 5
    if urllib3.__version__ >= "2.7":  # that named the last of them
        assert {*theirs} <= known


def test_httpie_lists_each_number_of_the_policy() -> None:
    numbers = {
        f"POLLING_{field.name.upper()}"
        for field in dataclasses.fields(PollingPolicy)
        if isinstance(field.default, int | float) or "int | None" in str(field.type)
    }
    assert {*re.findall(r"``(POLLING_[A-Z_]+)``", text_of("httpie.rst"))} == numbers


# Errors and log lines


def pattern(node: ast.AST) -> str | None:
    """A text as the page has it: three dots for what is of the case."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        return re.sub("…( ?…)*", "…", "".join(map(str, parts)))
    return None


def test_each_log_line_is_in_the_page() -> None:
    found = set()
    for file in PACKAGE.rglob("*.py"):
        for call in calls_in(file):
            if re.fullmatch(r"_?logger\.(debug|info|warning|error|log)", ast.unparse(call.func)):
                found |= {text for text in map(pattern, call.args[:2]) if text}
    assert len(found) > 6
    assert [text for text in found if f"``{text}``" not in text_of("messages.rst")] == []


def test_each_error_is_in_the_page() -> None:
    page = text_of("messages.rst")
    ours = [name for name, kind in vars(exceptions).items() if is_error(kind)]
    assert len(ours) > 5
    assert [name for name in ours if f":exc:`~polling_adapter.{name}`" not in page] == []


def is_error(kind: object) -> bool:
    return isinstance(kind, type) and kind.__module__ == exceptions.__name__


def test_each_text_of_an_error_is_in_the_page() -> None:
    """Arguments that are refused have a form of their own, which is there once."""
    page, found = text_of("messages.rst"), set()
    for file in PACKAGE.rglob("*.py"):
        if file.name in COMMANDS | CAUGHT:
            continue
        for call in calls_in(file):
            named = ast.unparse(call.func).rpartition(".")[2]
            if named.endswith(("Error", "Timeout", "_out_of_time")) or named in ("GiveUp", "kind"):
                found |= {text for text in map(pattern, call.args) if text and " " in text}
    refused = {text for text in found if " is not accepted: " in text}
    assert len(refused) > 10
    assert len(found - refused) > 20
    # One that goes on in another is looked for without its ends.
    assert [text for text in sorted(found - refused) if text.strip("… :") not in page] == []


# The layout of the package


def test_each_module_has_a_place_and_stands_on_those_below() -> None:
    page = (DOCS / "contributing.rst").read_text()
    layout = page.partition("How the package is laid out")[2].partition("\nHow to add")[0]
    groups = [part for part in layout.split("\n\n") if re.match(r"[A-Z].*\n    ", part)]
    assert len(groups) == 4
    place: dict[str, int] = {}
    for number, group in enumerate(groups):
        place |= dict.fromkeys(re.findall(r"``(\w+\.py)``", group), number)
    # A name that is there twice (progress.py) is found in the folder that the group is about.
    files = [file for file in PACKAGE.rglob("*.py") if file.name != "__init__.py"]
    assert {file.name for file in files} <= {*place}
    for file in files:
        if file.name != "progress.py":
            below = [used for used in modules_used_by(file) if used.suffix == ".py"]
            above = [used.name for used in below if place.get(used.name, 0) > place[file.name]]
            assert above in ([], ["progress.py"])


# Examples


def test_no_example_is_left_out() -> None:
    """Those of the tutorial are run below."""
    for page in PAGES:
        blocks = re.findall(r"code-block:: (?:python|py|pycon|default)", page.read_text())
        if page.name != "tutorial.rst":
            assert len(blocks) == len(examples(page)), page.name


LITERAL = re.compile(
    r"^(?:\.\. code-block:: .*|.*::)\n(?: {3}:.*\n)*\n((?:    .*\n|\n)+)", re.MULTILINE
)


def test_code_fits_a_narrow_page() -> None:
    wide = []
    for page in PAGES:
        for code in LITERAL.findall(page.read_text()):
            wide += [f"{page.name}: {line}" for line in code.splitlines() if len(line) > 4 + 78]
    for example in (DOCS / "examples").iterdir():
        if example.is_file():
            lines = example.read_text().splitlines()
            wide += [f"{example.name}: {line}" for line in lines if len(line) > 78]
    assert wide == []


PROGRAM = re.compile(
    r"^\.\. code-block:: python\n   :caption: (\w+\.py)\n\n((?:    .*\n|\n)+)"
    r"(?s:.*?)^\.\. code-block:: text\n\n    \$ python \1\n((?:    .*\n)+)",
    re.MULTILINE,
)
# What is another one each time
VARYING = r"[0-9a-f]{8}-[0-9a-f-]{27}|127\.0\.0\.1:[0-9]+|[0-9]+\.[0-9]+|[0-9]+(?= s\b)"


def test_the_tutorial_prints_what_comes(tmp_path: Path) -> None:
    programs = {name: code for name, *code in PROGRAM.findall((DOCS / "tutorial.rst").read_text())}
    assert [*programs] == ["plain.py", "first.py", "watched.py", "begin.py", "go_on.py", "many.py"]

    def printed(name: str) -> list[str]:
        code, shown = programs[name]
        code = re.sub("(?m)^    ", "", code).replace("http://127.0.0.1:8080", server.url)
        (tmp_path / name).write_text(code)
        command = [sys.executable, name]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
        assert done.stderr == ""
        return [" ".join(re.sub(VARYING, "#", text).split()) for text in (done.stdout, shown)]

    def in_turn(names: list[str]) -> list[list[str]]:
        return [printed(name) for name in names]

    with ReferenceServer() as server, ThreadPoolExecutor(5) as pool:
        turns = [[name] for name in programs if name not in ("begin.py", "go_on.py")]
        for results in pool.map(in_turn, [["begin.py", "go_on.py"], *turns]):
            for came, shown in results:
                assert came == shown


# What others do, in the README


def test_what_others_make_of_the_server_that_comes_with_it() -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    readme = (TOP / "README.rst").read_text()
    ((options, said),) = re.findall(r"    \$ curl (.+)\n    (.+)\n", readme)
    ((url, shown),) = re.findall(r"    >>> requests\.post\(\"(.+)\"\)\n    (.+)\n", readme)
    with ReferenceServer() as server:
        options, url = (one.replace("http://127.0.0.1:8080", server.url) for one in (options, url))
        command = [curl, *shlex.split(options)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert done.stdout.strip() == said
        assert repr(requests.post(url, timeout=30)) == shown
