"""s6-tlsclient from outside: which host it reaches, in what time, what prog finds, and how the name is chosen.

The hosts are TLS servers of Python's, or plain listeners where no connection comes to a handshake.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.companions.tcp import black_hole, name_server, private_names
from tests.harness import BIN, LIMIT_S, Argument, free_port, kill_marked, marked, needs_root, require_peer
from tests.procs import MARK

TOOL = BIN / "s6-tlsclient"
ECHO = ["sh", "-c", "echo hello >&7; cat <&6"]  # the host answers a line with the same line
DUMP = ["env", "-0"]
STALE = {name: "stale" for name in ("PROTO", "TCPREMOTEHOST", "TCPREMOTEINFO", "TCPLOCALHOST", "TCPLOCALIP")}
NOT_VERIFIED = "s6-tlsc: warning: no -k: the server's name is not verified\n"
REFUSED = "Connection refused"
UNREACHABLE = "s6-tlsclient: fatal: unable to connect to a suitable IP address\n"


@dataclass
class Host:
    """A TLS server on one address that answers one line a connection; it keeps who came and what name was asked."""

    context: ssl.SSLContext
    address: str = "127.0.0.1"
    port: int = 0
    came: list[tuple[str, int]] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)

    def __enter__(self) -> Host:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listener = socket.create_server((self.address, self.port), family=family)
        self.port = self._listener.getsockname()[1]
        self.context.sni_callback = lambda _sock, name, _context: self.asked.append(name)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _run(self) -> None:
        while True:
            sock, peer = self._listener.accept()
            with sock:
                sock.settimeout(LIMIT_S)
                if self._over:
                    return
                self.came.append((peer[0], peer[1]))
                with contextlib.suppress(OSError), self.context.wrap_socket(sock, server_side=True) as tls:
                    line = tls.recv(100)
                    tls.sendall(line)
                    with contextlib.suppress(OSError):
                        tls.unwrap()

    _over: bool = False

    def __exit__(self, *_: object) -> None:
        self._over = True
        socket.create_connection((self.address, self.port)).close()
        self._thread.join(LIMIT_S)
        self._listener.close()


@dataclass
class Done:
    """One run."""

    code: int
    stdout: bytes
    stderr: str
    seconds: float

    def environment(self) -> dict[str, str]:
        return dict(pair.partition("=")[::2] for pair in self.stdout.decode().split("\0")[:-1])


@pytest.fixture(scope="module")
def anchors(certs: Certs) -> Iterator[Path]:
    """The authority's certificate where every user can read it."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        copy = Path(folder) / "ca.pem"
        shutil.copy(certs.ca, copy)
        copy.chmod(0o644)
        yield copy


@pytest.fixture
def context(certs: Certs) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certs.server("p256"))
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    return made


@pytest.fixture
def run(anchors: Path) -> Iterator[Runner]:
    with contextlib.closing(Runner(anchors)) as runner:
        yield runner


class Runner:
    """Runs `s6-tlsclient WORDS` with the anchors in the environment; no process may be left."""

    def __init__(self, anchors: Path) -> None:
        self.anchors = anchors
        self.mark = uuid.uuid4().hex

    def __call__(
        self, *words: Argument | int, before: Sequence[Argument] = (), env: dict[str, str] | None = None
    ) -> Done:
        environment = {"PATH": os.environ["PATH"], "CAFILE": str(self.anchors), MARK: self.mark} | (env or {})
        command = [*before, TOOL, *(str(word) if isinstance(word, int) else word for word in words)]
        start = time.monotonic()
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=LIMIT_S * 2, check=False
        )
        seconds = time.monotonic() - start
        assert not marked(self.mark), "a process is left"
        return Done(done.returncode, done.stdout, done.stderr.decode(), seconds)

    def close(self) -> None:
        kill_marked(self.mark)


