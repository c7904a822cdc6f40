"""The fields of a policy, as :meth:`PollingPolicy.replace` takes them.

It imports nothing of this package: what only type checkers need shall not lengthen the chain of
imports.
"""

from collections.abc import Callable, Collection
from typing import Any, TypedDict

import requests

class Fields(TypedDict, total=False):
    total_timeout: float | None
    poll_timeout: float | None
    max_polls: int | None
    retry_after_max: float | None
    min_wait: float
    jitter: float
    backoff_factor: float
    backoff_max: float
    retry_statuses: Collection[int]
    retry_methods: Collection[str] | None
    failure_statuses: Collection[int]
    poll_failures: int | None
    outage_max: float | None
    pending: Callable[[requests.Response], Any] | None
    retry_after: Callable[[requests.Response], float | None] | None
    before_poll: Callable[[requests.PreparedRequest], requests.PreparedRequest | None] | None
    on_wait: Callable[[Any], object] | None
    clock: Any
