"""What is below an adapter, urllib3's retries and pools: they stay within the call."""

from __future__ import annotations

from functools import cache
from typing import Any

import urllib3
from urllib3.exceptions import MaxRetryError, ResponseError

from .._rules.answer import retry_after
from .._rules.progress import GiveUp, retried
from .call import Call, under_way
from .job import Next
from .timeout import within


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
        if call is not None and not _has_time_for(call, after.wait_before(call, response)):
            raise MaxRetryError(_pool, url or "", error or ResponseError("no time is left"))
        return after  # type: ignore[no-any-return]

    def wait_before(self, call: Call, response: Any) -> float:
        """Seconds before the next try, as urllib3 has it, but what the server asks for is never
        clipped, and to be respected or not is no question (P1)."""
        seconds = self.get_backoff_time()
        if response is not None:
            seconds = retry_after(response.headers, call.clock.time()) or seconds
        return seconds

    def sleep(self, response: Any = None) -> None:
        """Wait, as the call does it."""
        call = under_way()
        if call is None:
            super().sleep(response)
            return
        seconds = self.wait_before(call, response)
        if seconds > 0:
            due = retried(seconds, call.policy, call.clock.monotonic())
            call.wait(Next(call.job.upcoming, due, None))


def _has_time_for(call: Call, seconds: float) -> bool:
    """Whether there may be another try after ``seconds``; if not, that ends the call, or this
    poll."""
    now, ends = call.clock.monotonic(), call.ends
    if ends is not None and ends == call.until and now + seconds > ends:
        return False
    due = retried(seconds, call.policy, now)
    verdict = call.job.progress.pause(due, call.policy, now, 0)
    if isinstance(verdict, GiveUp):
        call.exchange.out_of_time = verdict
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