# --- what prog finds ---


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_environment(run: Runner, context: ssl.SSLContext, address: str) -> None:
    with Host(context, address) as host:
        done = run("-l", "here", "-k", "localhost", address, host.port, *DUMP, env=STALE)
        assert (done.code, done.stderr) == (0, "")
        found = done.environment()
        (came,) = host.came
        assert {name: value for name, value in found.items() if name.startswith(("TCP", "PROTO"))} == {
            "PROTO": "TCP",
            "TCPREMOTEIP": address,
            "TCPREMOTEPORT": str(host.port),
            **({"TCPREMOTEHOST": found["TCPREMOTEHOST"]} if "TCPREMOTEHOST" in found else {}),
            "TCPLOCALIP": address,
            "TCPLOCALPORT": str(came[1]),
            "TCPLOCALHOST": "here",
        }
        assert found["SSL_PROTOCOL"] == "TLSv1.2"
        assert found["SSL_TLS_SNI_SERVERNAME"] == "localhost"
        assert "CAFILE" not in found
        assert run("-Z", address, host.port, *DUMP).environment()["CAFILE"] == str(run.anchors)


def test_the_connection_is_on_6_and_7(run: Runner, context: ssl.SSLContext) -> None:
    with Host(context) as host:
        done = run("localhost", host.port, *ECHO)
        assert (done.code, done.stdout, done.stderr) == (0, b"hello\n", "")
        done = run("localhost", host.port, "sh", "-c", "ls /proc/$$/fd; readlink /proc/$$/fd/6 /proc/$$/fd/7; exit 0")
        *numbers, _, _ = lines = done.stdout.decode().splitlines()
        pipes = lines[-2:]
        assert set(numbers) == {"0", "1", "2", "6", "7"}
        assert [kind.partition(":")[0] for kind in pipes] == ["pipe", "pipe"]


def test_the_exit_code_is_progs(run: Runner, context: ssl.SSLContext) -> None:
    with Host(context) as host:
        assert run("localhost", host.port, "sh", "-c", "exit 42").code == 42
        assert run("localhost", host.port, "sh", "-c", "kill -TERM $$").code == 128 + 15
        done = run("localhost", host.port, "/nonexistent")
        assert (done.code, done.stderr) == (
            111, "s6-tlsc: fatal: unable to spawn /nonexistent: No such file or directory\n")  # fmt: skip


@needs_root
@pytest.mark.parametrize(("options", "remote", "local"), [
    ((), "far.example", "near.example"), (("-l", "me"), "far.example", "me"), (("-H",), None, None),
    (("-Hl", "me"), None, "me"), (("-H", "-h"), "far.example", "near.example"),
])  # fmt: skip
def test_names_of_both_ends(
    run: Runner, context: ssl.SSLContext, tmp_path: Path, options: tuple[str, ...], remote: str, local: str
) -> None:
    before = private_names(tmp_path, "127.70.0.1 far.example\n127.70.0.2 near.example\n")
    with Host(context, "127.70.0.1") as host:
        words = [*options, "-k", "localhost", "-i", "127.70.0.2", "127.70.0.1", host.port, *DUMP]
        found = run(*words, before=before, env=STALE).environment()
    assert (found.get("TCPREMOTEHOST"), found.get("TCPLOCALHOST")) == (remote, local)


@needs_root
def test_a_silent_name_service_costs_two_seconds_at_most(
    run: Runner, context: ssl.SSLContext, tmp_path: Path
) -> None:
    with name_server(None) as server, Host(context) as host:
        before = private_names(tmp_path, server=server, options="timeout:30 attempts:1")
        done = run("-k", "localhost", "127.0.0.1", host.port, *DUMP, before=before, env=STALE)
        assert done.code == 0
        assert not {"TCPREMOTEHOST", "TCPLOCALHOST"} & set(done.environment())
        assert 1.9 < done.seconds < 4
        done = run("-k", "localhost", "-t", "1", "127.0.0.1", host.port, *DUMP, before=before, env=STALE)
        assert done.code == 0
        assert 0.9 < done.seconds < 3, "-t counts for them too"


