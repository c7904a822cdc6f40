"""One request and its answer: sent once, judged once."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import requests
from requests.utils import rewind_body
from urllib3.exceptions import LocationValueError

from .._rules.address import printable, same
from .._rules.answer import is_error
from .._rules.progress import Due, GiveUp
from ..exceptions import PollingError, WorkFailed
from .body import drop, is_lost, read_or_drop
from .call import Call
from .failures import FAILURES, is_of_a_body, is_timeout, kept_below, show_no_secrets
from .hooks import Hook, has_hooks, owner_of
from .job import AsBefore, Job, Next
from .meaning import shown_as_redirect
from .next_request import stand_in
from .read_ahead import read_ahead
from .timeout import leave_to_caller, shorten

logger = logging.getLogger("polling_adapter")

# Bodies that are all there, however often they are sent
_AS_IT_IS = (bytes, str, bytearray, memoryview, array)


def until_answered(
    call: Call,
    step: Next,
    send: Callable[[requests.PreparedRequest], requests.Response],
    *,
    reads: bool,
) -> tuple[requests.Response, requests.PreparedRequest]:
    """``send`` the request of ``step``, when it is due, until there is an answer that stands.

    :param reads: as for :func:`attempt`, which tells of the errors, too.
    :return: the answer, and the request that was sent last.
    """
    while True:
        call.wait(step)
        outcome = attempt(call, partial(send, step.request), reads=reads)
        if not isinstance(outcome, Next):
            return outcome, step.request
        step = outcome


def attempt(
    call: Call, send: Callable[[], requests.Response], *, reads: bool
) -> requests.Response | Next:
    """``send`` a request of ``call``, once.

    :param reads: the caller reads the result at once, so that one cut short is a failed poll.
    :return: the response, where it stands; or what is to be sent in its place, and when.
    :raises PollingError: a limit of the policy is reached.
    :raises requests.RequestException: what ``send`` raises, where it is no failed poll.
    """
    exchange, outer = Exchange(call, reads), call.exchange
    call.exchange = exchange
    try:
        response = send()
        # Else somebody has answered in our place, or in that of requests' own send().
        if call.job.request is not None and isinstance(response, requests.Response):
            exchange.judge(response)
        return exchange.again or response
    except Exception as error:
        # What others think of an answer that is asked again does not matter: nobody gets it.
        if exchange.again is None:
            exchange.see(error)
        if exchange.again is None:
            raise exchange.ending(error)  # noqa: B904  (it has its cause)
        return exchange.again
    except BaseException:
        exchange.stand()
        raise
    finally:
        call.exchange = outer


class Exchange:
    """A request that is under way, and what comes of it.

    Its answer is judged where it is seen first: around the caller's hooks, or where it comes back.
    """

    answer: requests.Response | None = None
    again: Next | None = None  # the answer is not the caller's
    is_sent = False  # what fails before that is no request
    is_looked_ahead = False  # requests itself does not follow a redirect, but would read all of it
    is_shown_below = False  # by an adapter, so that what hooks send is yet to be waited for
    is_followed = False  # the answer is a redirect, and what comes back is the end of it
    timeout: Any = None  # that the caller gave
    out_of_time: GiveUp | None = None  # a transport below would have retried
    put_off: Due | None = None  # it would have then, and whoever asks has no more time
    _facts: object = None  # of the answer, before the caller's hooks
    _judged: Job | None = None  # where the call stands by the answer
    _given_up: GiveUp | None = None

    def __init__(self, call: Call, reads: bool) -> None:
        self._job = call.job  # before it
        self._call = call
        self._reads = reads

    def hooks(self, callers: list[Hook]) -> Iterator[Hook]:
        """The hooks that see an answer: none of the caller's where it is asked again."""
        yield self.judge
        for hook in callers:
            if self.again is not None or self.answer is None:
                return
            self._facts = _facts(self.answer)
            with shown_as_redirect(self.answer):
                yield hook
            yield self._look_again
        if self.again is None:
            yield self._after

    def _look_again(self, response: requests.Response, **_: Any) -> None:
        """A hook may have changed the answer, or brought another one."""
        if self.again is not None:  # by what a hook has sent in this call
            return
        if response is not self.answer or _facts(response) != self._facts:
            self._judge_anew(response)
        elif self._judged is not None:  # whatever it has sent besides
            self._call.job, self._call.arrived = self._judged, None

    def _after(self, response: requests.Response, **_: Any) -> None:
        """Before requests reads the body of a poll, which may be without end."""
        call = self._call
        leads_on = self.is_looked_ahead and response.is_redirect and response.headers["Location"]
        if call.passes_by:
            call.release(response)
        elif leads_on:
            read_or_drop(response)
        elif self._is_to_be_whole(response):
            self._is_whole(response, seen=True)

    def judge(self, response: requests.Response, **_: Any) -> None:
        """Decide what becomes of ``response``, once.

        :raises requests.RequestException: it is cut short, or asks for what cannot be done.
        """
        if self.is_followed or response is self.answer:
            return
        if self.answer is not None and isinstance(response.request, requests.PreparedRequest):
            # A class above asks by itself again, with another credential for one.
            self._call.job = self._call.job._replace(request=response.request)
        self.answer, self.again, self._judged = response, None, None
        call = self._call
        call.arrived = response
        shorten(response, call.ends, call.clock)
        if not self._is_understood(response):
            return
        progress, verdict = call.verdict(response)
        if verdict is None and self._is_to_be_whole(response):
            call.arrived = None  # not yet
            if not self._is_whole(response):
                return
        call.answered(response, progress, verdict)
        self._judged, due = call.job, call.job.due
        if isinstance(verdict, GiveUp):  # the failure reaches the caller as requests gives it
            logger.warning("%s: %s", printable(call.sent.url), verdict.reason)
        if due is not None and not due.poll:
            self._ask_again(due, response)
        elif due is None and not self._reads:
            leave_to_caller(response, self.timeout)

    def _is_understood(self, response: requests.Response) -> bool:
        """Ask the policy what ``response`` means; False where it was cut short, and is asked for
        again."""
        try:
            return self._call.find_meaning(response) or self._is_whole(response)
        except WorkFailed:
            self._call.release(response)  # it has the server's own words
            raise
        except Exception:
            drop(response)
            raise

    def _judge_anew(self, response: requests.Response) -> None:
        """A hook has changed the answer, or brought another one."""
        sent, changed = response.request, response is self.answer
        ours = sent is not None and owner_of(sent) is self._call
        self.answer = None
        if ours and not changed:  # what an auth handler has sent is asked again, if anything is
            stand_in(sent, self._call.sent)
            self._call.job = self._call.job._replace(request=sent)
        if changed or ours:
            self.judge(response)
            return
        # What a hook has made is taken as requests takes it: only a redirect leads any further.
        self.answer = response
        progress, verdict = self._call.verdict(response)
        due = verdict if isinstance(verdict, Due) and verdict.poll else None
        self._call.answered(response, progress, due)
        self._judged = self._call.job

    def take_again(self) -> Next | None:
        """What is to be waited for, where somebody above sends again what is asked again."""
        again, self.again, self.answer, self._judged = self.again, None, None, None
        return again

    def see(self, error: Exception) -> None:
        """What ``send`` raises may be a failure of the request, or the end of the call's time."""
        if self.is_followed:  # it is of what came after
            return
        if isinstance(error, requests.RequestException) and not isinstance(error, PollingError):
            call, answer = self._call, self.answer
            is_half = answer is not None and isinstance(error, FAILURES) and is_lost(answer)
            is_cut = is_half and is_of_a_body(error) and self._stands is None
            if (is_cut and call.survives) or self._is_failure(error):
                self.fail(error)
                return
            # requests has another error for what comes before the body
            is_late = is_half and is_timeout(error) and not isinstance(error, requests.Timeout)
            late = call.overdue() if is_late else None
            if late is not None or (is_half and self._stands is None):
                # It says no more than none: what was to begin the work may have done so.
                self._given_up = late
                call.job = call.job._replace(upcoming=call.sent, unanswered=not call.survives)
            elif self._stands is not None and self._is_ours(error) and self._is_cut(error):
                # What a hook was sending is cut, and the answer that it has seen is there.
                self.again = AsBefore(call.sent, self._stands.due, None)
        self.stand()

    def stand(self) -> None:
        """Where the answer has named an address, that is where the job is, whatever a hook has sent
        besides; and what came from elsewhere is no answer in its place."""
        judged, call, arrived = self._judged, self._call, self._call.arrived
        if judged is None or self.answer is None or self.is_followed:
            return
        if judged.leads_on or (arrived is not None and not same(arrived.url, self.answer.url)):
            call.job, call.arrived = judged, None

    @property
    def _stands(self) -> Job | None:
        """Where the job is by the answer, if that has named an address which is yet to be asked."""
        return self._judged if self._judged is not None and self._judged.leads_on else None

    def fail(self, error: requests.RequestException) -> None:
        """The request brought no answer: it is to be sent again, or the call ends."""
        half = kept_below(error) if self.answer is None else self.answer
        if self.put_off is not None or self._is_cut(error):
            self._put_back(half)
            return
        if self._judged is not None:  # of what counts as failed, nothing counts as answered
            self._call.job = self._call.job._replace(progress=self._job.progress)
        failed = self._call.failed(error, half)  # which says when, also where that is too late
        verdict = self.out_of_time or failed
        if isinstance(verdict, Due):
            self._ask_again(verdict, None)
        elif verdict is not None:
            self._given_up = verdict

    def ending(self, error: Exception) -> Exception:
        """What the call ends with for ``error``.

        It is made here and raised elsewhere, as no frame that it passes may have a name for it: the
        cycle would keep connections open until the collector comes.
        """
        ended: requests.RequestException
        is_unreadable = self.answer is None and isinstance(error, LocationValueError)
        if self._given_up is not None and not isinstance(error, PollingError):
            ended = self._call.ended(self._given_up)
        elif is_unreadable and self._call.is_begun:  # its address, which requests lets through
            ended = requests.exceptions.InvalidURL(error, request=self._call.sent)
        else:
            return error
        ended.__cause__ = error
        show_no_secrets(error)
        return ended

    def _is_failure(self, error: requests.RequestException) -> bool:
        """Whether ``error`` is that of the request, and not what came of its answer."""
        if not self.is_sent or not (isinstance(error, FAILURES) or self.out_of_time):
            return False
        # What an auth handler sends in a hook belongs to the call, and so does its failure.
        return self.answer is None or (self._is_ours(error) and self._stands is None)

    def _is_ours(self, error: requests.RequestException) -> bool:
        """Whether ``error`` is of a request that a hook has sent in this call."""
        sent = error.request if error.response is None else None
        return isinstance(sent, requests.PreparedRequest) and owner_of(sent) is self._call

    def _is_to_be_whole(self, response: requests.Response) -> bool:
        return self._reads and self._call.survives and not response._content_consumed

    def _is_whole(self, response: requests.Response, seen: bool = False) -> bool:
        """Read an answer to its end, so that what is cut short is known before anybody sees it.

        :param seen: the caller's hooks have seen it.
        :return: False where it was cut short, and is asked for again.
        """
        hooked = has_hooks(self._call.sent) and not seen
        if response.raw is None or (hooked and is_error(response.status_code)):
            return True  # it may be one step of a handshake, on this very connection
        try:
            if hooked:
                read_ahead(response)
            else:
                _ = response.content
        except FAILURES as error:
            drop(response)
            self.fail(error)
            if self.again is None:
                raise self.ending(error)  # noqa: B904  (it has its cause)
            return False
        except requests.exceptions.ContentDecodingError:
            if not response.is_redirect:  # requests does not mind it then
                raise
        return True

    def _is_cut(self, error: requests.RequestException) -> bool:
        """Whether nothing is wrong but that whoever asks has no more time."""
        call = self._call
        ends = call.ends
        if ends is None or ends != call.until or call.clock.monotonic() < ends:
            return False
        return is_timeout(error)

    def _put_back(self, half: Any) -> None:
        """The job is as if the request had not been sent; but for when it was put off to, or when
        ``half`` an answer says that it may be sent again (P1)."""
        request, before = self._call.sent, self._job
        _rewind(request, None)
        self._call.job, self._call.arrived = before, None
        due = self.put_off or (None if half is None else self._call.held(half))
        as_before = AsBefore(request, before.due, None)
        self.again = as_before if due is None else Next(request, due, None)

    def _ask_again(self, due: Due, response: requests.Response | None) -> None:
        request = self._call.sent
        try:
            _rewind(request, response)
        finally:
            if response is not None:
                self._call.release(response)
        self.again = Next(request, due, response)


def _facts(response: requests.Response) -> object:
    """What a response is judged by."""
    headers = response.headers
    return response.status_code, headers.get("Location"), headers.get("Retry-After")


def _rewind(request: requests.PreparedRequest, response: requests.Response | None) -> None:
    """Make the body ready to be sent again, or say before any wait that it is not."""
    if request.body is None or isinstance(request.body, _AS_IT_IS):
        return
    try:
        rewind_body(request)
    except requests.exceptions.UnrewindableBodyError as error:
        what = "fails" if response is None else f"answers {response.status_code}"
        raise requests.exceptions.UnrewindableBodyError(
            f"{printable(request.url)} {what}: send this again later. "
            "But the body cannot be rewound: give bytes or a seekable file",
            request=request,
            response=response,
        ) from error
