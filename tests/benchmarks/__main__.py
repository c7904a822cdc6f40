"""``python -m tests.benchmarks [name ...] [--quick] [--json FILE]``"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from . import imports, jobs, lateness, linear, pending, plain, polls, seed, starts, workers
from .measure import Row

MEASUREMENTS: dict[str, Callable[[bool], list[Row]]] = {
    "polls": polls.measure,
    "polls_5_variables": partial(polls.measure, variables=5),
    "pending": pending.measure,
    "plain": plain.measure,
    "starts": starts.measure,
    "linear": linear.measure,
    "lateness": lateness.measure,
    "seed": seed.measure,
    "imports": imports.measure,
    "workers": workers.measure,
    "jobs": jobs.measure,
}
PEERS = ("requests", "urllib3", "httpx", "httpx-retries", "aiohttp", "tenacity", "requests-futures")


def machine() -> dict[str, str]:
    """What was measured on, and with."""
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": f"{len(os.sched_getaffinity(0))} x {names[0] if names else 'unknown'}",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in PEERS},
    }


def show(name: str, found: list[Row]) -> None:
    print(f"\n{name}")
    for row in found:
        goal = f"  goal {row.goal}: {'met' if row.met else 'NOT MET'}" if row.goal else ""
        print(f"  {row.what:<52} {row.value:>12.3f} {row.unit:<6}{goal}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(MEASUREMENTS))
    parser.add_argument("--quick", action="store_true", help="few and rough figures, to try it")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    unknown = sorted({*arguments.names} - {*MEASUREMENTS})
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}: there are {', '.join(MEASUREMENTS)}")
    about = machine()
    for what, which in about.items():
        print(f"{what}: {which}")
    results = {}
    for name in arguments.names or MEASUREMENTS:
        found = MEASUREMENTS[name](arguments.quick)
        show(name, found)
        results[name] = [{**row._asdict(), "met": row.met} for row in found]
    if arguments.json is not None:
        written = {"machine": about, "results": results}
        arguments.json.write_text(json.dumps(written, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
