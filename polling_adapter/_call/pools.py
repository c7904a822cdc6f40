"""Where a pool of connections blocks: whoever waits for one stays within the call."""

from __future__ import annotations

from functools import cache
from typing import Any

import urllib3

from .call import sending
from .timeout import within


def wait_within_calls(manager: urllib3.PoolManager) -> None:
    """Let the pools that ``manager`` makes wait for a connection as long as a call lasts, where
    they wait at all."""
    if manager.connection_pool_kw.get("block"):
        kinds: dict[str, Any] = dict(manager.pool_classes_by_scheme)
        manager.pool_classes_by_scheme = {scheme: _in_time(kinds[scheme]) for scheme in kinds}


class _InTime(urllib3.HTTPConnectionPool):
    def urlopen(self, *args: Any, **kwargs: Any) -> Any:
        call = sending.get()
        if call is not None:
            kwargs["pool_timeout"] = within(call.ends, call.clock, kwargs.get("pool_timeout"))
        return super().urlopen(*args, **kwargs)


@cache
def _in_time(kind: type[urllib3.HTTPConnectionPool]) -> type[urllib3.HTTPConnectionPool]:
    return kind if issubclass(kind, _InTime) else type(kind.__name__, (_InTime, kind), {})
