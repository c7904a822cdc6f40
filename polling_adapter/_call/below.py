"""What is below an adapter, urllib3's retries and pools: they stay within the call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import urllib3
from urllib3.exceptions import MaxRetryError, ResponseError

from .._rules.answer import retry_after
from .._rules.progress import Due, GiveUp, retried
from .call import Call
from .job import Next
from .timeout import within

_sending: ContextVar[Call | None] = ContextVar("polling_adapter_sending", default=None)


@contextmanager
def sent_in(call: Call | None) -> Iterator[None]:
    """What an adapter sends in this block is a request of ``call``; None: of none of ours, whatever
    is under way around it."""
    outer = _sending.set(call)
    try:
        yield
    finally:
        _sending.reset(outer)


def under_way() -> Call | None:
    """The call whose request is being sent; one that was interrupted may have been left there."""
    call = _sending.get()
    return None if call is None or call.exchange is None else call


def within_call(retries: urllib3.Retry) -> urllib3.Retry:
    """``retries`` as they hold for the call under way; a subclass of the user's is left as it is,
    and so is what neither retries nor refuses anything, which is requests' default."""
    call = under_way()
    does_nothing = retries.total == 0 and not retries.status_forcelist
    if call is None or type(retries) is not urllib3.Retry or does_nothing:
        return retries
    ours = Retries()
    vars(ours).update(vars(retries))
    return ours


class Retries(urllib3.Retry):
    """A :class:`urllib3.Retry` that lets the call under way do the waiting, so never past its
    deadline and never early, and leaves to the call what the call asks again itself.

    urllib3 leaves it on the response, so it knows no call: the cycle would keep the response, and
    its connection, until the collector comes.
    """

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """As :meth:`urllib3.Retry.is_retry`, but a refusal is the call's."""
        call = under_way()
        if call is not None and has_retry_after and status_code in call.policy.retry_statuses:
            return False
        return super().is_retry(method, status_code, has_retry_after)

    def increment(  # type: ignore[override]
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> urllib3.Retry:
        """As :meth:`urllib3.Retry.increment`, but a wait that does not fit into the call is the end
        of the retries."""
        after: Any = super().increment(method, url, response, error, _pool, _stacktrace)
        call = under_way()
        if call is not None and not _has_time_for(call, after.due_after(response, call)):
            # As urllib3 words it, which is where what_failed() finds the status.
            too_many = ResponseError.SPECIFIC_ERROR
            reason = error or ResponseError(too_many.format(status_code=response.status))
            raise MaxRetryError(_pool, url or "", reason)
        return after  # type: ignore[no-any-return]

    def due_after(self, response: Any, call: Call) -> Due | None:
        """When the next try is due, as urllib3 has it, but what the server asks for is never
        clipped, and to be respected or not is no question (P1). None: at once."""
        wall, now = call.clock.time(), call.clock.monotonic()
        asked = None if response is None else retry_after(response.headers, wall)
        seconds, failed = asked or self.get_backoff_time(), self.history[-1]
        what = failed.status or type(failed.error).__name__
        return retried(what, seconds, asked, call.policy, now) if seconds > 0 else None

    def sleep(self, response: Any = None) -> None:
        """Wait, as the call does it."""
        call = under_way()
        if call is None:
            super().sleep(response)
        else:
            call.wait(Next(call.job.upcoming, self.due_after(response, call), None))


def _has_time_for(call: Call, due: Due | None) -> bool:
    """Whether there may be another try when it is ``due``; if not, that ends the call, or this
    poll, or whoever asks has no more time."""
    if due is None:
        return True
    now, ends, exchange = call.clock.monotonic(), call.ends, call.exchange
    if ends is not None and ends == call.until and due.at > ends:
        exchange.put_off = due
        return False
    verdict = call.job.progress.pause(due, call.policy, now, 0)
    if isinstance(verdict, GiveUp):
        exchange.out_of_time = verdict
        return False
    return True


def wait_within_calls(manager: urllib3.PoolManager) -> None:
    """Let the pools that ``manager`` makes wait for a connection as long as a call lasts, where
    they wait at all."""
    if manager.connection_pool_kw.get("block"):
        kinds: dict[str, Any] = dict(manager.pool_classes_by_scheme)
        manager.pool_classes_by_scheme = {scheme: _in_time(kinds[scheme]) for scheme in kinds}


class _InTime(urllib3.HTTPConnectionPool):
    def urlopen(self, *args: Any, **kwargs: Any) -> Any:
        call = under_way()
        if call is not None:
            kwargs["pool_timeout"] = within(call.ends, call.clock, kwargs.get("pool_timeout"))
        return super().urlopen(*args, **kwargs)


@cache
def _in_time(kind: type[urllib3.HTTPConnectionPool]) -> type[urllib3.HTTPConnectionPool]:
    return kind if issubclass(kind, _InTime) else type(kind.__name__, (_InTime, kind), {})
