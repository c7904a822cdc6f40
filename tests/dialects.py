"""The services that the documentation's pages call, each as far as they call it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import parse_qs

from .server import Reply, Seen, Server, poll, serving

# To each request line belong the replies that come in turn, and again from the first after the
# last of them: so any number of jobs can be begun, one after the other.
Table = dict[str, list[Reply]]

SOON = {"Retry-After": "0"}


def said(body: object, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = {"Content-Type": "application/json"}
    return Reply(status, {**kind, **SOON, **named}, json.dumps(body).encode())


def not_yet(**headers: str) -> Reply:
    return Reply(202, {**SOON, **{name.replace("_", "-"): headers[name] for name in headers}})


def jobs(_: str) -> Table:
    return {
        "POST /render": [not_yet(Location="/pages")],
        "GET /pages": [not_yet(), Reply(200, {"Content-Type": "application/pdf"}, b"%PDF")],
        "POST /start": [not_yet(Location="/work/7")],
        "GET /work/7": [not_yet(), said({"status": "queued"}), said({"status": "done"})],
        "POST /sum": [said({"status": "queued", "id": 7})],
        "GET /jobs/7": [
            said({"status": "running", "id": 7}),
            said({"status": "done", "id": 7, "sum": 42}),
        ],
        "POST /divide": [said({"status": "queued", "id": 8})],
        "GET /jobs/8": [said({"status": "failed", "id": 8, "why": "division by zero"})],
    }


def fhir(url: str) -> Table:
    return {
        "GET /Patient/$export": [not_yet(Content_Location=f"{url}/status/7")],
        "GET /status/7": [
            not_yet(X_Progress="10 %"),
            not_yet(X_Progress="90 %"),
            said({"output": [{"type": "Patient", "url": f"{url}/files/1"}]}),
        ],
    }


def ogc(url: str) -> Table:
    return {
        "POST /processes/buffer/execution": [
            said({"status": "accepted", "jobID": "7"}, 201, Location=f"{url}/jobs/7")
        ],
        "GET /jobs/7": [
            said({"status": "accepted", "jobID": "7"}),
            said({"status": "running", "jobID": "7", "progress": 50}),
            said({"status": "successful", "jobID": "7"}),
        ],
        "GET /jobs/7/results": [said({"status": "running", "area": 78.5})],
    }


def azure(url: str) -> Table:
    """The ways in which a start is answered, and what each ends with."""
    monitor, machine = f"{url}/operations/7?api-version=1", {"name": "a"}
    return {
        "PUT /machines/a?api-version=1": [
            said(
                {**machine, "properties": {"provisioningState": "Creating"}},
                201,
                Azure_AsyncOperation=monitor,
            )
        ],
        "GET /operations/7?api-version=1": [
            said({"status": "InProgress"}, Azure_AsyncOperation=monitor),
            said({"status": "Succeeded"}, Azure_AsyncOperation=monitor),
        ],
        "PUT /disks/a": [said({"properties": {"provisioningState": "Creating"}}, 201)],
        "GET /disks/a": [
            said({"properties": {"provisioningState": "Updating"}}),
            said({"properties": {"provisioningState": "Succeeded"}, "size": 8}),
        ],
        "POST /machines/a/start": [not_yet(Location=f"{url}/results/7")],
        "GET /results/7": [not_yet(Location=f"{url}/results/7"), said({"size": 8})],
        "DELETE /machines/a": [not_yet(Azure_AsyncOperation=f"{url}/operations/8")],
        "GET /operations/8": [said({"status": "Deleting"}), said({"status": "Failed"})],
    }


def tap(_: str) -> Table:
    def phase(name: str) -> Reply:
        body = f"<uws:job><uws:jobId>7</uws:jobId><uws:phase>{name}</uws:phase></uws:job>"
        return Reply(200, {"Content-Type": "text/xml", **SOON}, body.encode())

    return {
        "POST /async": [Reply(303, {"Location": "/async/7"})],
        "GET /async/7": [phase("QUEUED"), phase("EXECUTING"), phase("COMPLETED")],
        "GET /async/7/results/result": [Reply(303, {"Location": "/files/7"})],
        "GET /files/7": [Reply(200, {}, b"<VOTABLE/>")],
        "POST /failing": [Reply(303, {"Location": "/async/8"})],
        "GET /async/8": [phase("EXECUTING"), phase("ERROR")],
    }


def github(_: str) -> Table:
    def limited(status: int, left: int) -> Reply:
        over = str(int(time.time()) + 1)
        headers = {"X-RateLimit-Remaining": str(left), "X-RateLimit-Reset": over}
        return Reply(status, headers)

    return {
        "GET /repos/psf/requests": [limited(403, 0), limited(429, 0), said({"name": "requests"})],
        "GET /forbidden": [limited(403, 4000)],
        "GET /secondary": [Reply(403)],
    }


def registry(_: str) -> Table:
    return {
        "POST /v2/image/blobs/uploads/": [Reply(202, {"Location": "/v2/image/blobs/uploads/7"})],
        "GET /v2/image/blobs/uploads/7": [Reply(204)],
        "DELETE /v2/image/manifests/7": [Reply(202)],
    }


TABLES: dict[str, Callable[[str], Table]] = {
    "https://jobs.example": jobs,
    "https://fhir.example": fhir,
    "https://ogc.example": ogc,
    "https://azure.example": azure,
    "https://tap.example": tap,
    "https://api.github.com": github,
    "https://registry.example": registry,
}


def in_turn(table: Table) -> Callable[[Seen], Reply]:
    asked: Counter[str] = Counter()

    def answer(seen: Seen) -> Reply:
        line = f"{seen.method} {seen.path}"
        replies = table.get(line, [Reply(404)])
        asked[line] += 1
        return replies[(asked[line] - 1) % len(replies)]

    return answer


class Guarded:
    """A service that looks at the credentials of each request. It issues tokens, each with another
    one that renews it and is good for one use.

    :param duration: seconds that a job takes. :param interval: between two polls.
    :param good_for: how long a token is good.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        duration: float = 0.3,
        interval: int = 0,
        good_for: int = 300,
    ) -> None:
        self._now = now
        self._wall = wall
        self._duration = duration
        self._interval = interval
        self._good_for = good_for
        self._lock = threading.Lock()
        self._issued: dict[str, float] = {}
        self._renewing = {"first"}
        self.refused = 0

    @property
    def issued(self) -> int:
        return len(self._issued)

    def __call__(self, seen: Seen) -> Reply:
        if seen.path == "/token":
            return self._issue(seen)
        if not self._is_good(seen):
            self.refused += 1
            return Reply(401)
        ends = float(seen.path.partition("/work/")[2] or self._now() + self._duration)
        if self._now() < ends:
            return poll(f"/work/{ends}", str(self._interval))
        return said({"answer": 42})

    def _issue(self, seen: Seen) -> Reply:
        with self._lock:
            renewing = parse_qs(seen.body.decode()).get("refresh_token", [""])[0]
            if renewing not in self._renewing and not _is_basic(seen, "secret"):
                self.refused += 1
                return said({"error": "invalid_grant"}, 400)
            self._renewing.discard(renewing)
            token, other = f"token-{self.issued}", f"renew-{self.issued}"
            self._issued[token] = self._now()
            self._renewing.add(other)
        issued = {"access_token": token, "refresh_token": other, "expires_in": self._good_for}
        return said({**issued, "token_type": "Bearer"})

    def _is_good(self, seen: Seen) -> bool:
        kind, _, credential = seen.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer":
            return self._now() - self._issued.get(credential, -1000.0) <= self._good_for
        return kind == "Signed" and self._is_signed(seen, credential)

    def _is_signed(self, seen: Seen, credential: str) -> bool:
        """AWS refuses what was signed more than some minutes ago, too."""
        date = seen.headers.get("X-Date", "")
        then = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._wall() - 300))
        text = [seen.method, seen.path, date, hashlib.sha256(seen.body).hexdigest()]
        key = hmac.digest(b"secret", date[:8].encode(), "sha256")
        signature = hmac.new(key, "\n".join(text).encode(), "sha256").hexdigest()
        return date >= then and credential == f"me {signature}"


def _is_basic(seen: Seen, password: str) -> bool:
    expected = base64.b64encode(f"me:{password}".encode()).decode()
    return seen.headers.get("Authorization") == f"Basic {expected}"


def changed_in_mid_job(seen: Seen) -> Reply:
    """The password, and the work is done meanwhile."""
    if seen.path == "/start":
        return poll("/work") if _is_basic(seen, "secret") else Reply(401)
    return said({"answer": 42}) if _is_basic(seen, "new secret") else Reply(401)


@contextmanager
def services() -> Iterator[dict[str, Server]]:
    """A server for each service, by the URL that the pages have of it."""
    with ExitStack() as stack:
        servers = {}
        for url, table in TABLES.items():
            servers[url] = server = stack.enter_context(serving())
            server.answer = in_turn(table(server.url))
        for name in ("login", "signed", "basic", "digest"):
            servers[f"https://{name}.example"] = stack.enter_context(serving())
        servers["https://login.example"].answer = Guarded()
        servers["https://signed.example"].answer = Guarded()
        servers["https://basic.example"].answer = changed_in_mid_job
        servers["https://digest.example"].answer = lambda _: Reply(200, {}, b"{}")
        yield servers
