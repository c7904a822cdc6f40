"""Views that begin a job and ask for it once a request: its token is all that is kept."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from ..python_path import python_path
from ..server import Reply, Server, poll

HERE = Path(__file__).parent
TOP = HERE.parents[1]
EXAMPLES = TOP / "docs" / "examples"

JOB = [
    poll("/w", "0.3"),
    poll("/w", "0.3"),
    Reply(200, {"Content-Type": "application/json"}, b'{"answer": 42}'),
]


def was_polite(server: Server) -> bool:
    first, second, third = (seen.at for seen in server.seen)
    return second - first >= 0.3 and third - second >= 0.3


def test_flask(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("flask")
    server.script(*JOB)
    monkeypatch.setenv("SERVICE", server.url)
    monkeypatch.setenv("SECRET_KEY", "secret")
    views = runpy.run_path(str(EXAMPLES / "flask_views.py"))
    with views["service"], views["app"].test_client() as browser:
        assert browser.get("/report").status_code == 404
        answers = [browser.post("/report"), browser.get("/report")]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert [answer.headers["Refresh"] for answer in answers] == ["1; url=/report"] * 2
        assert server.asked == ["POST /start_work"]
        while answers[-1].status_code == 202:
            time.sleep(0.05)
            answers.append(browser.get("/report"))
        assert answers[-1].json == {"answer": 42}
    assert server.asked == ["POST /start_work", "GET /w", "GET /w"]
    assert was_polite(server)


@pytest.mark.skipif(find_spec("django") is None, reason="django is not installed")
def test_django(server: Server) -> None:
    server.script(*JOB)
    project = subprocess.run(
        [sys.executable, str(HERE / "django_project.py")],
        capture_output=True,
        text=True,
        env={**os.environ, **python_path(EXAMPLES, TOP), "SERVICE": server.url},
        timeout=50,
    )
    assert project.returncode == 0, project.stderr
    seen = json.loads(project.stdout)
    assert seen["last"] == {"answer": 42}
    assert seen["statuses"][0] == 202
    assert seen["statuses"][-3:] == [200, 200, 404]
    # what is kept is not asked for again
    assert server.asked == ["POST /start_work", "GET /w", "GET /w"]
    assert was_polite(server)
