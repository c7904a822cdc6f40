"""urllib3's own retries, where a user asks for them: they stay within the call."""

from __future__ import annotations

from typing import Any

import urllib3

from ._call import Call


class Retries(urllib3.Retry):
    """A :class:`urllib3.Retry` that lets the call do the waiting, so never past its deadline, and
    leaves to the call what the call asks again itself."""

    @classmethod
    def within_calls(cls, retries: urllib3.Retry) -> urllib3.Retry:
        """``retries`` made to stay within the call; a subclass of the user's is left as it is, and
        so is what never retries, which is requests' default."""
        if type(retries) is not urllib3.Retry or retries.total == 0:
            return retries
        ours = cls()
        vars(ours).update(vars(retries))
        return ours

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        call = Call.current()
        if has_retry_after and call is not None and status_code in call.policy.retry_statuses:
            return False
        return super().is_retry(method, status_code, has_retry_after)

    def sleep(self, response: Any = None) -> None:
        call = Call.current()
        if call is None:
            super().sleep(response)
            return
        seconds = self.get_backoff_time()
        if response is not None and self.respect_retry_after_header:
            seconds = self.get_retry_after(response) or seconds
        if seconds > 0:
            call.retried(seconds)
