"""A little of the benchmarks, and what is said of their figures."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TOP = Path(__file__).parent.parent
PUBLISHED = TOP / "docs" / "performance.json"


def test_a_figure_knows_whether_its_goal_is_met() -> None:
    from .benchmarks.measure import Row

    assert Row("x", 0.4, "x", "<= 0.40").met
    assert not Row("x", 0.41, "x", "<= 0.40").met
    assert Row("x", 1, "x", ">= 1").met
    assert Row("x", 1, "x").met is None


def test_it_measures_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for peer in ("aiohttp", "httpx", "httpx_retries", "tenacity", "requests_futures"):
        pytest.importorskip(peer)
    from .benchmarks.__main__ import main

    file = tmp_path / "figures.json"
    assert main(["lateness", "imports", "--quick", "--json", str(file)]) == 0
    written = json.loads(file.read_text())
    assert "requests" in written["machine"]
    late = {row["what"]: row["value"] for row in written["results"]["lateness"]}
    assert late["waits"] == 40
    assert late["early by more than 0.1 ms"] == 0
    assert "median" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["nothing"])


def test_the_page_shows_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = TOP / "docs" / "performance"
    (tmp_path / "performance.json").write_text(PUBLISHED.read_text())
    script = tmp_path / "plots.py"
    script.write_text((TOP / "docs" / "plots.py").read_text())
    runpy.run_path(str(script), run_name="__main__")
    made = {file.name: file.read_text() for file in (tmp_path / "performance").iterdir()}
    assert made == {file.name: file.read_text() for file in folder.iterdir()}


def test_the_readme_says_what_was_measured() -> None:
    results = json.loads(PUBLISHED.read_text())["results"]
    figures = {name: {row["what"]: row["value"] for row in results[name]} for name in results}

    def ours(peer: str) -> list[float]:
        shapes = re.compile(rf"(PollingSession|mounted adapter), .* / {peer}, .*")
        polls = [*figures["polls"].items(), *figures["polls_5_variables"].items()]
        return [value for what, value in polls if shapes.fullmatch(what)]

    stock, httpx, late = ours("plain requests"), ours("httpx"), figures["lateness"]
    readme = " ".join((TOP / "README.rst").read_text().split())
    for said in (
        f"{min(stock):.2f} to {max(stock):.2f} times what a redirect costs in plain requests",
        f"{min(httpx):.2f} to {max(httpx):.2f} times what one costs in httpx",
        f"{figures['jobs']['10,000 jobs, memory of each'] / 1000:.1f} KB for each job that waits",
        f"{late['median']:.1f} ms late at the median, {late['p99']:.1f} ms at the 99th",
    ):
        assert said in readme
