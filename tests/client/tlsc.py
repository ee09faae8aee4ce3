"""Harness of the client mode: `s6-tlsc OPTIONS prog...` on one real connection, as a UCSPI client would start it.

    with Tlsc(["-k", "localhost"], ["sh", "-c", "cat <&6"], env={"CAFILE": certs.ca}) as run:
        tls = run.serve(server_context(certs.server("p256")))      # our end of the connection, as a TLS server
        tls.sendall(b"hello")
        tls.unwrap()
        assert run.wait() == 0 and run.stdout == b"hello"
        assert run.stderr == "" and run.no_process_left()

The program is started with posix_spawn(3), which puts any descriptor on any number and runs no code of ours in the
child. Nothing but 0, 1, 2, the network's descriptors and `pass_fds` is inherited.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import socket
import ssl
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.harness import BIN, LIMIT_S, Argument, Collector, Deadline, Processes, Program, require_program, wait_gone
from tests.procs import MARK, children, cmdline, kill_marked, marked

TLSC = Program("ours", BIN / "s6-tlsc", True)
READ_FD, WRITE_FD = 6, 7  # where a UCSPI client finds the network
VARIABLES = ("CADIR", "CAFILE", "KEYFILE", "CERTFILE", "TLS_UID", "TLS_GID")
FACTS = ("SSL_PROTOCOL", "SSL_CIPHER", "SSL_TLS_SNI_SERVERNAME", "SSL_PEER_CERT_HASH", "SSL_PEER_CERT_SUBJECT")
_HIGH = 200  # sources of descriptors are kept above every number that a test asks for

Value = str | os.PathLike[str] | None


def loopback() -> tuple[socket.socket, socket.socket]:
    """A TCP connection over loopback: the end for the client, which blocks, and ours with the time limit."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        local = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.settimeout(LIMIT_S)
    return local, peer


def environment(changes: Mapping[str, Value] | None, mark: str) -> dict[str, str]:
    """The test's own environment without what s6-tlsc reads or sets, then `changes` (None removes), then the mark."""
    made = {name: value for name, value in os.environ.items() if name not in VARIABLES + FACTS}
    for name, value in (changes or {}).items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = os.fspath(value)
    return {**made, MARK: mark}


def _above(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)


class Tlsc:
    """One run. `peer` is our end of the connection and `peer_address` the client's, `pid` the net process.
    `socket_link` is what /proc calls the client's end.

    `sock` is the client's end when the test has made the connection itself; `network` maps numbers to descriptors
    in place of the socket on 6 and 7 (an empty one leaves both closed). `launcher` is a command that execs the
    rest (setpriv, tcpclient); `stdin` and `stdout_fd` replace /dev/null and the collected pipe.
    """

    def __init__(
        self,
        options: Sequence[Argument] = (),
        prog: Sequence[Argument] = ("true",),
        *,
        env: Mapping[str, Value] | None = None,
        sock: socket.socket | None = None,
        network: Mapping[int, int] | None = None,
        read_fd: int = READ_FD,
        write_fd: int = WRITE_FD,
        pass_fds: Iterable[int] = (),
        closed: Iterable[int] = (),
        launcher: Sequence[Argument] = (),
        stdin: int | None = None,
        stdout_fd: int | None = None,
        executable: Path | None = None,
    ) -> None:
        path = executable or require_program(TLSC).path
        self.mark = uuid.uuid4().hex
        self._code: int | None = None
        self._sockets: list[socket.socket] = []
        self.peer: socket.socket
        self.peer_address: tuple[str, int]
        if sock is None:
            sock, self.peer = loopback()
            self.peer_address = self.peer.getpeername()
            self._sockets.append(self.peer)
        self.socket_link = f"socket:[{os.fstat(sock.fileno()).st_ino}]"
        out, self._out = self._collected()
        err, self._err = self._collected()
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        wanted = {0: null if stdin is None else stdin, 1: out if stdout_fd is None else stdout_fd, 2: err}
        wanted |= {read_fd: sock.fileno(), write_fd: sock.fileno()} if network is None else dict(network)
        wanted |= {fd: fd for fd in pass_fds}
        for fd in closed:
            del wanted[fd]
        sources = {target: _above(source) for target, source in wanted.items()}
        actions: list[tuple[int, ...]] = [
            (os.POSIX_SPAWN_DUP2, source, target) for target, source in sources.items()
        ]
        actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in {*self._inheritable(), 0, 1, 2} - wanted.keys()]
        command = [*map(os.fspath, launcher), os.fspath(path), *map(os.fspath, options), *map(os.fspath, prog)]
        try:
            self.pid = os.posix_spawnp(
                command[0],
                command,
                environment(env, self.mark),
                file_actions=actions,
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # which Python ignores
            )
        finally:
            for fd in (*sources.values(), null, out, err):
                os.close(fd)
            sock.close()

    @staticmethod
    def _collected() -> tuple[int, Collector]:
        read_end, write_end = os.pipe()
        return write_end, Collector(read_end)

    @staticmethod
    def _inheritable() -> set[int]:
        found = set()
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if os.get_inheritable(int(name)):
                    found.add(int(name))
        return found

    def __enter__(self) -> Tlsc:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # the connection

    def serve(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Do the handshake as the server; `peer` must not be used any more after it."""
        secure = context.wrap_socket(self.peer, server_side=True, suppress_ragged_eofs=False)
        self._sockets.append(secure)
        return secure

    # the processes

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """Wait for the exit code (-N when killed by signal N), and for the end of stdout and stderr."""
        if self._code is None:
            if wait_gone({self.pid}, limit_s):
                raise TimeoutError(f"still running after {limit_s} s; stderr: {self.stderr!r}")
            self._reap()
        self._out.wait_end(0.5)
        self._err.wait_end(0.5)
        assert self._code is not None
        return self._code

    def _reap(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        self._code = os.waitstatus_to_exitcode(status)

    def running(self) -> bool:
        """Whether the net process has not ended yet."""
        return self._code is None and bool(wait_gone({self.pid}, 0))

    def processes(self) -> Processes:
        """The pids of net, key and prog now; before its exec prog is told from key by the order of the forks."""
        own = cmdline(self.pid)
        kids = children(self.pid)
        prog = next((pid for pid in kids if cmdline(pid) not in (own, b"")), None)
        rest = [pid for pid in kids if pid != prog]
        if prog is None and len(rest) > 1:
            prog = rest.pop(0)
        return Processes(self.pid, rest[-1] if rest else None, prog)

    def no_process_left(self, within_s: float = 2.0) -> bool:
        """True when every process of this run, orphans included, ends within the limit."""
        deadline = Deadline(within_s)
        while alive := marked(self.mark):
            if wait_gone(alive, deadline.left()) and deadline.over():
                return False
        return True

    # what it said

    @property
    def stdout(self) -> bytes:
        return self._out.text().encode("utf-8", "backslashreplace")

    @property
    def stderr(self) -> str:
        return self._err.text()

    def wait_stdout(self, pattern: str, limit_s: float = LIMIT_S) -> bool:
        """Wait until prog's stdout matches a regular expression."""
        return self._out.wait(lambda text: re.search(pattern, text, re.M) is not None, limit_s)

    def wait_stderr(self, pattern: str, limit_s: float = LIMIT_S) -> bool:
        """Wait until stderr matches a regular expression."""
        return self._err.wait(lambda text: re.search(pattern, text, re.M) is not None, limit_s)

    def close(self) -> None:
        """Close our side and end whatever of this run still lives."""
        for sock in self._sockets:
            sock.close()
        kill_marked(self.mark)
        if self._code is None:
            wait_gone({self.pid})
            self._reap()
