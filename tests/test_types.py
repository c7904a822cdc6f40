"""What a type checker says to a user's program, with the package as it is installed."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from textwrap import dedent

import pytest

from polling_adapter import PollingPolicy

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent

#: Lines with a ``# refused`` are refused, and no other.
PROGRAM = """
from __future__ import annotations

from collections.abc import Iterator

import requests
from requests.auth import AuthBase

from polling_adapter import (
    Poller,
    PollingAdapter,
    PollingMixin,
    PollingPolicy,
    PollingSession,
    Wait,
    as_completed,
    continuation_token,
)
from polling_adapter.pending import accepted, any_of, json_field, rate_limit_reset


class Bearer(AuthBase):
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["Authorization"] = "Bearer x"
        return r


class OwnSession(PollingMixin, requests.Session):
    pass


def tell(wait: Wait) -> None:
    if wait.response is not None:
        print(wait.response.status_code, wait.seconds)


policy = PollingPolicy(
    total_timeout=600,
    retry_statuses=[429, 503],
    failure_statuses={500},
    retry_methods=("GET",),
    pending=any_of(accepted, json_field("status", "running")),
    retry_after=rate_limit_reset,
    before_poll=Bearer(),
    on_wait=tell,
)
short = policy.replace(total_timeout=3)
policy.replace(total_timout=3)  # refused
PollingPolicy(total_timout=3)  # refused

url = "http://127.0.0.1/"
session = PollingSession(policy=policy)
session.get(url, {"q": "x"}, timeout=3, polling=short)
session.options(url, polling=False)
session.head(url, polling=policy)
session.post(url, json={"a": [1]}, headers={"X": "y"}, stream=True, polling=False)
session.put(url, data=b"x", timeout=(3, None), polling=policy)
session.patch(url, data=b"x", auth=("a", "b"), polling=policy)
session.delete(url, polling=policy)
session.request("GET", url, params={"a": 1}, polling=policy)
response: requests.Response = OwnSession(policy=policy).post(url, polling=policy)

session.get(url, tiemout=3)  # refused
session.post(url, tiemout=3)  # refused
session.request("GET", url, tiemout=3)  # refused
session.begin("GET", url, tiemout=3)  # refused
session.submit("GET", url, tiemout=3)  # refused
session.get(url, polling=True)  # refused
session.begin("GET", url, polling=False)  # refused

poller: Poller = session.begin("POST", url, json={}, polling=policy)
token: str = poller.continuation_token()
session.resume(token, headers={"X": "y"}, polling=policy).result(timeout=3)
found: str | None = continuation_token(response)


def jobs() -> Iterator[Poller]:
    for n in range(3):
        yield session.submit("GET", url, params={"n": n})


for done in as_completed(jobs(), max_workers=2, max_pending=2):
    print(done.result().status_code)

stock = requests.Session()
stock.mount("https://", PollingAdapter(policy=policy, pool_maxsize=64))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel is unpacked."""
    pytest.importorskip("build")
    where = tmp_path_factory.mktemp("wheel")
    source = where / "source"
    shutil.copytree(
        ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "__pycache__", "*.egg-info")
    )
    command = [sys.executable, "-m", "build", "-wn", "--outdir", str(where)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    with zipfile.ZipFile(next(where.glob("*.whl"))) as wheel:
        wheel.extractall(where / "site")
    return where / "site"


def quickstart() -> str:
    """The code of the page, one block after the other."""
    page = (ROOT / "docs" / "quickstart.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: python\n\n((?: {4}.*\n|\n)+)", page)
    assert len(blocks) > 5
    return "".join(map(dedent, blocks))


CHECKERS = {
    "mypy": ["--strict", "--no-incremental"],
    "basedpyright": ["--pythonpath", sys.executable, "--level", "error"],
}


@pytest.mark.parametrize("checker", list(CHECKERS))
@pytest.mark.parametrize("code", [PROGRAM, quickstart()], ids=["own", "quickstart"])
def test_a_users_program(installed: Path, tmp_path: Path, checker: str, code: str) -> None:
    pytest.importorskip(checker)
    program = tmp_path / "program.py"
    program.write_text(code)
    # basedpyright is pyright, and as strict as that is by default, if it is told so
    as_pyright = {"typeCheckingMode": "standard", "extraPaths": [str(installed)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(as_pyright))
    told = subprocess.run(
        [sys.executable, "-m", checker, *CHECKERS[checker], program.name],
        cwd=tmp_path,
        env={"MYPYPATH": str(installed), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    refused = {int(line) for line in re.findall(r"program\.py:(\d+)(?:: |:\d+ - )error", told)}
    lines = code.splitlines()
    assert refused == {n for n, line in enumerate(lines, 1) if "# refused" in line}, told
    assert "polling_adapter" not in re.sub(r"program\.py.*", "", told), told


def test_replace_takes_the_fields_of_the_policy() -> None:
    stub = (ROOT / "polling_adapter" / "_fields.pyi").read_text()
    named = re.findall(r"^    (\w+): ", stub, re.MULTILINE)
    assert named == [field.name for field in dataclasses.fields(PollingPolicy)]
