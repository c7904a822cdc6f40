"""The ``clock`` of a policy: what waits are measured with and slept by."""

from ._clock import Clock, SystemClock

__all__ = ["Clock", "SystemClock"]
