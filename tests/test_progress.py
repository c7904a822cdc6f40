"""The progress bar, as a person sees it: on a real terminal of 80 columns."""

from __future__ import annotations

import fcntl
import io
import os
import pickle
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import requests

pytest.importorskip("tqdm")

from tqdm import tqdm

from polling_adapter import PollingAdapter, PollingPolicy, PollingSession, Wait, as_completed
from polling_adapter.progress import ProgressBar, _Job, _Jobs, _percentage

from .fake_clock import FakeClock
from .screen import Screen
from .server import DONE, RESET, Reply, Seen, Server, again, poll

pytestmark = pytest.mark.slow


class Terminal:
    """A terminal of 80 columns, somebody in front of it."""

    def __init__(self) -> None:
        self._outer, self.inner = pty.openpty()
        fcntl.ioctl(self.inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.screen = Screen()
        self.screens: list[list[str]] = []
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while True:
            try:
                text = os.read(self._outer, 65536).decode()
            except OSError:  # the other end is closed
                return
            self.screen.write(text.replace("\r\n", "\n\r"))
            self.screens.append(self.screen.shown)

    def close(self) -> None:
        os.close(self.inner)
        self._thread.join()
        os.close(self._outer)

    @property
    def all_lines(self) -> list[str]:
        return [line for shown in self.screens for line in shown]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


@contextmanager
def shown_on(terminal: Terminal) -> Iterator[ProgressBar]:
    """A bar whose stderr is ``terminal``."""
    with (
        open(terminal.inner, "w", encoding="utf-8", closefd=False) as stderr,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr(sys, "stderr", stderr)
        with ProgressBar() as bar:
            yield bar


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.enumerate()
    yield
    left = {thread.name for thread in threading.enumerate() if thread not in before}
    assert not left & {"ProgressBar", "tqdm_monitor"}


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def showing(bar: ProgressBar) -> PollingSession:
    return PollingSession(policy=PollingPolicy(on_wait=bar, jitter=0))


def test_a_line_moves_while_a_job_waits(server: Server, terminal: Terminal) -> None:
    server.script(poll("/work/42", "1"), poll("/work/42", "1"), DONE)
    with shown_on(terminal) as bar, showing(bar) as session:
        assert session.post(server.url).content == b"done"
    host = server.url.removeprefix("http://")
    pattern = re.compile(rf"{host}/work/42 +waiting, poll (\d) in (0\.\d|1\.0) s, 00:0\d elapsed")
    told = [found.groups() for line in terminal.all_lines if (found := pattern.fullmatch(line))]
    assert {number for number, _ in told} == {"1", "2"}
    for number in ("1", "2"):
        left = list(dict.fromkeys(float(left) for one, left in told if one == number))
        assert len(left) > 1
        assert left == sorted(left, reverse=True)
    assert all(len(shown) <= 1 for shown in terminal.screens)
    until(lambda: terminal.screen.shown == [])


def test_a_slow_answer_is_asked_for(server: Server, terminal: Terminal) -> None:
    answered = threading.Event()

    def answer(seen: Seen) -> Reply:
        if seen.method == "POST":
            return poll("/work", "0")
        answered.wait(10)
        return DONE

    server.answer = answer
    with shown_on(terminal) as bar, showing(bar) as session, ThreadPoolExecutor(1) as pool:
        job = pool.submit(session.post, server.url)
        until(lambda: any("asking, poll 1, 00:0" in line for line in terminal.all_lines))
        answered.set()
        assert job.result().content == b"done"


def test_failed_polls_and_refusals_are_told(server: Server, terminal: Terminal) -> None:
    server.script(again("1"), poll("/work", "0"), RESET, DONE)
    with shown_on(terminal) as bar, showing(bar) as session:
        session.post(server.url)
    told = "\n".join(terminal.all_lines)
    assert re.search(r"refused, again in [\d.]+ s", told)
    assert re.search(r"failed poll, poll 3 in [\d.]+ s", told)


def test_how_far_the_work_has_come(server: Server, terminal: Terminal) -> None:
    progress = iter(["37 % complete", "reading the catalogue"])

    def answer(seen: Seen) -> Reply:
        told = next(progress, None)
        return DONE if told is None else poll("/work", "1", **{"X-Progress": told})

    server.answer = answer
    with shown_on(terminal) as bar, showing(bar) as session:
        session.post(server.url)
    lines = terminal.all_lines
    assert any(re.match(r" 37%\|█+.* +\| .*/work +waiting, poll 1 in", line) for line in lines)
    assert any(re.search(r"poll 2 in .* elapsed, reading the", line) for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_the_adapter_alone(server: Server, terminal: Terminal) -> None:
    server.script(poll("/work", "1"), DONE)
    with shown_on(terminal) as bar, requests.Session() as session:
        session.mount("http://", PollingAdapter(policy=PollingPolicy(on_wait=bar)))
        session.post(server.url)
    assert any("waiting, poll 1 in" in line for line in terminal.all_lines)


def works(seen: Seen) -> Reply:
    """Each start is a work of its own, which is done at the third poll."""
    if seen.method == "POST":
        return poll(f"{seen.path}/1", "1")
    work, _, number = seen.path.rpartition("/")
    return DONE if number == "3" else poll(f"{work}/{int(number) + 1}", "1")


def jobs_in_threads(session: PollingSession, urls: list[str]) -> None:
    with ThreadPoolExecutor(len(urls)) as pool:
        assert all(done.content == b"done" for done in pool.map(session.post, urls))


def jobs_as_completed(session: PollingSession, urls: list[str]) -> None:
    jobs = [session.submit("POST", url) for url in urls]
    for job in as_completed(jobs, max_workers=3):
        assert job.result().content == b"done"


@pytest.mark.parametrize("run", [jobs_in_threads, jobs_as_completed])
def test_each_of_many_jobs_has_its_line(
    server: Server, terminal: Terminal, run: Callable[[PollingSession, list[str]], None]
) -> None:
    """Although each poll is another address, and all begin at once."""
    server.answer = works
    urls = [f"{server.url}/{n}" for n in range(8)]
    with shown_on(terminal) as bar, showing(bar) as session:
        run(session, urls)
    for n in range(8):
        assert {number for line in terminal.all_lines if (number := line_of(n, line))} >= {"1", "2"}
    assert max(len(shown) for shown in terminal.screens) == 8
    until(lambda: terminal.screen.shown == [])


def line_of(n: int, line: str) -> str | None:
    found = re.search(rf"/{n}/(\d) +waiting, poll \1 in", line)
    return found and found[1]


def test_with_a_bar_for_all_of_them(server: Server, terminal: Terminal) -> None:
    """tqdm expects the bar that is begun first to end last: this one ends before the lines."""
    server.answer = works
    with shown_on(terminal) as bar, showing(bar) as session:
        jobs = [session.submit("POST", f"{server.url}/{n}") for n in range(3)]
        # a class of its own, as tqdm's own thread outlasts any bar
        silent = type("silent", (tqdm,), {"monitor_interval": 0})
        for _ in silent(as_completed(jobs), total=len(jobs), desc="jobs"):
            pass
        assert max(len(shown) for shown in terminal.screens) == 4
    until(lambda: len(terminal.screen.shown) == 1)
    assert terminal.screen.shown[0].startswith("jobs: 100%")


def test_on_a_small_terminal_all_lines_are_gone_too(server: Server, terminal: Terminal) -> None:
    """tqdm hides those for which there is no room, and would leave one."""
    fcntl.ioctl(terminal.inner, termios.TIOCSWINSZ, struct.pack("HHHH", 8, 80, 0, 0))
    server.answer = works
    silent = type("silent", (tqdm,), {"monitor_interval": 0})
    with shown_on(terminal) as bar, showing(bar) as session:
        jobs = [session.submit("POST", f"{server.url}/{n}") for n in range(12)]
        for _ in silent(as_completed(jobs), total=len(jobs), desc="jobs"):
            pass
    until(lambda: len(terminal.screen.shown) == 1)
    assert terminal.screen.shown[0].startswith("jobs: 100%")
    assert 3 < max(len(shown) for shown in terminal.screens) <= 7
    assert not [line for line in terminal.all_lines if "hidden" in line]


class Written(io.StringIO):
    """A file that says whether it is a terminal."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def waits(seconds: float = 1.0, **changes: Any) -> Wait:
    response = SimpleNamespace(url="http://x/work", status_code=303, headers={})
    return Wait(
        **{
            "job": "http://x/start",
            "url": "http://x/work",
            "seconds": seconds,
            "reason": "303 with Retry-After: 1",
            "number": 1,
            "elapsed": 0.0,
            "response": response,
            **changes,
        }
    )


def test_nothing_is_written_where_stderr_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Written(is_terminal=False)
    monkeypatch.setattr(sys, "stderr", stderr)
    with ProgressBar() as bar:
        bar(waits())
        until(lambda: "ProgressBar" not in [thread.name for thread in threading.enumerate()])
        bar(waits())
        assert bar._told.empty()  # nobody would ever look
    assert stderr.getvalue() == ""


def test_any_file_that_says_it_is_a_terminal_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Written(is_terminal=True)
    monkeypatch.setattr(sys, "stderr", stderr)
    with ProgressBar() as bar:
        bar(waits())
        until(lambda: "x/work " in stderr.getvalue())


def test_a_terminal_that_is_stuck_holds_no_job_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, goes_on = threading.Event(), threading.Event()

    class Stuck(Written):
        def write(self, text: str) -> int:
            stuck.set()
            goes_on.wait(10)
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", Stuck(is_terminal=True))
    server.script(poll("/work", "1"), poll("/work", "0"), DONE)
    with ProgressBar() as bar, showing(bar) as session:
        assert session.post(server.url).content == b"done"
        assert stuck.is_set()
        goes_on.set()


def test_a_clock_that_only_pretends_to_sleep(
    server: Server, terminal: Terminal, clock: FakeClock
) -> None:
    server.script(poll("/work", "3600"), poll("/work", "3600"), DONE)
    policy = PollingPolicy(clock=clock, jitter=0, total_timeout=None)
    with shown_on(terminal) as bar, PollingSession(policy=policy.replace(on_wait=bar)) as session:
        session.post(server.url)
        until(lambda: any("poll 2 in 3600 s, 1:00:00 el" in line for line in terminal.all_lines))


def test_it_is_used_again(terminal: Terminal) -> None:
    with shown_on(terminal) as bar:
        bar(waits(url="http://x/1"))
        until(lambda: any("x/1 " in line for line in terminal.screen.shown))
        bar.__exit__()
        until(lambda: terminal.screen.shown == [])
        bar(waits(url="http://x/2"))
        with bar:
            bar(waits(url="http://x/3"))
            until(lambda: any("x/3 " in line for line in terminal.screen.shown))
    assert not any("x/2" in line for line in terminal.all_lines)


def test_it_is_pickled_with_its_policy() -> None:
    policy = pickle.loads(pickle.dumps(PollingPolicy(on_wait=ProgressBar())))
    assert isinstance(policy.on_wait, ProgressBar)
    policy.on_wait(waits())  # in no block, this shows nothing


def test_without_tqdm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r"pip install 'polling_adapter\[progress\]'"):
        ProgressBar()


def test_tqdm_is_imported_where_it_is_used() -> None:
    program = "import polling_adapter.progress, sys; sys.exit('tqdm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == 0


INTERRUPTED = """
import signal, sys, threading
from polling_adapter import PollingPolicy, PollingSession
from polling_adapter.progress import ProgressBar
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with ProgressBar() as bar, PollingSession(policy=PollingPolicy(on_wait=bar)) as session:
        session.post(sys.argv[1])
except KeyboardInterrupt:
    print("interrupted,", threading.active_count(), "thread", file=sys.stderr)
"""


def test_ctrl_c_ends_it(server: Server, terminal: Terminal) -> None:
    server.script(poll("/work", "60"))
    command = [sys.executable, "-c", INTERRUPTED, server.url]
    with subprocess.Popen(command, stderr=terminal.inner) as process:
        until(lambda: any("waiting, poll 1 in" in line for line in terminal.all_lines))
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    until(lambda: terminal.screen.shown == ["interrupted, 1 thread"])


# What is said of a job, without any I/O


def told(
    at: float, number: int = 1, url: str = "http://x/1", answered: str = "", **changes: Any
) -> _Job:
    """Of a job that began at 0, whose wait is 1 s."""
    answered = answered or "http://x/start"
    thread = changes.pop("thread", 1)
    job = _Job("http://x/start", url, answered, number, "waiting", "", at, at + 1, 0, thread)
    return job._replace(**changes)


def lines(jobs: _Jobs, now: float) -> list[str]:
    return [line.strip() for line, _ in jobs.at(now)]


def test_what_is_told_next_takes_the_place_of_what_was() -> None:
    jobs = _Jobs()
    jobs.hear(told(0))
    jobs.hear(told(1, 2, "http://x/2", "http://x/1", progress="50%"))
    jobs.hear(told(2, 3, "http://x/2", "http://x/2", state="failed poll"))
    assert jobs.at(2) == [
        (f"{'x/2':<24} {'failed poll, poll 3 in 1.0 s, 00:02 elapsed':<40}", 50.0)
    ]


def test_jobs_that_began_at_one_address_are_told_apart() -> None:
    jobs = _Jobs()
    for n in range(5):
        jobs.hear(told(0, url=f"http://x/{n}", began=n / 1000))
    for n in (3, 0):
        jobs.hear(told(1, 2, f"http://x/new/{n}", f"http://x/{n}"))
    labels = [line.split()[0] for line in lines(jobs, 1)]
    assert labels == ["x/new/0", "x/1", "x/2", "x/new/3", "x/4"]


def test_refused_at_one_address_they_are_told_apart_by_their_beginning() -> None:
    jobs = _Jobs()
    for n in range(3):
        jobs.hear(told(0, url="http://x/start", began=float(-n)))
    jobs.hear(told(1, 2, url="http://x/start", began=-1.001))
    assert [line.split(",")[-1] for line in lines(jobs, 1)] == [
        " 00:01 elapsed",
        " 00:02 elapsed",
        " 00:03 elapsed",
    ]
    assert ["poll 2" in line for line in lines(jobs, 1)] == [False, True, False]


def test_a_redirect_that_is_no_poll_comes_between() -> None:
    jobs = _Jobs()
    jobs.hear(told(0))
    jobs.hear(told(1, 2, "http://x/9", "http://elsewhere/8"))
    assert len(lines(jobs, 1)) == 1


def test_a_job_that_is_not_heard_of_has_no_line() -> None:
    """Three seconds after its wait."""
    jobs = _Jobs()
    jobs.hear(told(0, thread=1))
    jobs.hear(told(0.1, thread=2, url="http://x/2"))
    assert [line.split()[0] for line in lines(jobs, 3.9)] == ["x/1", "x/2"]
    assert [line.split()[0] for line in lines(jobs, 4.1)] == ["x/2"]
    assert "asking, poll 1, " in lines(jobs, 1000)[0]  # the latest may have a slow server
    jobs.hear(told(1001, 7, answered="http://x/1"))
    assert "poll 7 in 1.0 s" in lines(jobs, 1001)[-1]


def test_a_thread_that_begins_a_job_is_done_with_the_one_before() -> None:
    jobs = _Jobs()
    jobs.hear(told(0))
    jobs.hear(told(0, url="http://x/waits", until=60))
    jobs.hear(told(2, url="http://x/3", began=1.5))
    assert [line.split()[0] for line in lines(jobs, 2)] == ["x/waits", "x/3"]


def test_there_are_20_lines_at_the_most() -> None:
    jobs = _Jobs()
    for n in range(25):
        jobs.hear(told(0, url=f"http://x/{n}"))
    assert len(lines(jobs, 0)) == 20
    jobs.hear(told(100, 2, "http://x/new", "http://x/new", thread=2))
    assert len(lines(jobs, 100)) == 1


def test_no_response_is_kept() -> None:
    class Response(SimpleNamespace):
        pass

    response = Response(url="http://x/1", status_code=303, headers={"X-Progress": "1/4"})
    known, job = weakref.ref(response), _Job.of(waits(response=response))
    del response
    assert (known(), job.progress) == (None, "1/4")


def test_a_line_is_safe_to_look_at() -> None:
    """No password, no query, and nothing that a terminal takes for a command."""
    job = told(0, url="http://me:secret@x/?key=secret", progress="\x1b[2J\xe4" + "x" * 100)
    line = job.line(0)
    assert "secret" not in line
    assert line.isprintable()
    assert len(line) < 140


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("50%", 50),
        ("50% complete", 50),
        ("in progress: 12.5 %", 12.5),
        ("100%", 100),
        ("0%", 0),
        ("3/4", 75),
        ("7 of 10 files", 70),
        ("42", 42),
        ("1", 1),
        ("100", 100),
        ("0.42", 42),
        ("1.0", 100),
        (" 7 ", 7),
        ("150%", None),
        ("1150%", None),
        ("-5%", None),
        ("10-50%", None),
        ("101", None),
        ("5/4", None),
        ("1/0", None),
        ("2026/11/07", None),
        ("1.2.3/4", None),
        ("nan", None),
        ("²", None),
        ("", None),
        ("reading", None),
        ("9" * 1000, None),
    ],
)
def test_the_percentage(text: str, done: float | None) -> None:
    assert _percentage(text) == (None if done is None else pytest.approx(done))
