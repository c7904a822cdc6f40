"""The fixtures, as a run of pytest has them where they are installed."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .python_path import python_path

pytestmark = pytest.mark.slow

TOP = Path(__file__).parent.parent

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run pytest over a file of tests, with what setup.cfg says of plugins installed; the end of
    what it prints."""
    config = configparser.ConfigParser()
    config.read(TOP / "setup.cfg")
    installed = tmp_path / "installed" / "polling_adapter-0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: polling_adapter\nVersion: 0\n"
    )
    points = config["options.entry_points"]["pytest11"]
    (installed / "entry_points.txt").write_text(f"[pytest11]\n{points}\n")

    def run(text: str, *arguments: str, autoload: bool = False) -> str:
        file = tmp_path / "test_of_a_user.py"
        file.write_text(text)
        environment = {
            **os.environ,
            **python_path(installed.parent, TOP),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "" if autoload else "1",
        }
        for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_XDIST_WORKER"):
            environment.pop(name, None)
        plugin = [] if autoload else ["-p", "polling_adapter"]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin]
        command += [
            "-W",
            "error::pytest.PytestWarning",
            f"--rootdir={tmp_path}",
            *arguments,
            str(file),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60
        )
        return done.stdout + done.stderr

    return run


BOTH = """
import time
import requests
from polling_adapter import PollingAdapter, PollingPolicy, PollingSession, as_completed
from polling_adapter.clock import SystemClock

session = PollingSession()  # of the code under test
mine = PollingSession(PollingPolicy(total_timeout=1900, jitter=0, clock=SystemClock()))

def check(clock, server, post):
    started = time.monotonic()
    assert post(server.job(polls=3, retry_after=600, result=42)).json() == 42
    assert len(clock.slept) == 3
    assert all(600 <= seconds <= 660 for seconds in clock.slept)
    assert server.early == []
    assert time.monotonic() - started < 30

def test_a_session(polling_clock, polling_server):
    check(polling_clock, polling_server, session.post)

def test_fixtures_in_another_order(polling_server, polling_clock):
    check(polling_clock, polling_server, session.post)

def test_a_policy_of_its_own(polling_clock, polling_server):
    check(polling_clock, polling_server, mine.post)

def test_a_mounted_adapter(polling_clock, polling_server):
    plain = requests.Session()
    plain.mount("http://", PollingAdapter())
    check(polling_clock, polling_server, plain.post)

def test_pollers(polling_clock, polling_server):
    def post(url):
        (job,) = as_completed([session.submit("POST", url)])
        return job.result()

    check(polling_clock, polling_server, post)

def test_another_test_waits(polling_server):
    started = time.monotonic()
    assert session.post(polling_server.job(polls=2, retry_after=0.2, result=1)).json() == 1
    assert time.monotonic() - started >= 0.4
    assert polling_server.early == []

def test_the_clock_fails(polling_clock):
    polling_clock.sleep(5)
    raise AssertionError

def test_time_goes_on():
    clock = SystemClock()
    assert abs(clock.monotonic() - time.monotonic()) < 5
"""


def test_the_fixtures(run: Run) -> None:
    assert "1 failed, 7 passed" in run(BOTH)


def test_in_processes_of_xdist(run: Run) -> None:
    pytest.importorskip("xdist")
    assert "1 failed, 7 passed" in run(BOTH, "-p", "xdist", "-n", "2")


def test_it_costs_nothing_until_it_is_asked_for(run: Run) -> None:
    """Whoever has it installed runs tests of other things too."""
    unused = """
import sys

def test_nothing_is_imported(request):
    assert request.config.pluginmanager.hasplugin("polling_adapter")
    assert not {"polling_adapter.testing", "http.server"} & set(sys.modules)
    assert not {"requests", "urllib3", "ssl"} & set(sys.modules)  # gevent patches what they import
"""
    assert "1 passed" in run(unused)


def test_it_can_be_left_out(run: Run) -> None:
    asks = "def test_it(polling_clock): pass"
    printed = run(asks, "-p", "no:polling_adapter", autoload=True)
    assert "fixture 'polling_clock' not found" in printed


def test_it_says_what_it_offers(run: Run) -> None:
    printed = run("", "--fixtures", "-v")
    assert "polling_clock" in printed
    assert "Waits between polls take no time in this test" in printed
    assert "polling_server" in printed
