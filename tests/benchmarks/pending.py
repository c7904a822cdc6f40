"""CPU time of a poll that a 202 asks for, or a status in JSON, against one by a redirect."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from polling_adapter import PollingSession
from polling_adapter.pending import accepted, any_of, json_field

from .measure import Row, cpu_of_each, rows
from .polls import NOW, OURS, mounted
from .server import serving

POLICY = NOW.replace(pending=any_of(accepted, json_field("status", pending="running")))
GOALS = {"a redirect": "", "a 202": "<= 1.15", "a status in JSON": "<= 1.30"}
KINDS = dict(zip(GOALS, ("same", "accepted", "json"), strict=True))


def measure(quick: bool) -> list[Row]:
    polls, rounds = (20, 3) if quick else (200, 25)
    with serving() as url, ExitStack() as exits:
        ours = exits.enter_context(PollingSession(policy=POLICY)), mounted(POLICY, exits)
        cases = {
            f"{name}, {shape}": partial(session.get, f"{url}/{KINDS[shape]}/{polls}")
            for name, session in zip(OURS, ours, strict=True)
            for shape in GOALS
        }
        taken = cpu_of_each(cases, per=polls, rounds=rounds)
    found = []
    for name in OURS:
        of = {case: taken[case] for case in taken if case.startswith(name)}
        goals = {f"{name}, {shape}": goal for shape, goal in GOALS.items()}
        found += rows(of, f"{name}, a redirect", "us", goals)
    return found
