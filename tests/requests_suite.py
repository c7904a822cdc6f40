"""The test suite of requests itself, with stock requests and with ours in its place.

``python tests/requests_suite.py`` fetches the source of the installed requests into a cache, runs
its tests with both, and fails where the two lists of passed tests differ (promise P7), and differ
again in the same tests: some of them depend on milliseconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import requests

# Given to pytest as a plugin, so it is in place before a test imports anything.
IN_PLACE = """
import requests, requests.adapters, requests.sessions
from polling_adapter import PollingAdapter, PollingSession

requests.Session = requests.sessions.Session = PollingSession
requests.adapters.HTTPAdapter = requests.sessions.HTTPAdapter = PollingAdapter


def pytest_report_header():
    return f"in place: {requests.Session.__name__}, {requests.adapters.HTTPAdapter.__name__}"
"""
HEADER = "in place: PollingSession, PollingAdapter"


Results = dict[str, tuple[str, str]]


def main() -> int:
    print(f"requests {requests.__version__}")
    differs = differences()
    if differs:
        print("once more:")
        differs &= differences()
    print("FAILED" if differs else "the lists are equal")
    return bool(differs)


def differences() -> set[str]:
    """Those of a run of each."""
    with tempfile.TemporaryDirectory() as folder:
        stock, ours = (Path(folder, name) for name in ("stock", "ours"))
        for place in (stock, ours):
            with tarfile.open(fetched()) as source:
                source.extractall(place, filter="data")
        Path(ours, "polling_in_place.py").write_text(IN_PLACE)
        with ThreadPoolExecutor() as pool:
            runs = [pool.submit(run, stock), pool.submit(run, ours, "-p", "polling_in_place")]
            (stock_results, _), (our_results, our_log) = (one.result() for one in runs)
    if HEADER not in our_log:
        raise SystemExit(f"ours was not in place:\n{our_log}")
    return compared(stock_results, our_results)


def fetched() -> Path:
    """The source distribution of the installed version, fetched once."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(home) / "polling_adapter"
    archive = cache / f"requests-{requests.__version__}.tar.gz"
    if not archive.exists():
        wanted = f"requests=={requests.__version__}"
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps")
        subprocess.run([*pip, "--no-binary", ":all:", "--dest", cache, wanted], check=True)
    return archive


def run(place: Path, *options: str) -> tuple[Results, str]:
    """What became of each test, by its name, with the reason; and what was printed."""
    suite = next(place.glob("requests-*"))
    result = place / "result.xml"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={result}"]
    paths = os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [*command, *options, "tests"],
        cwd=suite,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    if not result.exists():
        raise SystemExit(f"pytest did not run:\n{done.stdout}\n{done.stderr}")
    outcomes = (outcome(case, place) for case in ElementTree.parse(result).iter("testcase"))
    return dict(outcomes), done.stdout


def outcome(case: ElementTree.Element, place: Path) -> tuple[str, tuple[str, str]]:
    name = f"{case.get('classname')}::{case.get('name')}".replace(str(place), "")
    for child in case:
        if child.tag in ("failure", "error", "skipped"):
            return name, (child.tag, " ".join((child.get("message") or "").split())[:100])
    return name, ("passed", "")


def compared(stock: Results, ours: Results) -> set[str]:
    """The tests that one of them alone passes."""
    for name, results in (("stock", stock), ("ours", ours)):
        print(f"{name}: {dict(Counter(what for what, _ in results.values()))}")
    for name, (what, why) in sorted(stock.items()):
        if what != "passed":
            print(f"  {what} with stock requests: {name}: {why}")
    passed_stock, passed_ours = (
        {name for name, (what, _) in results.items() if what == "passed"}
        for results in (stock, ours)
    )
    if len(passed_stock) < 100:
        raise SystemExit("these are not the tests of requests")
    for name in sorted(passed_stock - passed_ours):
        print(f"ONLY STOCK PASSES {name}: {ours.get(name)}")
    for name in sorted(passed_ours - passed_stock):
        print(f"ONLY OURS PASSES {name}")
    return passed_stock ^ passed_ours


if __name__ == "__main__":
    sys.exit(main())
