"""HTTPie with its plugin: real runs of ``http``, against real servers."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from polling_adapter import PollingAdapter, PollingPolicy
from polling_adapter.reference_server import ReferenceServer

from .server import RESET, Reply, Server, poll

pytestmark = pytest.mark.slow

# For 127.0.0.1 until 2120, signed by itself: nobody trusts it unless told to. For these tests only.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg7FGvhw+i4CsKXsM3
Ki2ORq9Qi0ssuc5PndOOV9QOCD2hRANCAAQFk3iy/MB126f51HhMBo1j5s6qEs7p
9gbeRBZX9+73BO4h7sxDZ92KK+qooeZUT7mSQz8379o2pUr/ol2/ZeOb
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBjTCCATOgAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAkxMjcuMC4w
LjEwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CTEyNy4wLjAuMTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAWTeLL8wHXbp/nU
eEwGjWPmzqoSzun2Bt5EFlf37vcE7iHuzENn3Yor6qih5lRPuZJDPzfv2jalSv+i
Xb9l45ujdDByMA8GA1UdEQQIMAaHBH8AAAEwDwYDVR0TAQH/BAUwAwEB/zAdBgNV
HQ4EFgQUHgxupoQBpqreyeAMUgR/+I1bMeowHwYDVR0jBBgwFoAUHgxupoQBpqre
yeAMUgR/+I1bMeowDgYDVR0PAQH/BAQDAgKEMAoGCCqGSM49BAMCA0gAMEUCIQC8
kRLnxPOMKvQZ1MW+9Ex4tK6MXlN0yFYSKfLP39g0vQIgWEQz8l7flnwTd2SxI2dZ
8CxjpD+4iivVfyEM/Nku7s4=
-----END CERTIFICATE-----
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One in which HTTPie has a configuration of its own."""
    return {**os.environ, "HTTPIE_CONFIG_DIR": str(tmp_path)}


