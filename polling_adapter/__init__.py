"""HTTP polling that the caller never sees: requests that respect Retry-After on redirects."""

from ._install import install, installed, uninstall
from ._retry_after import parse_retry_after
from ._version import __version__
from .adapter import PollingAdapter, PollingAdapterMixin
from .exceptions import PollingError, PollingTimeout, RetryAfterTooLong, TooManyPolls
from .policy import PollingPolicy, Wait
from .session import PollingMixin, PollingSession

__all__ = [
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
    "__version__",
    "install",
    "installed",
    "parse_retry_after",
    "uninstall",
]
