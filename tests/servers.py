"""Super-servers: a small one of our own for clients that need a port, and real ones as processes."""

from __future__ import annotations

import contextlib
import os
import random
import re
import select
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.procs import MARK, Argument, kill_marked, marked
from tests.waiting import LIMIT_S, Collector, Deadline, wait_gone


@dataclass
class Listener:
    """Accepts on an ephemeral loopback port and starts `argv` per connection with it as fds 0 and 1.

    For clients that need a port. `codes` holds the exit code of each finished connection, in order of accept.
    """

    argv: Sequence[Argument]
    env: Mapping[str, str] | None = None
    host: str = "127.0.0.1"
    popens: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> Listener:
        self._socket = socket.create_server((self.host, 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self._stop_read, self._stop_write = os.pipe()
        read_end, self._stderr = os.pipe()
        self._collector = Collector(read_end)
        self._lock = threading.Lock()
        self.mark = uuid.uuid4().hex
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _run(self) -> None:
        environment = {**(os.environ if self.env is None else self.env), MARK: self.mark}
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        poller.register(self._stop_read, select.POLLIN)
        while not any(fd == self._stop_read for fd, _ in poller.poll()):
            with contextlib.suppress(ConnectionError):
                server, _ = self._socket.accept()
                server.settimeout(None)
                with server, self._lock:
                    argv = list(map(os.fspath, self.argv))
                    self.popens.append(
                        subprocess.Popen(
                            argv, stdin=server, stdout=server, stderr=self._stderr, env=environment
                        )
                    )

    def codes(self, limit_s: float = LIMIT_S) -> list[int]:
        """Wait for all connections accepted so far to end and give their exit codes."""
        deadline = Deadline(limit_s)
        with self._lock:
            popens = list(self.popens)
        return [popen.wait(deadline.left() + 0.001) for popen in popens]

    @property
    def stderr(self) -> str:
        return self._collector.text()

    def wait_stderr(self, pattern: str, limit_s: float = LIMIT_S) -> bool:
        """Wait until the stderr of any connection matches a regular expression."""
        return self._collector.wait(lambda text: re.search(pattern, text, re.M) is not None, limit_s)

    def living(self) -> set[int]:
        """All living processes started here."""
        for popen in list(self.popens):
            popen.poll()
        return marked(self.mark)

    def __exit__(self, *_: object) -> None:
        os.write(self._stop_write, b"x")
        self._thread.join(LIMIT_S)
        self._socket.close()
        kill_marked(self.mark)
        for popen in self.popens:
            popen.wait(LIMIT_S)
        os.close(self._stderr)
        os.close(self._stop_read)
        os.close(self._stop_write)


class Tap:
    """A port that leads to `port` of loopback; `said` keeps what the server behind it says, to all its clients."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self.said = bytearray()

    def __enter__(self) -> Tap:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._run, daemon=True)]
        self._threads[0].start()
        return self

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._behind)) as server:
            back = threading.Thread(target=_copy, args=(server, client, self.said), daemon=True)
            back.start()
            _copy(client, server)
            back.join(LIMIT_S)

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # which ends accept()
        for thread in self._threads:
            thread.join(LIMIT_S)
        self._socket.close()


def free_port(address: str = "127.0.0.1") -> int:
    """A loopback TCP port that was free a moment ago, for servers that cannot report an ephemeral one.

    It is below those that the kernel gives to whoever asks for any, else a test beside this one may get it meanwhile,
    and no connection that ended lately has it, since not every program binds with SO_REUSEADDR.
    """
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(100):
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe,
        ):
            probe.bind((address, random.randrange(ephemeral // 2, ephemeral)))
            return int(probe.getsockname()[1])
    raise AssertionError("no port is free")


def wait_listening(port: int, popen: subprocess.Popen[bytes], limit_s: float = LIMIT_S) -> None:
    """Wait until a server started by the test listens on a loopback port, without connecting to it.

    A connection would start a program in it, so the kernel's table is read. That has no event; each look is
    paced by waiting for the server's early death, which is one.
    """
    deadline, wanted = Deadline(limit_s), f":{port:04X}"
    while not deadline.over():
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(wanted) and fields[3] == "0A":
                    return
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise RuntimeError(f"the server ended with {popen.wait(0.01)}")
    raise TimeoutError(f"nothing listens on port {port}")


@contextlib.contextmanager
def server_process(
    argv: Sequence[Argument], port: int, *, env: Mapping[str, str] | None = None, cwd: Argument | None = None
) -> Iterator[ServerProcess]:
    """Run a real super-server in the foreground; ends it and all it started afterwards."""
    mark = uuid.uuid4().hex
    read_end, write_end = os.pipe()
    popen = subprocess.Popen(
        list(map(os.fspath, argv)),
        stdin=subprocess.DEVNULL,
        stdout=write_end,
        stderr=write_end,
        env={**(os.environ if env is None else env), MARK: mark},
        cwd=cwd,
    )
    os.close(write_end)
    server = ServerProcess(popen, port, mark, Collector(read_end))
    try:
        try:
            wait_listening(port, popen)
        except (RuntimeError, TimeoutError) as error:
            raise AssertionError(f"{error}: {server.output}") from None
        yield server
    finally:
        popen.terminate()
        try:
            popen.wait(2)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait(LIMIT_S)
        kill_marked(mark)


@dataclass
class ServerProcess:
    """A running super-server: its port, its Popen, and what it and its programs wrote."""

    popen: subprocess.Popen[bytes]
    port: int
    mark: str
    _collector: Collector

    @property
    def output(self) -> str:
        return self._collector.text()

    def wait_output(self, pattern: str, limit_s: float = LIMIT_S) -> bool:
        """Wait until the output matches a regular expression."""
        return self._collector.wait(lambda text: re.search(pattern, text, re.M) is not None, limit_s)

    def no_process_left(self, within_s: float = 2.0) -> bool:
        """True when only the server itself remains within the limit."""
        deadline = Deadline(within_s)
        while alive := marked(self.mark) - {self.popen.pid}:
            if wait_gone(alive, deadline.left()) and deadline.over():
                return False
        return True


def bridge_pipes(sock: socket.socket) -> tuple[int, int]:
    """Join a stream socket to two pipes by a thread; give the ends a program reads from and writes to.

    Each direction ends by itself: the socket's end closes the reader's pipe, the writer's end the socket.
    """
    program_in, bridge_out = os.pipe()
    bridge_in, program_out = os.pipe()

    def inward() -> None:
        with contextlib.suppress(OSError):
            while piece := sock.recv(65536):
                _write_all(bridge_out, piece)
        os.close(bridge_out)

    def outward() -> None:
        with contextlib.suppress(OSError):
            while piece := os.read(bridge_in, 65536):
                sock.sendall(piece)
        os.close(bridge_in)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)

    for direction in (inward, outward):
        threading.Thread(target=direction, daemon=True).start()
    return program_in, program_out


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


@contextlib.contextmanager
def relay_port(sock: socket.socket) -> Iterator[int]:
    """Join `sock` to the first client of an ephemeral loopback port: for programs that must connect."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with contextlib.suppress(OSError):
                client, _ = listener.accept()
                back = threading.Thread(target=_copy, args=(sock, client), daemon=True)
                back.start()
                _copy(client, sock)
                back.join(LIMIT_S)
                client.close()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join(LIMIT_S)


def _copy(source: socket.socket, target: socket.socket, kept: bytearray | None = None) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            if kept is not None:
                kept += piece
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
