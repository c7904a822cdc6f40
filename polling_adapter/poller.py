"""A job whose result is asked for later: its requests are sent when the caller wants them to be."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any, NoReturn

import requests

from ._call.body import drop, is_lost
from ._call.call import Call
from ._call.choice import carrying
from ._call.exchange import attempt
from ._call.failures import without_frames
from ._call.job import AsBefore, Next
from ._call.messages import unknown
from ._call.next_request import stand_in_as
from ._call.parcel import Parcel, Unprepared
from ._call.timeout import check_timeout
from ._call.turn import LOOK_AGAIN, Turn
from ._clock import at_work, sleep_unless
from ._rules.address import is_address, printable
from .exceptions import PollingError, PollingTimeout, WorkFailed
from .policy import PollingPolicy

# A poll that is due is sent, however little time is left, and may take so long, in seconds.
_A_MOMENT = 0.1


class Poller:
    """A job under way, of :meth:`PollingSession.begin` or :meth:`PollingSession.resume`.

    The names are those of :class:`concurrent.futures.Future` where the meaning is the same. But
    nothing happens by itself: a request is sent by :meth:`poll`, :meth:`result`, :meth:`exception`
    or :func:`as_completed`, never before it is due. Threads may share a poller.
    """

    __slots__ = (
        "__weakref__",
        "_call",
        "_cancelled",
        "_outcome",
        "_present",
        "_session",
    )

    def __init__(self, session: requests.Session, call: Call) -> None:
        self._session = session
        self._call = call
        self._outcome: Any = None  # the response, or the error that ended the job
        self._cancelled = False
        # Turns, of which the first that is held is that of the thread that sends; and who is told
        # when this is cancelled. In one list, as ten thousand jobs may be waiting.
        self._present: list[Turn | Callable[[Poller], object]] = []

    def done(self) -> bool:
        """Whether nothing is left to ask: there is a result or an error, or it was cancelled."""
        return self._outcome is not None or self._cancelled

    def poll(self) -> bool:
        """Send the next request, if it is due and no other thread is sending it. Never waits.

        :return: whether the job is done.
        """
        self._take_turn()
        return self.done()

    @property
    def wait_seconds(self) -> float:
        """Seconds until the next request may be sent; 0.0 when it is due or none is left. While
        another thread sends it, the time to look again in."""
        wait = self._due_in()
        is_asked = not self.done() and self._turn_held() is not None
        return max(wait, LOOK_AGAIN) if is_asked else wait

    def result(self, timeout: float | None = None) -> requests.Response:
        """Wait and poll until the job is done.

        :param timeout: seconds to wait at the most. A poll that is under way then is cut, and sent
            again when somebody asks; it is no failed poll. So give it longer than an answer takes.
            A poll that is due is sent in any case, and has a tenth of a second at the least. It
            ends as a socket's timeout does: a server that drips headers, or a proxy that does not
            answer, can hold it for longer. A request that starts the work is never cut.
        :return: the response, as the session's own methods return it, but without a history.
        :raises PollingTimeout: ``timeout`` is over: the job goes on, and this can be called again.
        :raises concurrent.futures.CancelledError: the job was cancelled.
        :raises requests.RequestException: what ended the job.
        """
        self._wait(timeout)
        outcome = self._outcome
        if isinstance(outcome, requests.Response):
            return outcome
        try:
            raise outcome
        finally:
            del self, outcome  # the error knows this frame, and nothing here shall know the error

    def exception(self, timeout: float | None = None) -> Exception | None:
        """As :meth:`result`, but what ended the job is returned; None where that is a response."""
        self._wait(timeout)
        return self._outcome if isinstance(self._outcome, Exception) else None

    def cancel(self) -> bool:
        """Send no more requests; one that is under way is not cut. Whoever else waits for the
        result wakes up, where the policy's clock is that of this machine.

        :return: False where the job is done already. It can still be resumed by its token, also
            where the result has come meanwhile: it is asked for again.
        """
        if self.done():
            return self._cancelled
        self._cancelled = True
        for told in tuple(self._present):
            if not isinstance(told, Turn):
                told(self)
        return True

    def cancelled(self) -> bool:
        """Whether :meth:`cancel` came before the end."""
        return self._cancelled

    @property
    def url(self) -> str:
        """What is asked next; of a job that is done, where its last answer came from."""
        if isinstance(self._outcome, requests.Response):
            return self._outcome.url
        job = self._call.job
        upcoming = self._call.upcoming() or job.upcoming or job.request
        return "" if upcoming is None else upcoming.url or ""

    @property
    def polls(self) -> int:
        """How many polls were followed, before a restart too."""
        return self._call.job.progress.polls

    @property
    def policy(self) -> PollingPolicy:
        """What the job keeps to."""
        return self._call.policy

    def continuation_token(self, headers: Iterable[str] = ()) -> str:
        """What :meth:`PollingSession.resume` takes to go on, in this or another process.

        It holds the address of the work, when it may be asked for, and what is left of the limits;
        no credential, no cookie and no header but those named. It is not signed: whoever can alter
        it chooses what is asked.

        :param headers: the names of headers of the request that it shall hold.
        :raises ValueError: there is nothing to resume: the job has its result, or it is unknown
            whether the work has begun.
        """
        if isinstance(headers, (str, bytes)):
            raise TypeError(f"headers={headers!r} is not accepted: it takes a collection of names")
        outcome = self._outcome
        if isinstance(outcome, WorkFailed):
            raise ValueError(f"nothing is left to resume: {outcome}")
        if isinstance(outcome, requests.Response) and outcome.ok and not self._cancelled:
            raise ValueError(f"nothing is left to resume: {printable(self.url)} gave the result")
        upcoming = self._call.job.upcoming
        leads_on = self.done() or upcoming is None or is_address(upcoming.url)
        token = self._call.token(tuple(headers)) if leads_on else None
        if token is None:
            raise ValueError(
                f"nothing is left to resume: {printable(self.url)} named no http:// or https:// "
                "address to go on with, or it is unknown whether the work has begun"
            )
        # The limits of what an error has ended count anew.
        return str(token.anew() if isinstance(outcome, Exception) else token)

    def __repr__(self) -> str:
        if self._cancelled:
            state = "cancelled"
        elif self._outcome is not None:
            state = f"done, {self._outcome!r}"
        else:
            state = f"due in {self._due_in():.3f} s"
        return f"<Poller {printable(self.url)}, {self.polls} polls, {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Poller is not pickled: take its continuation_token(), and resume() that")

    def _due_in(self) -> float:
        """Seconds."""
        due = None if self.done() else self._call.job.due
        return 0.0 if due is None else max(0.0, due.at - self._call.clock.monotonic())

    def _take_turn(self, served: object = None, until: float | None = None) -> bool:
        """As :meth:`poll`.

        :param served: the job whose whole wait was slept: then it is due, also by a clock that
            stands still.
        :param until: a poll takes no longer than until this instant.
        :return: False where another thread is sending.
        """
        turn = Turn()
        with turn.lock:
            self._present.append(turn)
            try:
                if self._turn_held() is not turn:
                    return False
                job = self._call.job
                if not self.done() and (self._due_in() == 0 or job is served):
                    if until is not None:
                        until = max(until, self.policy.clock.monotonic() + _A_MOMENT)
                    self._call.until = until
                    self._step()
            finally:
                with contextlib.suppress(ValueError):
                    self._present.remove(turn)
        return True

    def _watch(self, told: Callable[[Poller], object]) -> None:
        """Call ``told`` when this is cancelled."""
        self._present.append(told)

    def _unwatch(self, told: Callable[[Poller], object]) -> None:
        """Call it no more."""
        with contextlib.suppress(ValueError):
            self._present.remove(told)

    def _turn_held(self) -> Turn | None:
        for turn in tuple(self._present):
            if isinstance(turn, Turn) and turn.is_held:
                return turn
        return None

    def _wait(self, timeout: float | None) -> None:
        """Wait and poll until the job is done."""
        check_timeout(timeout)
        woken = threading.Event()

        def wake(_: Poller) -> None:
            woken.set()

        self._watch(wake)
        try:
            at_work(self.policy.clock, self._poll_until_done, timeout, woken)
            if self._cancelled:
                raise CancelledError
        except BaseException as error:
            self._call.complete(error)
            raise
        finally:
            self._unwatch(wake)

    def _poll_until_done(self, timeout: float | None, woken: threading.Event) -> None:
        clock = self.policy.clock
        until = None if timeout is None else clock.monotonic() + timeout
        while not self.done():
            job, wait = self._call.job, self._due_in()
            left = math.inf if until is None else max(0.0, until - clock.monotonic())
            sleep_unless(woken, min(wait, left), clock)
            sends = wait <= left and self._take_turn(job, until)
            if self.done():
                return
            if until is not None and clock.monotonic() >= until:
                self._give_up_waiting(timeout)
            if not sends:
                woken.wait(LOOK_AGAIN)

    def _begin(self) -> Poller:
        """Send the first request: where no answer comes, there is nothing to ask for."""
        self._call.step(self.poll)
        failed = isinstance(self._outcome, Exception) and self._call.current().response is None
        if failed and not isinstance(self._outcome, PollingError):  # which is of a limit
            raise self._forget_outcome()
        return self

    def _forget_outcome(self) -> Exception:
        """The error that ended the job, which nobody knows but who gets it now."""
        error, self._outcome = self._outcome, None
        return error  # type: ignore[no-any-return]

    def _step(self) -> None:
        """Send one request, and see what comes of it."""
        call = self._call
        try:
            response = call.step(self._next, call)
            if response is not None:
                self._outcome = response
                call.tell(response)
        except Exception as error:  # it is the result's to raise it
            self._fail(error)

    def _next(self, call: Call) -> requests.Response | None:
        """What comes of the next request: the result, or what is to be sent after it and waits."""
        has_arrived = call.settle()
        job = call.job
        if job.upcoming is None:  # something has interrupted what comes after its answer
            step: Any = self._unharmed(call, job.response)
        elif has_arrived:
            step = Next(job.upcoming, job.due, job.response)
        else:
            step = self._sent(call, job.upcoming)
        if not isinstance(step, Next):
            response: requests.Response = step
            following = call.following  # None: somebody above has answered in our place
            step = None if following is None else following.after(call, response, call.sent)
            if step is None:
                return response
        if not isinstance(step, AsBefore):
            call.pause(step)
            call.rest(Parcel(step.request, self._session.cookies))
        return None

    def _unharmed(self, call: Call, response: Any) -> requests.Response | Next:
        """``response``, or where its body was half read and is what counts, what is answered to the
        poll again."""
        if call.job.leads_on or not is_lost(response):
            answer: requests.Response = response
            return answer
        drop(response)
        if call.survives:
            return self._sent(call, call.sent)
        raise requests.exceptions.ChunkedEncodingError(
            f"the body of {printable(response.url)} was being read when something interrupted it",
            request=call.sent,
            response=response,
        )

    def _sent(self, call: Call, upcoming: Any) -> requests.Response | Next:
        if not call.job.may_be_sent(upcoming):
            # something has interrupted it
            raise PollingError(unknown(upcoming))
        if isinstance(upcoming, Unprepared):
            kwargs: dict[str, Any] = {**upcoming.kwargs, "allow_redirects": False}
            if upcoming.is_resumed:  # its address is not to be rewritten by a class of the caller's
                ask: Any = partial(requests.Session.request, self._session)
                kwargs["hooks"] = carrying(call, kwargs.get("hooks"), self._session)
            else:
                ask = self._session.request
                kwargs["polling"] = call
                call.begins()  # its time counts from now on
            send = partial(ask, upcoming.method, upcoming.given, **kwargs)
            reads = not kwargs.get("stream", self._session.stream)
            return attempt(call, lambda: _answer(send()), reads=reads)
        if isinstance(upcoming, Parcel):
            upcoming = upcoming.request(self._session.cookies)
        own = call.owns(upcoming)
        stand_in_as(own, upcoming)
        sent: requests.Response | Next = call.following.attempt(call, own)
        return sent

    def _check_limits(self) -> Poller:
        """A job that cannot go on within its limits ends at once."""
        call, job = self._call, self._call.job
        try:
            call.step(call.pause, Next(job.upcoming, job.due, None))
        except PollingError as error:
            self._fail(error)
        return self

    def _fail(self, error: Exception) -> None:
        self._outcome = without_frames(error)
        self._call.log_end(type(error).__name__)

    def _give_up_waiting(self, timeout: float | None) -> NoReturn:
        token, job = self._call.token(), self._call.job
        raise PollingTimeout(
            f"no result within timeout={timeout} s: {printable(self.url)} is due in "
            f"{self._due_in():.3f} s, after {self.polls} polls; "
            "the job goes on: poller.result()",
            request=job.request,
            response=job.response,
            url=self.url,
            polls=self.polls,
            elapsed=self._call.elapsed,
            continuation_token=None if token is None else str(token),
        )


def _answer(sent: requests.Response | Future[requests.Response]) -> requests.Response:
    """What ``Session.request()`` returns, or promises, as that of requests-futures does."""
    if not isinstance(sent, Future):
        return sent
    try:
        return sent.result()
    finally:
        sent.cancel()  # whoever is interrupted here begins nothing later on
