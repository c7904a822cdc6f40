from __future__ import annotations

from polling_adapter._works import Done, Early, Pending, Works

from .fake_clock import FakeClock


def test_a_work_from_its_start_to_its_end(clock: FakeClock) -> None:
    works = Works(clock)
    started = works.start(9)
    assert started is not None
    assert started.retry_after == 4
    clock.now += 4
    for _ in range(5):
        assert works.ask(started.work_id) == Pending(started.work_id, 1)
        clock.now += 1
    assert works.ask(started.work_id) == Done(started.work_id, 9, 5, 0)
    assert works.ask(started.work_id) == Done(started.work_id, 9, 5, 0)


def test_who_comes_early_is_counted_and_told_when_to_come(clock: FakeClock) -> None:
    works = Works(clock)
    started = works.start(8)
    assert started is not None
    clock.now += 2.5
    assert works.ask(started.work_id) == Early(2)
    clock.now += 1.5
    assert works.ask(started.work_id) == Pending(started.work_id, 1)
    clock.now += 0.999
    assert works.ask(started.work_id) == Early(1)
    clock.now += 9
    assert works.ask(started.work_id) == Done(started.work_id, 8, 1, 2)
    assert works.nb_early_call == 2


def test_unknown() -> None:
    assert Works().ask("42") is None


def test_finished_works_are_forgotten(clock: FakeClock) -> None:
    works = Works(clock, keep=60)
    started = works.start(10)
    assert started is not None
    clock.now += 70
    assert isinstance(works.ask(started.work_id), Done)
    clock.now += 1
    assert works.ask(started.work_id) is None
    assert len(works) == 0


def test_there_is_a_limit(clock: FakeClock) -> None:
    works = Works(clock, keep=60, limit=2)
    assert works.start(1) is not None
    assert works.start(1) is not None
    assert works.start(1) is None
    clock.now += 62
    assert works.start(1) is not None
