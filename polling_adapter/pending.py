"""Answers that say "not yet" without being a redirect, for ``PollingPolicy(pending=...)``.

Each is a value: it can be compared, hashed, pickled, and given to any number of policies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import requests

from ._clock import SystemClock
from ._json_field import JsonField
from ._predicate import Predicate, Result, Said, address, answers_a_read
from ._rules import rate_limit
from ._rules.json_fields import Values, checked_name, checked_template

__all__ = ["Result", "accepted", "any_of", "created", "json_field", "rate_limit_reset"]

_Value = str | int | float | None
_Values = _Value | Iterable[_Value]


@dataclass(frozen=True, repr=False)
class _Accepted:
    """Pending is a 202 (RFC 9110 section 15.3.3). It is asked again where it says, by Location or
    Content-Location; without either, it is asked again at the same URL, if it answers a GET or
    HEAD. To another method it is the result then: a DELETE may end with a bare 202.

    ::

        PollingPolicy(pending=accepted)
    """

    def __call__(self, response: requests.Response) -> bool:
        return response.status_code == 202 and (
            answers_a_read(response) or address(response) is not None
        )

    def __repr__(self) -> str:
        return "accepted"


@dataclass(frozen=True, repr=False)
class _Created:
    """Pending is a 201 with a Location, to a request that is neither GET nor HEAD: a job was
    created there (OGC API - Processes).

    ::

        PollingPolicy(pending=any_of(created, json_field("status", ["accepted", "running"])))
    """

    def __call__(self, response: requests.Response) -> bool:
        starts = response.status_code == 201 and not answers_a_read(response)
        return starts and address(response) is not None

    def __repr__(self) -> str:
        return "created"


accepted = _Accepted()
created = _Created()


def json_field(
    name: str,
    pending: _Values = None,
    *,
    until: _Values = None,
    failed: _Values = (),
    url: str | None = None,
    then: str | None = None,
) -> Predicate:
    """A predicate that looks at one field of a JSON body. Celery's Flower, whose first answer has
    an id and no result, even if the task is done, and OGC API - Processes, whose result has an
    address of its own::

        json_field(
            "state",
            until="SUCCESS",
            failed=["FAILURE", "REVOKED"],
            url="/api/task/result/{task-id}",
            then="/api/task/result/{task-id}",
        )
        json_field(
            "status",
            pending=["accepted", "running"],
            failed=["failed", "dismissed"],
            then="/jobs/{jobID}/results",
        )

    An answer that holds no JSON is the result, whatever its Content-Type says; so is one whose JSON
    is no object (or no list, where ``name`` begins with an index).

    :param name: the field; dots lead into objects and, by index, into lists: ``jobs.0.status``. A
        key that has dots itself is found where it is all that is left of ``name``. A field that is
        absent counts as None, which is null.
    :param pending: the values that say "not yet": one, or a collection of them. ``true`` is not 1.
        All others say that the work is done.
    :param until: the values that say that the work is done. All others say "not yet", as does an
        answer without the field: with None among them, that is the result.
    :param failed: the values that say that the work failed, which raises
        :exc:`~polling_adapter.WorkFailed`.
    :param url: where to ask while the work goes on, with fields in braces:
        ``/tasks/{task-id}/info``. They are quoted, but taken as they are where there is nothing
        else: ``{links.0.href}``. Where an answer lacks one of them, it is asked where the response
        says, else at the same URL again, as a status need not repeat the id. But if it answers a
        request that starts work (neither GET nor HEAD) and names no address, there is no such URL:
        it is the result if it lacks ``name`` too, and else nobody knows where to ask.
    :param then: where the result is when the work is done, in the same form. An answer that comes
        from there is the result itself, and so is one that lacks one of its fields, and one that
        ``pending`` does not know because it lacks ``name``.
    :raises TypeError: a value of the wrong type, or not exactly one of ``pending`` and ``until``.
    :raises ValueError: ``name``, ``url`` or ``then`` cannot be read, or the values contradict each
        other.
    :raises WorkFailed: by the predicate, as ``failed`` says.
    :raises PollingError: by the predicate, where the work goes on and nobody knows where to ask.
    """
    if (pending is None) is (until is None):
        raise TypeError(
            f"pending={pending!r}, until={until!r} is not accepted: it takes exactly one of them "
            "(None as a value is [None])"
        )
    ends = pending is None
    listed = Values.of("until", until) if ends else Values.of("pending", pending)
    failing = Values.of("failed", failed)
    if ends and not listed:
        raise ValueError(f"until={until!r} is not accepted: it takes a value, or nothing would end")
    if listed & failing:
        other = "until" if ends else "pending"
        raise ValueError(
            f"failed={failed!r} is not accepted: it takes values that are not in {other}={listed!r}"
        )
    return JsonField(
        name=checked_name("name", name),
        listed=listed,
        ends=ends,
        failed=failing,
        url=checked_template("url", url),
        then=checked_template("then", then),
    )


def any_of(*predicates: Predicate) -> Predicate:
    """A predicate that says what the first of ``predicates`` says that says anything; one that
    raises has said it, too::

        any_of(accepted, json_field("status", pending="running", failed="failed"))

    :param predicates: at least one: those of this module, and functions of yours.
    :raises TypeError: there is none, or one cannot be called.
    """
    return _AnyOf(predicates)


@dataclass(frozen=True, repr=False)
class _AnyOf:
    predicates: tuple[Predicate, ...]

    def __post_init__(self) -> None:
        if not self.predicates or not all(map(callable, self.predicates)):
            raise TypeError(
                f"predicates={self.predicates!r} is not accepted: it takes at least one, and each "
                "is called with a response"
            )

    def __call__(self, response: requests.Response) -> Said:
        for predicate in self.predicates:
            said = predicate(response)
            if said:
                return said
        return False

    def __repr__(self) -> str:
        return f"any_of({', '.join(map(repr, self.predicates))})"


def rate_limit_reset(response: requests.Response) -> float | None:
    """When the rate limit that has refused a request is over, for services that say so by headers
    of their own, GitHub for one::

        PollingPolicy(retry_after=rate_limit_reset)

    Read are ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers: of the policies of which nothing
    is left), ``RateLimit-Reset`` and ``X-RateLimit-Reset``: seconds, a date, or seconds or
    milliseconds since 1970. These are measured as :func:`~polling_adapter.parse_retry_after`
    measures a date. A limit of which something is left has not refused. Of several, the last one to
    be over counts.

    :param response: any; what its status is does not matter.
    :return: seconds; None where no header names a usable time. Never an exception.
    """
    return rate_limit.reset(response.headers, now=SystemClock().time())
