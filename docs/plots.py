"""Tables and plots of the performance page, from the figures in performance.json.

``python docs/plots.py`` writes them; ``python -m tests.benchmarks --json docs/performance.json``
measures anew.
"""

from __future__ import annotations

import csv
import json
import re
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OURS = r"(?:PollingSession|mounted adapter), .*"

# What is drawn: the figures, and the part of their names that is not said, since the title does
PLOTS = {
    "polls": (
        rf"((?:{OURS}|httpx, .*)) / plain requests, .*",
        "CPU time of a poll, in redirects of plain requests",
    ),
    "plain": (r"(.*) / .*", "CPU time of a request, in those of plain requests"),
    "linear": (r"(.*), each", "CPU time of each poll, in microseconds"),
    "workers": (r"(.* a second, .*)", "polls and plain gets a second"),
    "seed": (r"(.*), requests", "requests for 200 works"),
}

# From the best to the worst of its shapes: the name of each range, and the figures that it is of
RANGES = {
    "a poll, in redirects of plain requests": ("polls.*", rf"{OURS} / plain requests, .*"),
    "a poll, in those of httpx": ("polls.*", rf"{OURS} / httpx, .*"),
    "a request that does not poll, in those of plain requests": (
        "plain",
        r"(?:PollingSession|mounted adapter).* / .*",
    ),
    "late, ten jobs at once, without jitter": ("lateness", "median|p99|maximum"),
    "late, 200 jobs at once, without jitter": ("seed", r"PollingSession, late, .*"),
}

# What figures are compared with, where it is not another one of ours
PEERS = re.compile("plain requests|httpx")

# How often a figure was measured, and what was taken
TAKEN = {"minimum": "at best", "median": "median", "maximum": "at worst"}


def main() -> None:
    figures = json.loads((HERE / "performance.json").read_text())
    folder = HERE / "performance"
    folder.mkdir(exist_ok=True)
    table(folder / "machine.csv", ["", ""], [[*item] for item in figures["machine"].items()])
    for name, rows in figures["results"].items():
        table(folder / f"{name}.csv", *(side_by_side(rows) or one_by_one(rows)))
    table(folder / "range.csv", *ranges(figures["results"]))
    for name, (pattern, title) in PLOTS.items():
        matches = [(re.fullmatch(pattern, row["what"]), row) for row in figures["results"][name]]
        bars = [(match[1], row["value"]) for match, row in matches if match]
        (folder / f"{name}.svg").write_text(plot(title, bars))


Table = tuple[list[str], list[list[str]]]


def one_by_one(rows: list[dict[str, Any]]) -> Table:
    return ["what", "figure", "goal"], [[row["what"], figure(row), goal(row)] for row in rows]


def side_by_side(rows: list[dict[str, Any]]) -> Table | None:
    """A row for each shape, where a figure is the best, the median and the worst of many; None:
    these are none of them."""
    shapes: dict[str, dict[str, str]] = {}
    ratios: dict[str, None] = {}
    for row in rows:
        shape, _, of = row["what"].partition(" / ")
        met = "" if row["met"] is None else f" ({goal(row)})"
        if of:
            base = f"/ {of.partition(', ')[0]}" if PEERS.match(of) else "ratio"
            ratios[base] = None
            shapes[shape][base] = f"{figure(row)}{met}"
            continue
        shape, _, taken = row["what"].rpartition(", ")
        if shape and taken not in TAKEN:
            return None
        taken = taken if shape else "median"
        shapes.setdefault(shape or row["what"], {})[taken] = f"{figure(row)}{met}"
    columns = [taken for taken in TAKEN if any(taken in one for one in shapes.values())]
    if "minimum" not in columns:
        return None
    columns += ratios
    head = ["what", *(TAKEN.get(taken, taken) for taken in columns)]
    cells = [[shape, *(one.get(taken, "") for taken in columns)] for shape, one in shapes.items()]
    return head, cells


def ranges(results: dict[str, list[dict[str, Any]]]) -> Table:
    rows = []
    for title, (result, pattern) in RANGES.items():
        all_of = chain(*(rows for name, rows in results.items() if re.fullmatch(result, name)))
        of = [row for row in all_of if re.fullmatch(pattern, row["what"])]
        best, worst = (choose(of, key=lambda row: row["value"]) for choose in (min, max))
        rows.append([title, said(best), said(worst) if worst is not best else ""])
    return ["what", "at best", "at worst"], rows


def said(row: dict[str, Any]) -> str:
    return f"{figure(row)}: {row['what'].split(' / ')[0]}"


def figure(row: dict[str, Any]) -> str:
    return f"{number(row['value'])} {row['unit']}".strip()


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def goal(row: dict[str, Any]) -> str:
    if not row["goal"]:
        return ""
    return f"{row['goal']}: {'met' if row['met'] else 'not met'}"


def table(file: Path, head: list[str], rows: list[list[str]]) -> None:
    with file.open("w", newline="") as written:
        csv.writer(written, lineterminator="\n").writerows([head, *rows])


# Of a page that is light or dark; a phone shows it as wide as it is.
STYLE = (
    ".page{fill:#fff}text{fill:#222}.ours{fill:#2a6f97}.other{fill:#b8c4cc}"
    "@media (prefers-color-scheme: dark){.page{fill:#16191d}text{fill:#dde3e8}"
    ".ours{fill:#4d9fce}.other{fill:#55626c}}"
)
WIDTH, LONGEST = 340, 250


def plot(title: str, bars: list[tuple[str, float]]) -> str:
    """Horizontal bars, as long as their values, each below its name."""
    longest = max(value for _, value in bars)
    height = 44 + 38 * len(bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        '<rect width="100%" height="100%" rx="6" class="page"/>',
        f'<text x="10" y="22" font-weight="bold">{escape(title)}</text>',
    ]
    for place, (name, value) in enumerate(bars):
        y, length = 38 + 38 * place, LONGEST * value / longest
        ours = any(word in name for word in ("PollingSession", "mounted adapter"))
        lines += [
            f'<text x="10" y="{y + 12}">{escape(name)}</text>',
            f'<rect x="10" y="{y + 17}" width="{max(1, length):.0f}" height="14" '
            f'class="{"ours" if ours else "other"}"/>',
            f'<text x="{16 + length:.0f}" y="{y + 28}">{number(value)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    main()
