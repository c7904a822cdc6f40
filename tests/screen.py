"""A terminal's screen."""

from __future__ import annotations

import re


class Screen:
    """What a terminal shows of what is written to it, as far as tqdm uses one."""

    def __init__(self) -> None:
        self.lines: list[str] = [""]
        self._row = self._column = 0

    def write(self, text: str) -> None:
        for part in re.findall(r"\x1b\[A|.", text, re.DOTALL):
            if part == "\x1b[A":
                self._row -= 1
            elif part == "\r":
                self._column = 0
            elif part == "\n":
                self._row += 1
                self.lines += [""] * (self._row + 1 - len(self.lines))
            else:
                line = self.lines[self._row].ljust(self._column)
                self.lines[self._row] = line[: self._column] + part + line[self._column + 1 :]
                self._column += 1

    @property
    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.lines if line.strip()]
