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

from polling_adapter.reference_server import ReferenceServer

from .server import Server, poll

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
