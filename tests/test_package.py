"""What is published: it is built from a copy, and looked into."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import NamedTuple

import pytest

from polling_adapter import __version__

pytestmark = pytest.mark.slow

TOP = Path(__file__).parent.parent
PARTS = ("setup.cfg", "setup.py", "README.rst", "polling_adapter", "docs", "tests")
SETTINGS = (".ci", ".mypy.ini", ".pytest.ini", ".ruff.toml")
MADE = shutil.ignore_patterns("__pycache__", "_build", "*.egg-info")


class Built(NamedTuple):
    """The names of the files in it, the top folder of the sdist left out."""

    sdist: set[str]
    wheel: set[str]
    metadata: Message


def copied(folder: Path) -> Path:
    """The project as it is in a checkout, with what tests and documentation leave behind."""
    for part in (*PARTS, *SETTINGS):
        if (TOP / part).is_dir():
            shutil.copytree(TOP / part, folder / part, ignore=MADE)
        else:
            shutil.copy(TOP / part, folder / part)
    for made in ("docs/_build/html/index.html", "tests/__pycache__/server.cpython-310.pyc"):
        (folder / made).parent.mkdir(parents=True)
        (folder / made).write_text("made")
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    pytest.importorskip("build")
    pytest.importorskip("wheel")
    source, output = copied(tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("output")
    # Without an isolated environment nothing is downloaded; the wheel is built from the sdist.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(output)]
    ended = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (sdist,), (wheel,) = output.glob("*.tar.gz"), output.glob("*.whl")
    with tarfile.open(sdist) as archive:
        files = {one.name.partition("/")[2] for one in archive if one.isfile()}
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = Parser().parsestr(archive.read(name).decode())
        return Built(files, set(archive.namelist()), metadata)


def files_below(*parts: str) -> set[str]:
    found = [
        one for part in parts for one in [TOP / part, *(TOP / part).rglob("*")] if one.is_file()
    ]
    names = {one.relative_to(TOP) for one in found}
    return {one.as_posix() for one in names if not {"__pycache__", "_build"} & {*one.parts}}


def test_the_sdist_is_complete(built: Built) -> None:
    assert files_below(*PARTS, *SETTINGS) <= built.sdist
    assert not [name for name in built.sdist if "_build" in name or name.endswith(".pyc")]


def test_the_wheel_holds_the_package_and_nothing_else(built: Built) -> None:
    info = f"polling_adapter-{__version__}.dist-info"
    assert files_below("polling_adapter") <= built.wheel
    assert {name.partition("/")[0] for name in built.wheel} == {"polling_adapter", info}
    assert [name for name in built.wheel if name.startswith(info) and name.endswith("/LICENSE")]


def test_what_an_index_is_told(built: Built) -> None:
    told = built.metadata
    assert told["Version"] == __version__
    assert told["License"] == "MIT"
    assert told["License-File"].endswith("LICENSE")
    assert "pip install polling_adapter" in told.get_payload()
    needed = [one for one in told.get_all("Requires-Dist") if "extra ==" not in one]
    assert {name.partition("<")[0].partition(">")[0] for name in needed} == {"requests", "urllib3"}


def test_the_readme_has_nothing_that_an_index_cannot_show() -> None:
    """Neither roles of Sphinx nor links into the checkout."""
    readme = (TOP / "README.rst").read_text()
    links = re.findall(r"<(\S+)>`_", readme)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []
    assert re.findall(r":\w+:`", readme) == []


def test_the_files_that_the_readme_names_are_there() -> None:
    words = (TOP / "README.rst").read_text().split("``")[1::2]
    named = [word for word in words if word.startswith("docs/")]
    assert len(named) > 3
    assert [word for word in named if not (TOP / word).exists()] == []
