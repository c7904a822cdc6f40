"""Jobs that are recorded and replayed: what the server has asked to wait goes by the clock."""

from __future__ import annotations

from pathlib import Path

import betamax
import pytest
import requests
import vcr

from polling_adapter import PollingPolicy, PollingSession

from ..conftest import Open, mixed_in, polling_session
from ..fake_clock import FakeClock
from ..server import DONE, Reply, Server, again, poll

RECORDING = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)

JOB = [again("3"), poll("/w/1", "600"), Reply(502), poll("/w/2", "600"), poll("/w/2", "60"), DONE]
WAITS = [3, 600, 0.001, 600, 60]


@pytest.fixture
def replaying(clock: FakeClock) -> PollingPolicy:
    return RECORDING.replace(clock=clock)


def test_vcrpy_records_a_job_and_replays_it(
    server: Server, connect: Open, replaying: PollingPolicy, clock: FakeClock, tmp_path: Path
) -> None:
    """It stands below urllib3, so a mounted adapter polls what is replayed, too."""
    server.script(*JOB)
    cassette = str(tmp_path / "job.yaml")
    with vcr.use_cassette(cassette) as tape:
        assert connect(replaying).post(f"{server.url}/start", json={"a": 1}).text == "done"
    assert (len(server.seen), len(tape), clock.slept) == (6, 6, WAITS)
    clock.slept.clear()
    with vcr.use_cassette(cassette, record_mode="none") as tape:
        assert connect(replaying).post(f"{server.url}/start", json={"a": 1}).text == "done"
    assert (len(server.seen), tape.play_count, clock.slept) == (6, 6, WAITS)


def test_vcrpy_replays_a_job_that_is_polled_by_hand(
    server: Server, replaying: PollingPolicy, clock: FakeClock, tmp_path: Path
) -> None:
    server.script(*JOB)
    cassette = str(tmp_path / "job.yaml")
    for _ in range(2):
        with vcr.use_cassette(cassette), PollingSession(policy=replaying) as session:
            poller = session.begin("POST", f"{server.url}/start")
            assert session.resume(poller.continuation_token()).result().text == "done"
    assert len(server.seen) == 6
    assert [round(seconds, 1) for seconds in clock.slept] == [round(n, 1) for n in WAITS * 2]


@pytest.mark.parametrize("connect", [polling_session, mixed_in], indirect=True)
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_betamax_records_a_job_and_replays_it(
    server: Server, connect: Open, replaying: PollingPolicy, clock: FakeClock, tmp_path: Path
) -> None:
    """It takes the place of all adapters, so the session polls."""
    server.script(*JOB)
    for _ in range(2):
        clock.slept.clear()
        session = connect(replaying)
        with betamax.Betamax(session, cassette_library_dir=str(tmp_path)).use_cassette("job"):
            assert session.post(f"{server.url}/start", json={"a": 1}).text == "done"
        assert (len(server.seen), clock.slept) == (6, WAITS)


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_betamax_takes_the_place_of_a_mounted_adapter(
    server: Server, clock: FakeClock, tmp_path: Path
) -> None:
    """What is replayed into a session that does not poll is followed at once."""
    with PollingSession(policy=RECORDING.replace(clock=clock)) as polling:
        server.script(poll("/w", "600"), DONE)
        with betamax.Betamax(polling, cassette_library_dir=str(tmp_path)).use_cassette("job"):
            polling.post(server.url)
        with requests.Session() as plain:
            plain.mount("http://", polling.get_adapter(server.url))
            with betamax.Betamax(plain, cassette_library_dir=str(tmp_path)).use_cassette("job"):
                assert plain.post(server.url).text == "done"
    assert clock.slept == [600]
