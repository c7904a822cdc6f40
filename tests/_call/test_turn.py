"""A turn is held by the thread that is in it, and by nobody afterwards."""

from __future__ import annotations

import os

import pytest

from polling_adapter._call.turn import Turn


def test_it_is_held_while_its_thread_is_in_it() -> None:
    turn = Turn()
    assert not turn.is_held
    with turn.lock:
        assert turn.is_held
    assert not turn.is_held


def test_P6_however_its_thread_has_left_it() -> None:
    turn = Turn()
    with pytest.raises(KeyboardInterrupt), turn.lock:
        raise KeyboardInterrupt
    assert not turn.is_held


def test_P9_what_a_fork_has_copied_is_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that holds it is in the parent."""
    turn, parent = Turn(), os.getpid()
    with turn.lock:
        monkeypatch.setattr(os, "getpid", lambda: parent + 1)
        assert not turn.is_held
        monkeypatch.undo()
        assert turn.is_held
