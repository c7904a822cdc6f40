"""How long ``from polling_adapter import PollingSession`` takes beyond ``import requests``."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from .measure import Row

TIMED = (
    "import requests, time; started = time.perf_counter(); "
    "from polling_adapter import PollingSession; "
    "print(time.perf_counter() - started)"
)


def measure(quick: bool) -> list[Row]:
    with tempfile.TemporaryDirectory() as compiled:  # by the first run, as after an installation
        command = [sys.executable, "-X", f"pycache_prefix={compiled}", "-c", TIMED]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        taken = [
            float(subprocess.run(command, capture_output=True, check=True, env=environment).stdout)
            for _ in range(4 if quick else 21)
        ][1:]
    return [
        Row("beyond requests, median", statistics.median(taken) * 1000, "ms", "<= 10"),
        Row("beyond requests, minimum", min(taken) * 1000, "ms"),
    ]
