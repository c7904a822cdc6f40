"""A job whose result is asked for later: its requests are sent when the caller wants them to be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, NoReturn

import requests
from requests.utils import get_netrc_auth

from ._address import printable
from ._hops import Hops
from ._parcel import Parcel, Unprepared
from ._poll import Spent
from ._steps import CallInSteps, NotYet
from ._token import Token
from .clock import sleep_unless
from .exceptions import PollingError, PollingTimeout
from .policy import PollingPolicy

if TYPE_CHECKING:
    from .session import PollingMixin

# Of the session's headers, those that hold credentials (RFC 9110 sections 11.6.2 and 11.7.2, RFC
# 6265 section 4.2)
_CREDENTIALS = ("Authorization", "Proxy-Authorization", "Cookie")


_watching = threading.Lock()


class Poller:
    """A job under way, of :meth:`PollingSession.begin` or :meth:`PollingSession.resume`.

    The names are those of :class:`concurrent.futures.Future` where the meaning is the same. But
    nothing happens by itself: a request is sent by :meth:`poll`, :meth:`result`, :meth:`exception`
    or :func:`as_completed`, never before it is due. Threads may share a poller.
    """

    __slots__ = (
        "__weakref__",
        "_at",
        "_call",
        "_cancelled",
        "_hops",
        "_lock",
        "_outcome",
        "_parcel",
        "_session",
        "_watchers",
    )

    def __init__(self, session: PollingMixin, call: CallInSteps, parcel: Unprepared) -> None:
        self._session = session
        self._call = call
        self._parcel: Parcel | Unprepared = parcel
        self._hops: Hops | None = None
        self._at = 0.0  # when it may be sent, by the monotonic clock
        self._outcome: Any = None  # the response, or the error that ended the job
        self._cancelled = False
        self._watchers: tuple[Callable[[Poller], object], ...] = ()
        self._lock = threading.Lock()  # held while a request is sent, never while one is waited for

    @classmethod
    def begun(
        cls,
        session: PollingMixin,
        policy: PollingPolicy,
        method: str,
        url: str,
        kwargs: dict[str, Any],
    ) -> Poller:
        poller = cls(session, CallInSteps(policy), Unprepared(method, url, kwargs))
        poller.poll()
        error = poller._outcome
        if isinstance(error, Exception) and not poller._is_begun():
            raise error
        return poller

    @classmethod
    def resumed(
        cls, session: PollingMixin, text: str, policy: PollingPolicy | None, kwargs: dict[str, Any]
    ) -> Poller:
        token = Token.parse(text)
        if token.has_body and not kwargs.keys() & {"data", "json", "files"}:
            raise ValueError(
                f"{token.method} {printable(token.url)} has a body, which the continuation token "
                "does not hold: give data=, json= or files= again"
            )
        left = token.left if policy is None else None
        spent = Spent(token.polls, token.counted, token.elapsed, left)
        call = CallInSteps(session.policy if policy is None else policy, spent)
        call.first_url = token.origin
        first = Unprepared(token.method, token.url, _as_redirected(session, token, kwargs))
        poller = cls(session, call, first)
        poller._resume(token)
        return poller

    def done(self) -> bool:
        """Whether nothing is left to ask: there is a result or an error, or it was cancelled."""
        return self._outcome is not None or self._cancelled

    def poll(self) -> bool:
        """Send the next request, if it is due and no other thread is sending it. Never waits.

        :return: whether the job is done.
        """
        if self._lock.acquire(blocking=False):
            self._send_and_release()
        return self.done()

    @property
    def wait_seconds(self) -> float:
        """Seconds until the next request may be sent; 0.0 when it is due or none is left."""
        if self.done():
            return 0.0
        return max(0.0, self._at - self._call.policy.clock.monotonic())

    def result(self, timeout: float | None = None) -> requests.Response:
        """Wait and poll until the job is done.

        :param timeout: seconds to wait at the most. A request that is under way then is not cut.
        :return: the response, as the session's own methods return it, but without a history.
        :raises PollingTimeout: ``timeout`` is over: the job goes on, and this can be called again.
        :raises concurrent.futures.CancelledError: the job was cancelled.
        :raises requests.RequestException: what ended the job.
        """
        self._wait(timeout)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        response: requests.Response = self._outcome
        return response

    def exception(self, timeout: float | None = None) -> Exception | None:
        """As :meth:`result`, but what ended the job is returned; None where that is a response."""
        self._wait(timeout)
        return self._outcome if isinstance(self._outcome, Exception) else None

    def cancel(self) -> bool:
        """Send no more requests. Whoever waits for the result wakes up, where the policy's clock is
        that of this machine.

        :return: False where the job is done already. It can still be resumed by its token.
        """
        if self.done():
            return self._cancelled
        self._cancelled = True
        for told in self._watchers:
            told(self)
        return True

    def cancelled(self) -> bool:
        """Whether :meth:`cancel` came before the end."""
        return self._cancelled

    @property
    def url(self) -> str:
        """What is asked next; of a job that is done, where its last answer came from."""
        outcome = self._outcome
        return outcome.url if isinstance(outcome, requests.Response) else self._parcel.url

    @property
    def polls(self) -> int:
        """How many polls were followed, before a restart too."""
        return self._call.polls

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
        :raises ValueError: there is nothing to resume: the job has its result.
        """
        if isinstance(headers, str):
            raise TypeError(f"headers={headers!r} is not accepted: it takes a collection of names")
        token: str | None = getattr(self._outcome, "continuation_token", None)
        if token is not None:  # of an error
            return token
        if isinstance(self._outcome, requests.Response):
            raise ValueError(f"nothing is left to resume: {printable(self.url)} gave the result")
        return str(self._call.token(self._parcel.request(), self._at, tuple(headers)))

    def __repr__(self) -> str:
        if self._cancelled:
            state = "cancelled"
        elif self._outcome is not None:
            state = f"done, {self._outcome!r}"
        else:
            state = f"due in {self.wait_seconds:.3f} s"
        return f"<Poller {printable(self.url)}, {self.polls} polls, {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Poller is not pickled: take its continuation_token(), and resume() that")

    def poll_alone(self, timeout: float | None = None) -> bool:
        """As :meth:`poll`, but wait where another thread is sending the request.

        :return: False where it is still sending after ``timeout`` seconds.
        """
        longest = threading.TIMEOUT_MAX
        patience = longest if timeout is None else min(max(0.0, timeout), longest)
        if not self._lock.acquire(timeout=patience):
            return False
        self._send_and_release()
        return True

    def watch(self, told: Callable[[Poller], object]) -> None:
        """Call ``told`` when this is cancelled."""
        with _watching:
            self._watchers = (*self._watchers, told)

    def unwatch(self, told: Callable[[Poller], object]) -> None:
        """Call it no more."""
        with _watching:
            self._watchers = tuple(other for other in self._watchers if other != told)

    def _wait(self, timeout: float | None) -> None:
        """Wait and poll until the job is done."""
        woken = threading.Event()

        def wake(_: Poller) -> None:
            woken.set()

        self.watch(wake)
        try:
            self._poll_until_done(timeout, woken)
        finally:
            self.unwatch(wake)
        if self._cancelled:
            raise CancelledError

    def _poll_until_done(self, timeout: float | None, woken: threading.Event) -> None:
        clock = self.policy.clock
        until = None if timeout is None else clock.monotonic() + timeout
        left = timeout
        while not self.done():
            wait = self.wait_seconds
            if left is not None and wait > left:
                sleep_unless(woken, max(0.0, left), clock)
                if not self.done():
                    self._give_up_waiting(timeout)
                return
            sleep_unless(woken, wait, clock)
            if not self.poll_alone(left):
                self._give_up_waiting(timeout)
            if until is not None:
                left = max(0.0, until - clock.monotonic())

    def _send_and_release(self) -> None:
        try:
            if not self.done() and self.wait_seconds == 0:
                self._send()
        finally:
            self._lock.release()

    def _is_begun(self) -> bool:
        """Whether there is anything to ask for: something was answered, or a limit is reached."""
        return self._call.response is not None or isinstance(self._outcome, PollingError)

    def _send(self) -> None:
        """Send one request, and see what comes of it."""
        try:
            response = self._answer()
            if self._following().leads_on(response):
                sent = self._call.request or response.request
                self._goes_on_with(self._following().upcoming(response, sent), at=0.0)
            else:
                self._outcome = response
        except NotYet as not_yet:
            self._goes_on_with(not_yet.request, not_yet.at)
        except Exception as error:  # it is the result's to raise it
            self._outcome = error

    def _answer(self) -> requests.Response:
        if isinstance(self._parcel, Unprepared):
            return self._parcel.send(self._session, self._call)
        request = self._parcel.request()
        self._call.goes_on_with(request, self._at)
        return self._following().send(request)

    def _following(self) -> Hops:
        if self._hops is None:
            options = self._call.options or {}
            options.pop("allow_redirects", None)
            self._hops = Hops(self._session, self._call, **options)
            self._call.options = None
        return self._hops

    def _goes_on_with(self, request: requests.PreparedRequest, at: float) -> None:
        self._following()  # while the options are known
        self._parcel = Parcel(request)
        self._at = at
        self._call.comes_to_rest()

    def _resume(self, token: Token) -> None:
        try:
            self._call.resumes(self._parcel.request(), token.due)
        except NotYet as not_yet:
            self._at = not_yet.at
        except PollingError as error:
            self._outcome = error

    def _give_up_waiting(self, timeout: float | None) -> NoReturn:
        raise PollingTimeout(
            f"no result within timeout={timeout} s: {printable(self.url)} is due in "
            f"{self.wait_seconds:.3f} s, after {self.polls} polls; the job goes on, ask again",
            url=self.url,
            polls=self.polls,
            elapsed=self._call.elapsed,
            continuation_token=self.continuation_token(),
        )


def _as_redirected(session: PollingMixin, token: Token, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a request that goes where redirects have led: the session adds to it what
    requests would have left in it."""
    headers: dict[str, Any] = dict(token.headers)
    params = kwargs.get("params") or {}
    if isinstance(params, Mapping) and isinstance(session.params, Mapping):
        params = {**dict.fromkeys(session.params), **params}
    kwargs = {**kwargs, "params": params}
    if session.should_strip_auth(token.origin, token.url):
        headers = {**dict.fromkeys(_CREDENTIALS), **headers}
        if kwargs.get("auth") is None:
            netrc = get_netrc_auth(token.url) if session.trust_env else None
            kwargs["auth"] = _no_credentials if netrc is None else netrc
    for name, value in (kwargs.get("headers") or {}).items():
        for other in [known for known in headers if known.lower() == name.lower()]:
            del headers[other]
        headers[name] = value
    return {**kwargs, "headers": headers}


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
