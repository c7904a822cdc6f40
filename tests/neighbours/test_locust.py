"""locust puts greenlets in the place of threads when it is imported, so it has a process."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from polling_adapter.reference_server import ReferenceServer

LOCUSTFILE = Path(__file__).parents[2] / "docs" / "examples" / "locustfile.py"

pytestmark = pytest.mark.skipif(find_spec("locust") is None, reason="locust is not installed")


def test_users_of_locust_wait_side_by_side() -> None:
    users = 10
    command = ["locust", "-f", str(LOCUSTFILE), "--headless", "--json", "--only-summary"]
    load = ["-u", str(users), "-r", str(users), "-t", "1s", "--stop-timeout", "5"]
    with ReferenceServer() as server:
        locust = subprocess.run(
            [sys.executable, "-m", *command, *load, "--host", server.url],
            capture_output=True,
            text=True,
            timeout=50,
        )
    assert locust.returncode == 0, locust.stderr
    found = {row["name"]: row for row in json.loads(locust.stdout)}
    assert sorted(found) == ["by a session", "by an adapter"]
    for row in found.values():
        assert row["num_failures"] == 0
        assert row["num_requests"] >= users / 2  # one after the other they would be two
        assert row["min_response_time"] >= 1000
    assert server.nb_early_call == 0
