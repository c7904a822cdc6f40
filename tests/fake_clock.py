"""The clock of these tests, which set it too."""

from __future__ import annotations

from polling_adapter import testing


class FakeClock(testing.FakeClock):
    def __init__(self) -> None:
        super().__init__()
        self._now, self._epoch = 1000.0, 1_700_000_000.0

    @property
    def now(self) -> float:
        return self.monotonic()

    @now.setter
    def now(self, instant: float) -> None:
        self._now = instant