@pytest.fixture
def http(environment: dict[str, str]) -> Run:
    command = shutil.which("http", path=str(Path(sys.executable).parent))
    assert command is not None, "HTTPie is not installed"

    def run(*arguments: str, program: tuple[str, ...] = (command,)) -> Any:
        return subprocess.run(
            [*program, "--ignore-stdin", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
        )

    return run


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "certificate.pem"
    path.write_text(CERTIFICATE)
    return path


class Told(BaseHTTPRequestHandler):
    """Answers with what was agreed on for TLS, after two polls."""

    polls = 0

    def do_GET(self) -> None:
        cls = type(self)
        cls.polls += 1
        connection: Any = self.connection
        name, _, _ = connection.cipher()
        body = json.dumps([connection.version(), name]).encode()
        self.send_response_only(200 if cls.polls % 3 == 0 else 303)
        if cls.polls % 3:
            self.send_header("Location", "/work")
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def secure(certificate: Path) -> Iterator[str]:
    """The URL of a server that nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    Told.polls = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Told) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_httpie_waits_and_returns_the_result(http: Run) -> None:
    with ReferenceServer() as reference:
        done = http("--follow", "POST", f"{reference.url}/start_work?duration=2")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["duration"] == 2
    assert reference.nb_early_call == 0


def test_httpie_without_follow_shows_the_redirect_at_once(http: Run, server: Server) -> None:
    server.script(poll("/work", "3600"))
    done = http("--headers", "POST", server.url)
    assert "Retry-After: 3600" in done.stdout
    assert len(server.seen) == 1


def agreed(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    version_and_cipher: list[str] = json.loads(done.stdout)
    return version_and_cipher


def test_httpie_refuses_a_certificate_that_it_does_not_trust(http: Run, secure: str) -> None:
    done = http("--follow", secure)
    assert (done.returncode, Told.polls) == (1, 0)
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr


def test_httpie_verifies_by_what_it_is_given(http: Run, secure: str, certificate: Path) -> None:
    assert agreed(http("--follow", f"--verify={certificate}", secure))[0] == "TLSv1.3"
    assert agreed(http("--follow", "--verify=no", secure))[0] == "TLSv1.3"


CIPHER = "ECDHE-ECDSA-AES128-GCM-SHA256"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--ssl=tls1.2"], "TLSv1.2"),
        (["--ssl=tls1.2", "--no-ssl"], "TLSv1.3"),  # HTTPie's way to undo an option
        (["--ssl=tls1.2", "--ciphers", CIPHER], CIPHER),
    ],
)
def test_httpie_keeps_its_options_for_tls(
    http: Run, secure: str, options: list[str], expected: str
) -> None:
    assert expected in agreed(http("--follow", "--verify=no", *options, secure))


def test_httpie_keeps_the_options_of_its_configuration(
    http: Run, secure: str, tmp_path: Path
) -> None:
    options = {"default_options": ["--verify=no", "--ssl=tls1.2"]}
    (tmp_path / "config.json").write_text(json.dumps(options))
    assert agreed(http("--follow", secure))[0] == "TLSv1.2"


PROGRAM = """
import sys
from httpie import core, ssl_
contexts = []
create = ssl_.create_urllib3_context
ssl_.create_urllib3_context = lambda **given: contexts.append(given) or create(**given)
arguments = ["http", *sys.argv[1:]]
sys.argv = ["program", "--ssl=tls1"]
status = core.main(arguments)
print(len(contexts), file=sys.stderr)
sys.exit(status)
"""


def test_httpie_in_a_program_of_others(http: Run, secure: str) -> None:
    """The program's own arguments say nothing about TLS."""
    program = (sys.executable, "-c", PROGRAM)
    done = http("--follow", "--verify=no", "--ssl=tls1.2", secure, program=program)
    assert agreed(done)[0] == "TLSv1.2"


def test_httpie_prepares_tls_once_and_only_where_it_is_used(
    http: Run, server: Server, secure: str
) -> None:
    """It has prepared its own before any plugin is asked."""
    program = (sys.executable, "-c", PROGRAM)
    assert http("--follow", server.url, program=program).stderr.split()[-1] == "1"
    assert http("--follow", "--verify=no", secure, program=program).stderr.split()[-1] == "2"


def test_httpie_goes_from_http_to_https(http: Run, server: Server, secure: str) -> None:
    server.script(poll(f"{secure}/work"))
    assert agreed(http("--follow", "--verify=no", "--ssl=tls1.2", server.url))[0] == "TLSv1.2"


@pytest.mark.parametrize(
    ("variables", "replies", "said"),
    [
        (
            {"TOTAL_TIMEOUT": "2.5"},
            [poll("/work", "3600")],
            "s are left of total_timeout=2.5; begun at ",
        ),
        (
            {"RETRY_AFTER_MAX": "60"},
            [poll("/work", "3600")],
            "the server asks to wait 3600 s, retry_after_max=60 is accepted",
        ),
        ({"MAX_POLLS": "1"}, [poll("/work")], "the work is not done after max_polls=1"),
        (
            {"POLL_FAILURES": "1", "BACKOFF_FACTOR": "0", "MIN_WAIT": "0"},
            [poll("/work"), RESET],
            "ConnectionError outlasts poll_failures=1",
        ),
    ],
)
def test_httpie_takes_a_policy_from_the_environment_and_shows_what_it_ends(
    http: Run,
    server: Server,
    environment: dict[str, str],
    variables: dict[str, str],
    replies: list[Reply],
    said: str,
) -> None:
    environment.update({f"POLLING_{name}": value for name, value in variables.items()})
    server.script(*replies)
    done = http("--follow", "POST", server.url)
    assert done.returncode == 1
    assert said in done.stderr
    assert "http: error: PollingError: " in done.stderr
    assert done.stderr.rstrip().endswith(f"; resume with GET {server.url}/work")


def test_httpie_still_tells_in_its_own_words_what_is_no_matter_of_polls(
    http: Run, server: Server
) -> None:
    server.script(Reply(303, {"Location": "/"}))
    done = http("--follow", "--max-redirects=3", server.url)
    assert (done.returncode, len(server.seen)) == (6, 3)
    assert "Too many redirects (--max-redirects=3)." in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "TOTAL_TIMEOUT",
            "soon",
            "POLLING_TOTAL_TIMEOUT='soon' of the environment is not accepted: it takes a number",
        ),
        (
            "MAX_POLLS",
            "1.5",
            "POLLING_MAX_POLLS='1.5' of the environment is not accepted: it takes a whole number",
        ),
        (
            "JITTER",
            "-1",
            "POLLING_JITTER of the environment: jitter=-1.0 is not accepted: it takes a finite",
        ),
        ("MIN_WAIT", "none", "POLLING_MIN_WAIT of the environment: min_wait=None is not accepted"),
        ("OUTAGE_MAX", "nan", "POLLING_OUTAGE_MAX of the environment: outage_max=nan is not"),
    ],
)
def test_httpie_says_what_is_wrong_in_the_environment(
    http: Run, server: Server, environment: dict[str, str], name: str, value: str, said: str
) -> None:
    environment[f"POLLING_{name}"] = value
    done = http("--follow", server.url)
    assert (done.returncode, server.seen) == (1, [])
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_each_number_of_a_policy_has_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    from polling_adapter._httpie import PollingHTTP

    numbers = {
        "total_timeout": 7.5,
        "poll_timeout": None,
        "max_polls": 3,
        "retry_after_max": None,
        "min_wait": 0.25,
        "jitter": 0.0,
        "backoff_factor": 2.0,
        "backoff_max": 8.0,
        "poll_failures": 4,
        "outage_max": 90.0,
    }
    for name, value in numbers.items():
        monkeypatch.setenv(f"POLLING_{name.upper()}", str(value))
    monkeypatch.setenv("POLLING_CLOCK", "5")
    monkeypatch.setenv("POLLING_INTERVAL", "of another program")
    policy = PollingPolicy(**numbers)  # type: ignore[arg-type]
    assert PollingHTTP().get_adapter().policy == policy  # type: ignore[attr-defined]
    left = {name for name, field in PollingPolicy.__dataclass_fields__.items() if is_number(field)}
    assert left == set(numbers)


def is_number(field: Any) -> bool:
    return field.type.startswith(("float", "int"))


def test_a_variable_that_is_empty_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from polling_adapter._httpie import PollingHTTPS

    monkeypatch.setenv("POLLING_TOTAL_TIMEOUT", " ")
    assert PollingHTTPS().get_adapter()._options["policy"] == PollingPolicy()  # type: ignore[attr-defined]


def test_the_environment_is_for_httpie_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLLING_TOTAL_TIMEOUT", "soon")
    assert PollingAdapter().policy == PollingPolicy()


def test_httpie_shows_a_202_as_it_came(http: Run, server: Server) -> None:
    """It has no place to give a policy, of which ``pending`` would be."""
    server.script(Reply(202, {"Location": "/work", "Retry-After": "0"}, b"not yet"))
    assert http("--follow", "POST", server.url).stdout.endswith("not yet")
    assert server.asked == ["POST /"]
