"""The scripted server of these tests: each says what it answers, whatever the path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from polling_adapter.testing import Answer, PollingServer, Request

Seen = Request


class Reply(Answer):
    def _replace(self, **changes: Any) -> Reply:
        return replace(self, **changes)


RESET = Reply(fault="close")
DONE = Reply(200, {}, b"done")


def poll(location: str, retry_after: str = "0", status: int = 303, **headers: str) -> Reply:
    return Reply(status, {"Location": location, "Retry-After": retry_after, **headers})


def again(retry_after: str = "0", status: int = 429) -> Reply:
    return Reply(status, {"Retry-After": retry_after})


class Server(PollingServer):
    def __init__(self, port: int = 0) -> None:
        super().__init__(port=port)
        self.answer: Callable[[Request], Answer] = lambda _: DONE
        self.seen = self.requests
        self.sent = 0  # bytes of the bodies that are sent in parts

    def script(self, *replies: Reply) -> None:
        """Answer with ``replies`` in turn, the last one for ever."""
        remaining = list(replies)
        self.answer = lambda _: remaining.pop(0) if len(remaining) > 1 else remaining[0]

    def counted(self, parts: Callable[[], Iterable[bytes]]) -> Callable[[], Iterator[bytes]]:
        def counted() -> Iterator[bytes]:
            for part in parts():
                yield part
                self.sent += len(part)

        return counted

    def _asked_for(self, request: Request) -> tuple[Request, Answer]:
        request, answer = super()._asked_for(request)
        if callable(answer.body):
            answer = replace(answer, body=self.counted(answer.body))
        return request, answer


@contextmanager
def serving(port: int = 0) -> Iterator[Server]:
    with Server(port) as server:
        yield server
