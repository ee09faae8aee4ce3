"""Shared harness: start a wrapper on a real loopback connection, watch it from outside, and wait by events.

What other folders use:

    from tests.harness import Wrapped, Program, client_context, require_peer, needs_root

    with Wrapped(["-f", certs.server("p256")], ["cat"]) as w:      # ours; program=... selects another
        tls = w.tls()                                              # ssl.SSLSocket, certificate not verified
        tls.sendall(b"hello"); assert tls.recv(5) == b"hello"
        tls.close()
        assert w.wait() == 0                                       # exit code, -N when killed by signal N
        assert w.no_process_left()
        assert w.log() == []                                       # parsed log lines of stderr

Environment read here: BEARWRAP_BIN (folder of the programs under test, default build/bin) and
BEARWRAP_REQUIRE_PEERS=1 (a peer that is not installed fails the test instead of skipping it).
Nothing here sleeps: waits are on descriptors, pidfds, inotify or conditions, each with a limit in seconds.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.procs import (
    MARK,
    Argument,
    LogLine,
    Processes,
    children,
    cmdline,
    kill_marked,
    marked,
    parse_log,
    proc_status,
)
from tests.servers import Listener, ServerProcess, bridge_pipes, free_port, server_process, wait_listening
from tests.tlsclient import (
    RecordClient,
    client_context,
    duplex,
    ending,
    read_all,
    read_exactly,
    reset,
    start_tls,
)
from tests.waiting import LIMIT_S, Collector, Deadline, Mailbox, wait_gone, wait_path, wait_ready

__all__ = [  # the parts live in files of their own; tests import them from here
    "ARTEFACTS", "BIN", "LIMIT_S", "ORIGINAL", "OURS", "ROOT", "THEIRS",
    "Argument", "Collector", "Deadline", "Listener", "LogLine", "Mailbox", "Processes", "Program",
    "RecordClient", "Result", "ServerProcess", "Wrapped",
    "children", "client_context", "cmdline", "connection", "duplex", "ending", "free_port", "marked",
    "missing_peer", "needs_root", "parse_log", "proc_status", "read_all", "read_exactly",
    "require_peer", "require_program", "reset", "run_plain", "server_process", "start_tls", "wait_gone",
    "wait_listening", "wait_path", "wait_ready",
]  # fmt: skip

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(os.environ.get("BEARWRAP_BIN", ROOT / "build" / "bin")).resolve()
ARTEFACTS = ROOT / "build" / "artefacts"
_original = Path("/usr/bin/tlswrapper")
ORIGINAL: Path | None = _original if _original.exists() else None

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the jail is made as root")


# --- programs and peers ---

missing_peers: set[str] = set()  # what some test asked for and did not find; conftest reports them


@dataclass(frozen=True)
class Program:
    """One implementation under test. `ours` tells which expectations hold where the two differ."""

    label: str
    path: Path
    ours: bool

    def tool(self, name: str) -> Path:
        """The path of a sibling program (`tlswrapper-tcp`, ...) of the same implementation."""
        return self.path.with_name(name)


OURS = Program("ours", BIN / "tlswrapper", True)
THEIRS = Program("original", _original, False)


def require_program(program: Program) -> Program:
    """Give the program back when it can be run; ours must have been built, the original is a peer."""
    if not program.ours:
        require_peer("tlswrapper", str(program.path))
    elif not program.path.exists():
        pytest.fail(f"{program.path} is missing: build it first (make)", pytrace=False)
    return program


def require_peer(name: str, path: str | None = None) -> str:
    """Give the path of an installed program, else skip loudly (or fail when BEARWRAP_REQUIRE_PEERS=1)."""
    found = shutil.which(path or name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found:
        return found
    return missing_peer(name, "it is not installed")


def missing_peer(name: str, why: str) -> str:
    """Skip loudly, or fail when BEARWRAP_REQUIRE_PEERS=1, since peer `name` cannot be used."""
    missing_peers.add(f"{name}: {why}")
    if os.environ.get("BEARWRAP_REQUIRE_PEERS") == "1":
        pytest.fail(f"peer {name}: {why}", pytrace=False)
    pytest.skip(f"peer {name}: {why}")


# --- one wrapped connection ---


def connection(family: str = "tcp") -> tuple[socket.socket, socket.socket]:
    """A connected pair (client, server): "tcp", "tcp6" on loopback, else ("unix", "pipes") a socketpair."""
    if family in ("unix", "pipes"):
        return socket.socketpair()
    kind, address = (socket.AF_INET6, "::1") if family == "tcp6" else (socket.AF_INET, "127.0.0.1")
    with socket.socket(kind, socket.SOCK_STREAM) as listener:
        listener.bind((address, 0))
        listener.listen(1)
        client = socket.create_connection(listener.getsockname()[:2], timeout=LIMIT_S)
        server, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server.settimeout(None)
    return client, server


class Wrapped:
    """`tlswrapper OPTIONS prog...` on one real connection, as a super-server would start it.

    client   the client's end, with the time limit LIMIT_S: a TCP socket on loopback unless `family` says
             otherwise ("tcp6"; "unix": a socketpair; "pipes": two pipes, joined to a socketpair)
    popen    the subprocess.Popen of the net process
    stderr   what was written to fd 2 so far by any of the processes

    `env` replaces the environment (the mark is added), `extra_env` adds to the current one; None removes.
    `stdin` and `stdout` override the descriptors 0 and 1 given to the wrapper; then `client` still exists.
    """

    def __init__(
        self,
        options: Sequence[Argument] = (),
        prog: Sequence[Argument] = ("cat",),
        *,
        program: Program | None = None,
        executable: Argument | None = None,
        env: Mapping[str, str] | None = None,
        extra_env: Mapping[str, str | None] | None = None,
        family: str = "tcp",
        cwd: Argument | None = None,
        pass_fds: Sequence[int] = (),
        preexec: Callable[[], None] | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        argv0: Argument | None = None,
    ) -> None:
        self.program = require_program(program or OURS) if executable is None else (program or OURS)
        path = os.fspath(executable or self.program.path)
        self.mark = uuid.uuid4().hex
        environment = dict(os.environ if env is None else env)
        for name in ("TCPLOCALIP", "TCPLOCALPORT", "TCPREMOTEIP", "TCPREMOTEPORT", "LOG_ID"):
            if env is None:
                environment.pop(name, None)
        for name, value in (extra_env or {}).items():
            environment.pop(name, None) if value is None else environment.__setitem__(name, value)
        environment[MARK] = self.mark
        self.client, server = connection(family)
        self.client.settimeout(LIMIT_S)
        read_end, write_end = os.pipe()
        ends = [server.fileno()] * 2
        if family == "pipes":
            ends = list(bridge_pipes(server))
        try:
            self.popen = subprocess.Popen(
                [os.fspath(argv0 or path), *map(os.fspath, options), *map(os.fspath, prog)],
                executable=path,
                stdin=ends[0] if stdin is None else stdin,
                stdout=ends[1] if stdout is None else stdout,
                stderr=write_end,
                env=environment,
                cwd=cwd,
                pass_fds=pass_fds,
                preexec_fn=preexec,  # noqa: PLW1509 - our own threads take no locks it could need
            )
        finally:
            if family == "pipes":  # the bridge's threads keep the socket
                self._bridged = server
                for end in ends:
                    os.close(end)
            else:
                server.close()
            os.close(write_end)
        self._collector = Collector(read_end)
        self._sockets: list[socket.socket] = [self.client]

    def __enter__(self) -> Wrapped:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # the connection

    def tls(self, context: ssl.SSLContext | None = None, sni: str | None = None) -> ssl.SSLSocket:
        """Do the handshake as a client; `client` must not be used any more after it."""
        secure = start_tls(self.client, context, sni)
        self._sockets.append(secure)
        return secure

    def handshake_fails(self, context: ssl.SSLContext | None = None, sni: str | None = None) -> OSError:
        """Do a handshake that must fail; give the client's error (ssl.SSLError and resets are OSErrors)."""
        try:
            self.tls(context, sni).close()
        except OSError as error:
            return error
        raise AssertionError("the handshake succeeded")

    # the processes

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """Wait for the wrapper to end and give its exit code (-N when killed by signal N).

        Collects stderr to its end too when nobody holds it any longer.
        """
        try:
            code = self.popen.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"still running after {limit_s} s; stderr: {self.stderr!r}") from None
        self._collector.wait_end(0.5)
        return code

    def processes(self) -> Processes:
        """The pids of net, key and prog now; prog before its exec is told from key by root, uid or order."""
        net = self.popen.pid
        kids = children(net)
        own = cmdline(net)
        prog = next((pid for pid in kids if cmdline(pid) not in (own, b"")), None)
        rest = [pid for pid in kids if pid != prog]
        if prog is not None or not rest:
            return Processes(net, rest[0] if rest else None, prog)
        jailed = next((pid for pid in rest if self._jailed(pid)), None)
        if jailed is None and len(rest) > 1:
            jailed = rest[1]  # the original forks prog first, key second
        return Processes(net, jailed, next((pid for pid in rest if pid != jailed), None))

    @staticmethod
    def _jailed(pid: int) -> bool:
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{pid}/root") != "/" or proc_status(pid)["Uid"].split()[0] != "0"
        return False

    def living(self) -> set[int]:
        """All living processes of this connection, orphans included (found by an inherited mark)."""
        alive = marked(self.mark)
        return {pid for pid in alive if pid != self.popen.pid or self.popen.poll() is None}

    def no_process_left(self, within_s: float = 2.0) -> bool:
        """True when every process of this connection, orphans included, ends within the limit."""
        deadline = Deadline(within_s)
        while alive := self.living():
            if wait_gone(alive, deadline.left()) and deadline.over():
                return False
            self.popen.poll()
        return True

    def signal(self, number: int) -> None:
        """Send a signal to the net process."""
        self.popen.send_signal(number)

    # what it said

    @property
    def stderr(self) -> str:
        return self._collector.text()

    def wait_stderr(self, pattern: str, limit_s: float = LIMIT_S) -> bool:
        """Wait until stderr matches a regular expression (re.search, multi-line)."""
        return self._collector.wait(lambda text: re.search(pattern, text, re.M) is not None, limit_s)

    def log(self, *levels: str) -> list[LogLine]:
        """The log lines so far, only of these levels when given."""
        return [line for line in parse_log(self.stderr) if not levels or line.level in levels]

    def texts(self, *levels: str) -> list[str]:
        """The messages of `log()` alone."""
        return [line.text for line in self.log(*levels)]

    def close(self) -> None:
        """Close the client's side and end whatever of this connection still lives."""
        for sock in self._sockets:
            sock.close()
        kill_marked(self.mark)
        self.popen.wait(LIMIT_S)


@dataclass
class Result:
    """What a run with no connection of interest gave."""

    code: int
    stdout: bytes
    stderr: str

    def log(self, *levels: str) -> list[LogLine]:
        return [line for line in parse_log(self.stderr) if not levels or line.level in levels]


def run_plain(
    arguments: Sequence[Argument],
    *,
    program: Program | None = None,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Argument | None = None,
    limit_s: float = LIMIT_S,
    executable: Argument | None = None,
    argv: Sequence[Argument] | None = None,
    preexec: Callable[[], None] | None = None,
) -> Result:
    """Run a program with pipes for 0, 1 and 2, as from a terminal: for options and usage."""
    path = os.fspath(executable) if executable else os.fspath(require_program(program or OURS).path)
    done = subprocess.run(
        list(map(os.fspath, argv)) if argv is not None else [path, *map(os.fspath, arguments)],
        executable=path,
        input=stdin,
        capture_output=True,
        env=env,
        cwd=cwd,
        timeout=limit_s,
        check=False,
        preexec_fn=preexec,
    )
    return Result(done.returncode, done.stdout, done.stderr.decode("utf-8", "backslashreplace"))
