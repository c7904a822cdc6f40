"""HTTP polling that the caller never sees: requests that respect Retry-After on redirects."""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._as_completed import as_completed
    from ._continuation import continuation_token
    from ._install import install, installed, uninstall
    from ._rules.retry_after import parse_retry_after
    from ._version import __version__
    from .adapter import PollingAdapter, PollingAdapterMixin
    from .exceptions import (
        OutageTooLong,
        PollingError,
        PollingTimeout,
        RetryAfterTooLong,
        TooManyPolls,
        WorkFailed,
    )
    from .policy import PollingPolicy, Wait
    from .poller import Poller
    from .session import PollingMixin, PollingSession

# Whoever wants to see what is logged sets up logging (the documentation of logging says so).
logging.getLogger(__name__).addHandler(logging.NullHandler())

__all__ = [
    "OutageTooLong",
    "Poller",
    "PollingAdapter",
    "PollingAdapterMixin",
    "PollingError",
    "PollingMixin",
    "PollingPolicy",
    "PollingSession",
    "PollingTimeout",
    "RetryAfterTooLong",
    "TooManyPolls",
    "Wait",
    "WorkFailed",
    "__version__",
    "as_completed",
    "continuation_token",
    "install",
    "installed",
    "parse_retry_after",
    "uninstall",
]

# Where each name is. It is imported when somebody asks for it (PEP 562), as pytest imports this for
# the fixtures, before any conftest.py: gevent must have patched what requests imports by then.
_HOMES = {
    "_as_completed": ("as_completed",),
    "_continuation": ("continuation_token",),
    "_install": ("install", "installed", "uninstall"),
    "_rules.retry_after": ("parse_retry_after",),
    "_version": ("__version__",),
    "adapter": ("PollingAdapter", "PollingAdapterMixin"),
    "exceptions": (
        *("OutageTooLong", "PollingError", "PollingTimeout"),
        *("RetryAfterTooLong", "TooManyPolls", "WorkFailed"),
    ),
    "policy": ("PollingPolicy", "Wait"),
    "poller": ("Poller",),
    "session": ("PollingMixin", "PollingSession"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return import_module(f".{name}", __name__)
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