# --- the name to verify ---


@pytest.mark.parametrize(
    ("words", "asked", "stderr"),
    [
        (["localhost"], "localhost", ""),
        (["-k", "test.example", "localhost"], "test.example", ""),
        (["-k", "test.example", "127.0.0.1"], "test.example", ""),
        (["127.0.0.1"], None, NOT_VERIFIED),
        (["-H", "localhost"], None, NOT_VERIFIED),
        (["-q", "-H", "localhost"], None, ""),
        (["-k", "", "localhost"], None, NOT_VERIFIED),
        (["-k", "127.0.0.1", "localhost"], None, ""),
        (["0"], None, NOT_VERIFIED),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_servers_name(
    run: Runner, context: ssl.SSLContext, words: list[str], asked: str | None, stderr: str
) -> None:
    with Host(context) as host:
        done = run("-4", *words, host.port, *ECHO)
        assert (done.code, done.stdout, done.stderr) == (0, b"hello\n", stderr)
        assert host.asked == [asked]


@needs_root
def test_a_host_of_another_name_is_refused(run: Runner, context: ssl.SSLContext, tmp_path: Path) -> None:
    before = private_names(tmp_path, "127.0.0.1 other.example\n")
    with Host(context) as host:
        done = run("other.example", host.port, *ECHO, before=before)
        assert (done.code, done.stdout) == (98, b"")
        assert re.fullmatch(r"s6-tlsc: fatal: the TLS engine closed .* \(BR_ERR_X509_BAD_SERVER_NAME\)\n", done.stderr)
        assert host.asked == ["other.example"]
        assert run("-H", "other.example", host.port, *ECHO, before=before).stderr == NOT_VERIFIED


# --- addresses ---


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_refused(run: Runner, address: str) -> None:
    port = free_port(address)
    done = run(address, port, *ECHO)
    warning = f"s6-tlsclient: warning: unable to connect to {address} port {port}: {REFUSED}\n"
    assert (done.code, done.stdout, done.stderr) == (111, b"", warning + UNREACHABLE)
    assert run("-q", address, port, *ECHO).stderr == UNREACHABLE


@needs_root
def test_the_addresses_are_tried_in_turn(run: Runner, context: ssl.SSLContext, tmp_path: Path) -> None:
    """Refused, then silent, then good: the third is reached after the first round's limit of the second."""
    before = private_names(tmp_path, "127.71.0.1 many\n127.71.0.2 many\n127.71.0.3 many\n")
    with Host(context, "127.71.0.3") as host, black_hole("127.71.0.2", host.port):
        done = run("-v", "-k", "localhost", "-T", "1+5", "many", host.port, *ECHO, before=before)
        assert (done.code, done.stdout) == (0, b"hello\n")
        assert done.stderr.startswith(f"s6-tlsclient: info: connected to 127.71.0.3 port {host.port}\n")
        assert "warning" not in done.stderr, "the second round never came"
        assert done.seconds < 4


@needs_root
def test_no_address_is_good(run: Runner, tmp_path: Path) -> None:
    before = private_names(tmp_path, "127.71.0.1 many\n127.71.0.2 many\n")
    port = free_port("127.71.0.1")
    done = run("many", port, *ECHO, before=before)
    warnings = [
        f"s6-tlsclient: warning: unable to connect to 127.71.0.{n} port {port}: {REFUSED}\n" for n in (1, 2)
    ]
    assert done.code == 111
    assert sorted(done.stderr.splitlines(keepends=True)) == sorted([*warnings, UNREACHABLE])


@needs_root
@pytest.mark.parametrize(("options", "reached"), [
    (["-4"], "127.0.0.1"), (["-6"], "::1"), (["-4", "-6"], "::1"), (["-i", "127.0.0.5"], "127.0.0.1"),
    (["-i", "::1"], "::1"),
])  # fmt: skip
def test_families(
    run: Runner, context: ssl.SSLContext, tmp_path: Path, options: list[str], reached: str
) -> None:
    before = private_names(tmp_path, "127.0.0.1 both\n::1 both\n")
    with Host(context) as four, Host(context, "::1", four.port):
        done = run("-vk", "localhost", *options, "both", four.port, *ECHO, before=before)
        assert (done.code, done.stdout) == (0, b"hello\n")
        assert done.stderr.startswith(f"s6-tlsclient: info: connected to {reached} port {four.port}\n")


@needs_root
def test_the_other_family_when_one_is_refused(run: Runner, context: ssl.SSLContext, tmp_path: Path) -> None:
    before = private_names(tmp_path, "127.0.0.1 both\n::1 both\n")
    for address in ("127.0.0.1", "::1"):
        with Host(context, address) as host:
            done = run("-Hk", "localhost", "both", host.port, *DUMP, before=before)
            assert (done.code, done.stderr) == (0, "")
            assert done.environment()["TCPREMOTEIP"] == address


@pytest.mark.parametrize("words", [["-6", "127.0.0.1"], ["-4", "::1"], ["-i", "::1", "127.0.0.1"]], ids=" ".join)
def test_no_address_of_that_family(run: Runner, words: list[str]) -> None:
    done = run(*words, 1, *ECHO)
    where = words[-1]
    assert (done.code, done.stderr) == (
        111, f"s6-tlsclient: fatal: unable to resolve {where}: no address of this family\n")  # fmt: skip


def test_local_address_and_port(run: Runner, context: ssl.SSLContext) -> None:
    with Host(context) as host:
        port = free_port("127.0.0.7")
        done = run("-i", "127.0.0.7", "-p", port, "localhost", host.port, *DUMP)
        assert done.code == 0
        assert host.came == [("127.0.0.7", port)]
        assert (done.environment()["TCPLOCALIP"], done.environment()["TCPLOCALPORT"]) == ("127.0.0.7", str(port))
        port = free_port()
        assert run("-p", port, "127.0.0.1", host.port, *DUMP).code == 0
        assert host.came[1] == ("127.0.0.1", port)


def test_a_local_address_that_cannot_be_used(run: Runner) -> None:
    done = run("-i", "192.0.2.1", "localhost", 1, *ECHO)
    assert (done.code, done.stdout) == (111, b"")
    assert done.stderr == "s6-tlsclient: fatal: unable to bind socket: Cannot assign requested address\n"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("-i", "127.0.0.1", "-p", taken.getsockname()[1], "127.0.0.1", 1, *ECHO)
    assert (done.code, done.stderr) == (111, "s6-tlsclient: fatal: unable to bind socket: Address already in use\n")


# --- names that do not resolve, times ---


@needs_root
def test_no_such_name(run: Runner, tmp_path: Path) -> None:
    with name_server({}) as server:
        done = run("nosuch.example", 1, *ECHO, before=private_names(tmp_path, server=server))
    assert (done.code, done.stdout) == (111, b"")
    assert done.stderr == "s6-tlsclient: fatal: unable to resolve nosuch.example: no such name\n"


@needs_root
def test_a_name_is_completed_unless_N_says_no(run: Runner, context: ssl.SSLContext, tmp_path: Path) -> None:
    with name_server({"box.lan.example": ["127.0.0.1"]}) as server, Host(context) as host:
        before = private_names(tmp_path, server=server, options="timeout:1 attempts:1\nsearch lan.example")
        for options, code in (((), 0), (("-n",), 0), (("-N",), 111), (("-Nn",), 0)):
            done = run("-Hk", "localhost", *options, "box", host.port, *ECHO, before=before)
            assert done.code == code, (options, done.stderr)
        assert run("-Hk", "localhost", "-N", "box.lan.example", host.port, *ECHO, before=before).code == 0


@needs_root
def test_a_silent_name_server_ends_with_t(run: Runner, tmp_path: Path) -> None:
    with name_server(None) as server:
        before = private_names(tmp_path, server=server, options="timeout:30 attempts:1")
        done = run("-t", "1", "far.example", 1, *ECHO, before=before)
    assert done.code == 111
    assert done.stderr == "s6-tlsclient: fatal: unable to resolve far.example: Connection timed out\n"
    assert 0.9 < done.seconds < 3


@pytest.mark.parametrize(("options", "least"), [
    (["-T", "1"], 1), (["-T", "0+1"], 1), (["-T", "1+1"], 2), (["-t", "1"], 1), (["-t", "1", "-T", "0+9"], 1),
])  # fmt: skip
def test_a_host_that_keeps_silent(run: Runner, options: list[str], least: int) -> None:
    """One address has both of -T's times at once; -t goes before all."""
    with black_hole() as port:
        done = run(*options, "127.0.0.1", port, *ECHO)
    assert (done.code, done.stdout) == (111, b"")
    warning = f"s6-tlsclient: warning: unable to connect to 127.0.0.1 port {port}: Connection timed out\n"
    assert done.stderr == warning + UNREACHABLE
    assert least - 0.1 < done.seconds < least + 2


# --- who runs it, and how ---


@needs_root
def test_an_ordinary_user(run: Runner, context: ssl.SSLContext) -> None:
    before = [require_peer("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups"]
    with Host(context) as host:
        done = run("localhost", host.port, *ECHO, before=before)
        assert (done.code, done.stdout, done.stderr) == (0, b"hello\n", "")
        assert host.asked == ["localhost"]


def test_closed_standard_descriptors(run: Runner, context: ssl.SSLContext) -> None:
    """Nothing of ours gets their numbers: prog finds /dev/null there, and the connection where it belongs."""
    script = 'exec "$@" <&- >&-'
    prog = "echo hello >&7; cat <&6 >&2; test /proc/$$/fd/0 -ef /dev/null -a /proc/$$/fd/1 -ef /dev/null"
    with Host(context) as host:
        done = run("localhost", host.port, "sh", "-c", prog, before=["sh", "-c", script, "sh"])
    assert (done.code, done.stderr) == (0, "hello\n")


def test_what_was_on_6_and_7_before_is_gone(run: Runner, context: ssl.SSLContext) -> None:
    with Host(context) as host:
        done = run("localhost", host.port, *ECHO, before=["sh", "-c", 'exec "$@" 6</dev/null 7</dev/null', "sh"])
    assert (done.code, done.stdout, done.stderr) == (0, b"hello\n", "")


@pytest.mark.parametrize("words", [[], ["localhost"], ["localhost", "1"], ["-k"], ["--", "-q", "1"]], ids=" ".join)
def test_wrong_usage(run: Runner, words: list[str]) -> None:
    done = run(*words)
    assert (done.code, done.stdout) == (100, b"")
    assert done.stderr == "s6-tlsclient: usage: s6-tlsclient [ options ] host port prog...\n"


@pytest.mark.parametrize("port", ["x", "", "65536", "-1", "http", " 1"])
def test_bad_ports(run: Runner, port: str) -> None:
    done = run("localhost", port, "true")
    assert (done.code, done.stderr) == (100, f"s6-tlsclient: fatal: invalid port number: {port}\n")


def test_what_is_missing_for_tls_is_told_by_s6_tlsc(run: Runner, context: ssl.SSLContext) -> None:
    with Host(context) as host:
        done = run("-y", "localhost", host.port, *ECHO)
        assert (done.code, done.stderr) == (100, "s6-tlsc: fatal: CERTFILE not set\n")


def test_help_and_version(run: Runner) -> None:
    done = run("--help")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(b"usage: s6-tlsclient [ options ] host port prog...\n")
    assert run("--version").stdout.startswith(b"bearwrap ")
