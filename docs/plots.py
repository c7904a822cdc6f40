"""Tables and plots of the performance page, from the figures in performance.json.

``python docs/plots.py`` writes them; ``python -m tests.benchmarks --json docs/performance.json``
measures anew.
"""

from __future__ import annotations

import csv
import json
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PLOTS = {
    "polls": (" / ", "CPU time of one poll, in redirects of plain requests"),
    "plain": (" / ", "CPU time of a request that does not poll, in requests of plain requests"),
    "linear": (", each", "CPU time of each poll, in microseconds"),
    "seed": (", requests", "requests for 200 works"),
}


def main() -> None:
    figures = json.loads((HERE / "performance.json").read_text())
    folder = HERE / "performance"
    folder.mkdir(exist_ok=True)
    table(folder / "machine.csv", ["", ""], [[*item] for item in figures["machine"].items()])
    for name, rows in figures["results"].items():
        cells = [
            [row["what"], f"{number(row['value'])} {row['unit']}".strip(), goal(row)]
            for row in rows
        ]
        table(folder / f"{name}.csv", ["what", "figure", "goal"], cells)
    for name, (ending, title) in PLOTS.items():
        bars = [
            (row["what"].split(" / ")[0].removesuffix(ending), row["value"])
            for row in figures["results"][name]
            if ending in row["what"]
        ]
        (folder / f"{name}.svg").write_text(plot(title, bars))


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def goal(row: dict[str, Any]) -> str:
    if not row["goal"]:
        return ""
    return f"{row['goal']}: {'met' if row['met'] else 'not met'}"


def table(file: Path, head: list[str], rows: list[list[str]]) -> None:
    with file.open("w", newline="") as written:
        csv.writer(written, lineterminator="\n").writerows([head, *rows])


def plot(title: str, bars: list[tuple[str, float]]) -> str:
    """Horizontal bars, as long as their values."""
    longest = max(value for _, value in bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{40 + 26 * len(bars)}" '
        'font-family="sans-serif" font-size="13">',
        f'<text x="4" y="18" font-weight="bold">{escape(title)}</text>',
    ]
    for place, (name, value) in enumerate(bars):
        y = 32 + 26 * place
        ours = any(word in name for word in ("PollingSession", "mounted adapter"))
        lines += [
            f'<text x="264" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="272" y="{y}" width="{max(1, 400 * value / longest):.0f}" height="20" '
            f'fill="{"#2a6f97" if ours else "#b8c4cc"}"/>',
            f'<text x="{280 + 400 * value / longest:.0f}" y="{y + 15}">{number(value)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    main()
