"""niquests, in a process and an environment of its own: it installs another urllib3 in urllib3's
place, which would change what is measured beside it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Peer:
    """Asks for what it is told, and tells the CPU time that this took."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.name = f"niquests {self._read()}"

    def get(self, url: str) -> float:
        """Seconds of CPU time."""
        assert self._process.stdin is not None
        print(url, file=self._process.stdin, flush=True)
        return float(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def niquests_peer() -> Iterator[Peer]:
    """Install it from the package index, and start it."""
    with tempfile.TemporaryDirectory() as place:
        venv.create(place, with_pip=True)
        python = Path(place) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", "niquests"], check=True)
        pipe = subprocess.PIPE
        command = [python, __file__]
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
            yield Peer(process)
            process.communicate()  # the end of its input ends it


def main() -> None:
    import niquests

    print(niquests.__version__, flush=True)
    with niquests.Session() as session:
        session.max_redirects = 10**6
        for line in sys.stdin:
            started = time.process_time()
            session.get(line.strip())
            session.cookies.clear()
            print(time.process_time() - started, flush=True)


if __name__ == "__main__":
    main()
