"""HTTP polling that the caller never sees: requests that respect Retry-After on redirects."""

import logging

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
