"""What the caller may choose: a policy is a value, it never acts."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._clock import Clock, SystemClock
from ._predicate import Said

if TYPE_CHECKING:
    import requests
    from typing_extensions import Unpack

    from ._fields import Fields


@dataclass(frozen=True)
class Wait:
    """A wait that is about to begin, as ``on_wait`` sees it.

    :param job: the URL that the job began at; of one that goes on by a token, its origin.
    :param url: the URL that is asked next.
    :param seconds: how long the wait lasts, jitter included.
    :param reason: why, in words.
    :param number: counts the waits of this job, from 1; a token goes on with it.
    :param elapsed: seconds since the job began.
    :param response: the :class:`requests.Response` that asks to wait; None after an error.
    """

    job: str
    url: str
    seconds: float
    reason: str
    number: int
    elapsed: float
    response: requests.Response | None


@dataclass(frozen=True, kw_only=True, repr=False)
class PollingPolicy:
    """Caps, jitter and timeouts of a call. All times are seconds; None means no limit.

    :param total_timeout: the whole call, waits and requests together. A wait that would end past
        it raises :exc:`PollingTimeout` at once, unslept.
    :param poll_timeout: how long a poll may take to answer (to connect, and each read), where the
        caller gave no ``timeout=``; it doubles with each failed poll in a row, as far as
        ``outage_max`` allows. Never for the request that starts the work, never for the body of a
        streamed result.
    :param max_polls: polls in one call; then :exc:`TooManyPolls`.
    :param retry_after_max: the longest Retry-After accepted; a longer one raises
        :exc:`RetryAfterTooLong` at once, unslept, whatever ``total_timeout`` says. The default is
        urllib3's.
    :param min_wait: the shortest wait, so that ``Retry-After: 0`` cannot hammer a server.
    :param jitter: random extra, up to this fraction of the wait. It only ever adds.
    :param backoff_factor: the first wait where the server names no usable time, after a failed
        poll, and from the second refusal in a row on (then at least as long as asked); it doubles.
    :param backoff_max: the longest such wait.
    :param retry_statuses: answers that are asked again when they carry Retry-After.
    :param retry_methods: methods that are asked again; None: any.
    :param failure_statuses: answers to a poll that are failed polls, to be asked again; 429 and
        503 without Retry-After. 500 says that the server is there and fails: five in a row are the
        answer.
    :param poll_failures: failed polls in a row survived: no connection, no answer in time, an
        answer cut short, or one of ``failure_statuses``; None: as many as fit into ``outage_max``.
    :param outage_max: seconds for which polls may fail in a row. Over by a status, that response is
        returned; over by an error, :exc:`OutageTooLong` is raised.
    :param pending: called with each 2xx answer: False or None: it is the result; True: not yet, ask
        where it says (Location of a 201 or 202, Content-Location of a 202), else at the same URL; a
        URL: not yet, ask there; :class:`~polling_adapter.pending.Result`: the work is done, and the
        result is there. It may raise :exc:`WorkFailed`. See :mod:`polling_adapter.pending`.
    :param retry_after: called with a response that asks to wait, or is in ``retry_statuses``, and
        has no usable Retry-After: seconds, or None.
    :param before_poll: called with each :class:`requests.PreparedRequest` that follows a poll, or
        an answer that names where the result is, right before it is sent, where it goes to the
        origin the job began at. It may change it, or return another: an
        :class:`requests.auth.AuthBase` fits as it is.
    :param on_wait: called with a :class:`Wait` before each wait.
    :param clock: ``monotonic()``, ``time()`` and ``sleep(seconds)``.
    :raises TypeError: a value of the wrong type, or an unknown field.
    :raises ValueError: a value out of range.
    """

    total_timeout: float | None = 3600
    poll_timeout: float | None = 60
    max_polls: int | None = None
    retry_after_max: float | None = 21600
    min_wait: float = 0.1
    jitter: float = 0.1
    backoff_factor: float = 0.5
    backoff_max: float = 30
    retry_statuses: Collection[int] = frozenset({429, 503})
    retry_methods: Collection[str] | None = None
    failure_statuses: Collection[int] = frozenset(
        {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 530}
    )
    poll_failures: int | None = None
    outage_max: float | None = 600
    pending: Callable[[requests.Response], Said] | None = None
    retry_after: Callable[[requests.Response], float | None] | None = None
    before_poll: Callable[[requests.PreparedRequest], requests.PreparedRequest | None] | None = None
    on_wait: Callable[[Wait], object] | None = None
    clock: Clock = SystemClock()

    def __post_init__(self) -> None:
        for name in ("total_timeout", "retry_after_max", "poll_timeout", "outage_max"):
            self._check_number(name, optional=True)
        for name in ("min_wait", "backoff_factor", "backoff_max"):
            self._check_number(name)
        self._check_number("jitter", "a finite number")
        for name in ("max_polls", "poll_failures"):
            self._check_number(name, "a whole number", int, optional=True)
        if self.poll_timeout == 0:
            raise self._refused("poll_timeout", "more than 0 seconds, or None", ValueError)
        if self.retry_after_max is not None and self.min_wait > self.retry_after_max:
            raise ValueError(
                f"min_wait={self.min_wait!r} is longer than "
                f"retry_after_max={self.retry_after_max!r}: no wait could satisfy both"
            )
        for name in ("pending", "retry_after", "before_poll", "on_wait"):
            value = getattr(self, name)
            if (value is not None and not callable(value)) or isinstance(value, type):
                raise self._refused(name, "a callable, no class, or None", TypeError)
        needed = ("monotonic", "time", "sleep")
        if isinstance(self.clock, type) or not all(hasattr(self.clock, name) for name in needed):
            accepted = "an object, not a class, with monotonic(), time() and sleep()"
            raise self._refused("clock", accepted, TypeError)
        for name in ("retry_statuses", "failure_statuses"):
            self._freeze(name, _statuses(name, self._items(name, int)))
        if self.retry_methods is not None:
            methods = self._items("retry_methods", str)
            self._freeze("retry_methods", frozenset(method.upper() for method in methods))

    def replace(self, **changes: Unpack[Fields]) -> PollingPolicy:
        """A new policy with ``changes``, checked like any other.

        :raises TypeError: an unknown field, or a value of the wrong type.
        :raises ValueError: a value out of range.
        """
        return dataclasses.replace(self, **changes)

    def _portable(self) -> PollingPolicy | None:
        """What of it another process can take, where that decides alike; functions and clocks may
        be of any kind."""
        if type(self) is not PollingPolicy or self.pending or self.retry_after or self.before_poll:
            return None
        return self.replace(on_wait=None, clock=SystemClock())

    def __repr__(self) -> str:
        changed = (
            f"{field.name}={value!r}"
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        )
        return f"PollingPolicy({', '.join(changed)})"

    def _check_number(
        self,
        name: str,
        what: str = "a finite number of seconds",
        kind: Any = (int, float),
        *,
        optional: bool = False,
    ) -> None:
        value = getattr(self, name)
        if optional and value is None:
            return
        accepted = f"{what} >= 0" + (" or None" if optional else "")
        if isinstance(value, bool) or not isinstance(value, kind):
            raise self._refused(name, accepted, TypeError)
        if not 0 <= value <= sys.float_info.max:  # an int may be larger than any float
            raise self._refused(name, accepted, ValueError)

    def _items(self, name: str, kind: type) -> frozenset[Any]:
        value = getattr(self, name)
        accepted = f"a collection of {kind.__name__}"
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise self._refused(name, accepted, TypeError)
        items = list(value)
        if any(isinstance(item, bool) or not isinstance(item, kind) for item in items):
            raise self._refused(name, accepted, TypeError)
        return frozenset(items)

    def _freeze(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _refused(self, name: str, accepted: str, kind: type[Exception]) -> Exception:
        return kind(f"{name}={getattr(self, name)!r} is not accepted: it takes {accepted}")


def _statuses(name: str, statuses: frozenset[int]) -> frozenset[int]:
    for status in statuses:
        # A success is an answer and a redirect is followed: only refusals can be asked again.
        if not 400 <= status <= 599:
            raise ValueError(f"{name} has {status!r}: it takes statuses of 400..599")
    return statuses
