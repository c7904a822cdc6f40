"""How things are timed, and what a figure is."""

from __future__ import annotations

import operator
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Row(NamedTuple):
    """One figure. ``goal`` is what it should not exceed ("<= 0.4") or reach (">= 1")."""

    what: str
    value: float
    unit: str
    goal: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if not self.goal:
            return None
        sign, bound = self.goal.split()
        return self.value <= float(bound) if sign == "<=" else self.value >= float(bound)


def cpu_of_each(
    cases: dict[str, Callable[[], object]], per: int, rounds: int
) -> dict[str, list[float]]:
    """CPU time in microseconds, for one of ``per``, of each case and round: that of this process,
    or where a case returns a float, so many seconds.

    The cases take turns, so that whatever else the machine does falls on all of them.
    """
    for case in cases.values():
        case()
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(rounds):
        names = list(cases)
        for name in names if turn % 2 else reversed(names):
            started = time.process_time()
            told = cases[name]()
            seconds = told if isinstance(told, float) else time.process_time() - started
            taken[name].append(seconds / per * 1e6)
    return taken


def rows(
    taken: dict[str, list[float]], base: str, unit: str, goals: dict[str, str] | None = None
) -> list[Row]:
    """The median and the minimum of each case, and the median of its ratios to ``base``, round by
    round: the two of one round ran side by side, so what slows the machine slows both."""
    found = []
    for name, times in taken.items():
        median, least = statistics.median(times), min(times)
        found.append(Row(f"{name}, median", median, unit))
        found.append(Row(f"{name}, minimum", least, unit))
        if name != base:
            ratio = statistics.median(map(operator.truediv, times, taken[base]))
            found.append(Row(f"{name} / {base}", ratio, "x", (goals or {}).get(name, "")))
    return found


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def resident() -> int:
    """Resident memory of this process, in bytes."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
