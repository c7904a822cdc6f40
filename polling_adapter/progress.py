"""A progress bar: a line for each job, which moves while the job waits.

``on_wait`` is told of a wait before it begins, and then the thread may sleep until it is over. So a
thread of the bar's own looks at what was told, four times a second, and it alone writes: a terminal
that is slow or gone holds no job up.
"""

from __future__ import annotations

import re
import threading
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from ._clock import SystemClock
from ._rules.address import printable, same
from .policy import Wait

_clock = SystemClock()

# Seconds between two looks.
_REDRAW = 0.25

# What was told of a job stays for so many seconds after its wait: nobody tells of its end.
_ASKING = 3.0

# So many lines, at most; further jobs get theirs as these are over.
_LINES = 20

# What servers write into X-Progress: "42%", "at 42.5 % now"; "3/7", "3 of 7"; "42", "0.42"
_PERCENTAGE = re.compile(r"(?<![\w.-])([0-9]{1,3}(?:\.[0-9]{1,9})?) ?%")
_PARTS = re.compile(r"(?<![\w./-])([0-9]{1,9}) ?(?:/|of) ?([0-9]{1,9})(?![\w./-])")
_NUMBER = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,9})?")


class ProgressBar:
    """An ``on_wait`` that shows jobs where stderr is a terminal, or in a notebook, by tqdm.

    Each job has a line while the ``with`` block lasts: how it stands (waiting, asking, refused, or
    a failed poll), which poll comes next and in how many seconds, the time elapsed, and how far the
    work has come where the server says so in an ``X-Progress`` header. Of several jobs, one that
    was not heard of for three seconds after its wait has no line any more. Outside of the block,
    nothing is shown.

    :raises ImportError: tqdm is not installed.
    """

    def __init__(self) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise ImportError(
                "ProgressBar needs tqdm: pip install 'polling_adapter[progress]'"
            ) from error

        class Row(tqdm):  # type: ignore[misc]
            monitor_interval = 0  # no thread of tqdm's, which nobody ends

        self._row = Row
        self._told: SimpleQueue[_Job] = SimpleQueue()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> ProgressBar:
        self._ended.clear()
        self._thread = threading.Thread(target=self._draw, name="ProgressBar", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def __call__(self, wait: Wait) -> None:
        if self._thread is not None and self._thread.is_alive():
            self._told.put(_Job.of(wait))

    def __reduce__(self) -> tuple[Any, ...]:
        return ProgressBar, ()  # a policy is pickled with what it has

    def _draw(self) -> None:
        jobs, rows = _Jobs(), _Rows(self._row)
        try:
            while rows.are_seen and not self._ended.wait(_REDRAW):
                for job in self._heard():
                    jobs.hear(job)
                rows.show(jobs.at(_clock.monotonic()))
        finally:
            rows.show([])
            self._heard()

    def _heard(self) -> list[_Job]:
        """What was told since the last look."""
        heard = []
        try:
            while True:
                heard.append(self._told.get_nowait())
        except Empty:
            return heard


class _Job(NamedTuple):
    """What the last wait of a job told; not its response, which nobody shall keep.

    :param answered: the URL that asked to wait; empty after an error.
    :param state: in a word or two.
    :param progress: what the server says of it; empty: nothing.
    :param at: the instant at which this was told; of the monotonic clock, as the next two.
    :param until: the end of the wait.
    :param began: when the call began.
    :param thread: that it was told on.
    """

    job: str
    url: str
    answered: str
    number: int
    state: str
    progress: str
    at: float
    until: float
    began: float
    thread: int

    @classmethod
    def of(cls, wait: Wait) -> _Job:
        """What ``wait`` tells, now."""
        response, now = wait.response, _clock.monotonic()
        return cls(
            wait.job,
            wait.url,
            "" if response is None else response.url or "",
            wait.number,
            _state(wait),
            "" if response is None else response.headers.get("X-Progress", ""),
            now,
            now + wait.seconds,
            now - wait.elapsed,
            threading.get_ident(),
        )

    def follows(self, other: _Job) -> bool:
        """Whether this may be what was told next of the same job."""
        if (self.job, self.number) != (other.job, other.number + 1):
            return False
        # After a redirect that is no poll it is another URL that asks to wait.
        return self.answers(other) or other.until <= self.at

    def answers(self, other: _Job) -> bool:
        """Whether the request that ``other`` has waited for asks to wait."""
        return same(other.url, self.answered or self.url)

    def line(self, now: float) -> str:
        """How the job stands."""
        left = self.until - now
        what = "again" if self.state == "refused" else f"poll {self.number}"
        if left <= 0:
            told = f"asking, {what}"
        else:
            told = f"{self.state}, {what} in {left:.{1 if left < 9.95 else 0}f} s"
        told += f", {_minutes(now - self.began)} elapsed"
        if self.progress and _percentage(self.progress) is None:
            told += f", {ascii(self.progress[:40])[1:-1]}"
        return f"{_label(self.url):<24} {told:<40}"


class _Jobs:
    """What was told of several jobs."""

    def __init__(self) -> None:
        self._jobs: list[_Job] = []

    def hear(self, new: _Job) -> None:
        """Take what was told of a job in place of what was told of it before."""
        before = [job for job in self._jobs if new.follows(job)]
        if before:
            old = min(before, key=lambda job: (not new.answers(job), abs(job.began - new.began)))
            self._jobs[self._jobs.index(old)] = new._replace(progress=new.progress or old.progress)
            return
        if new.number == 1:  # a thread that begins a job has done with what it has waited for
            self._jobs = [
                job for job in self._jobs if job.thread != new.thread or job.until > new.at
            ]
        if len(self._jobs) < _LINES:
            self._jobs.append(new)

    def at(self, now: float) -> list[tuple[str, float | None]]:
        """The line of each, and the percentage done where that is known."""
        latest = max(self._jobs, key=lambda job: job.at, default=None)
        self._jobs = [job for job in self._jobs if job is latest or now < job.until + _ASKING]
        return [(job.line(now), _percentage(job.progress)) for job in self._jobs]


class _Rows:
    """The lines on the terminal, or in the notebook.

    :param row: tqdm's class for where this runs.
    """

    def __init__(self, row: Any) -> None:
        self._row = row
        self._rows: list[Any] = []

    @property
    def are_seen(self) -> bool:
        """Whether there is a terminal, or a notebook, as far as is known."""
        return not any(row.disable for row in self._rows)

    def show(self, lines: list[tuple[str, float | None]]) -> None:
        """``lines``, and no others; each with the percentage that is done."""
        self._close_up()
        while len(self._rows) > len(lines):
            row = self._rows.pop()
            row.total = None  # in a notebook, what was not done to the end would stay
            row.close()
        while len(self._rows) < min(len(lines), self._room) and self.are_seen:
            line, _ = lines[len(self._rows)]
            self._rows.append(
                self._row(
                    desc=line, bar_format="{desc}", leave=False, disable=None, dynamic_ncols=True
                )
            )
        for row, (line, done) in zip(self._rows, lines, strict=False):
            row.set_description_str(line, refresh=False)
            row.bar_format = "{desc}" if done is None else "{percentage:3.0f}%|{bar}| {desc}"
            if done is not None and row.total is None:
                row.reset(total=100)
            row.n = done or 0.0
            row.refresh()

    @property
    def _room(self) -> int:
        """How many lines there is room for: of those that it hides, tqdm loses count."""
        if not self._rows:
            return 1
        first = self._rows[0]
        return int((getattr(first, "nrows", None) or 20) - 1 - abs(first.pos))

    def _close_up(self) -> None:
        """Move to where a bar of the caller's was, above: tqdm, which expects it to outlast these,
        has moved the cursor when it ended."""
        with self._row.get_lock():
            for row in self._rows:
                free = self._row._get_free_pos(row)
                if free < abs(row.pos) and self.are_seen:
                    row.clear(nolock=True)
                    row.pos = free
                    row.refresh(nolock=True)


def _percentage(text: str) -> float | None:
    """How much is done, where ``text`` says so."""
    text = text.strip()[:200]
    if found := _PERCENTAGE.search(text):
        done = float(found[1])
    elif (found := _PARTS.search(text)) and int(found[2]):
        done = 100 * int(found[1]) / int(found[2])
    elif found := _NUMBER.fullmatch(text):
        done = float(text)
        if done <= 1 and "." in text:
            done *= 100
    else:
        return None
    return done if done <= 100 else None


def _state(wait: Wait) -> str:
    if "failed poll" in wait.reason:
        return "failed poll"
    refused = wait.response is not None and wait.response.status_code >= 400
    return "refused" if refused else "waiting"


def _label(url: str) -> str:
    """The end of a URL, where those of several jobs differ."""
    shown = printable(url).partition("://")[2]
    return shown if len(shown) <= 24 else f"...{shown[-21:]}"


def _minutes(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"
