"""`bearwrap serve` under test: started on free loopback ports, ready when it says so, stopped and looked at."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.harness import BIN, LIMIT_S, Deadline, client_context, free_port, wait_gone
from tests.procs import MARK, Argument, children, kill_marked, marked
from tests.waiting import Collector, wait_ready

PROGRAM = BIN / "bearwrap"


class Serving:
    """`bearwrap serve OPTIONS ADDRESS WRAPPER prog`; `started=False` for one that is not expected to be ready.

    address  what to listen on, 127.0.0.1:{port} by default, where {port} is a free one
    wrapper  tlswrapper's options
    under    a command that runs it; signals go there
    program  another build of it
    lines()  stderr so far; accounts() the connections' lines as dictionaries (--log json)
    """

    def __init__(
        self,
        wrapper: Sequence[Argument],
        prog: Sequence[Argument] = ("cat",),
        *,
        options: Sequence[str] = (),
        address: str | None = None,
        env: Mapping[str, str] | None = None,
        preexec: Callable[[], None] | None = None,
        pass_fds: Sequence[int] = (),
        started: bool = True,
        under: Sequence[Argument] = (),
        program: Path = PROGRAM,
    ) -> None:
        self.port = free_port()
        self.address = (address or "127.0.0.1:{port}").replace("{port}", str(self.port))
        self.mark = uuid.uuid4().hex
        self._folder = tempfile.TemporaryDirectory(prefix="serve-")
        self.folder = Path(self._folder.name)
        self.folder.chmod(0o755)
        self.status_path = self.folder / "status"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(self.folder / "notify"))
        self.said: list[str] = []  # to the service manager
        read_end, write_end = os.pipe()
        words = [*under, program, "serve", "--log", "json", "--status", self.status_path, *options, self.address]
        environment = {**os.environ, MARK: self.mark, "NOTIFY_SOCKET": str(self.folder / "notify"), **(env or {})}
        try:
            self.popen = subprocess.Popen(
                list(map(os.fspath, [*words, *wrapper, *prog])),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=write_end,
                env=environment,
                preexec_fn=preexec,  # noqa: PLW1509 - our own threads take no locks it could need
                pass_fds=pass_fds,
                start_new_session=True,
            )
        finally:
            os.close(write_end)
        self._collector = Collector(read_end)
        if started:
            self.wait_said("READY=1")

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_: object) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(LIMIT_S)
        kill_marked(self.mark)
        self._notify.close()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        return self.popen.pid

    # clients

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        """A plain connection, with the time limit LIMIT_S."""
        return socket.create_connection((host, self.port), timeout=LIMIT_S)

    def tls(
        self, context: ssl.SSLContext | None = None, sni: str | None = None, host: str = "127.0.0.1"
    ) -> ssl.SSLSocket:
        """A connection after its handshake."""
        sock = self.connect(host)
        try:
            return (context or client_context()).wrap_socket(sock, server_hostname=sni)
        except BaseException:
            sock.close()
            raise

    def echo(self, text: bytes = b"hello", host: str = "127.0.0.1") -> None:
        """One whole connection with `cat`."""
        with self.tls(host=host) as tls:
            tls.sendall(text)
            received = b""
            while len(received) < len(text) and (piece := tls.recv(65536)):
                received += piece
            assert received == text

    # what it says

    def wait_said(self, what: str, limit_s: float = LIMIT_S) -> None:
        """Wait for a word to the service manager."""
        deadline = Deadline(limit_s)
        while what not in self.said:
            assert wait_ready(self._notify, limit_s=deadline.left()), f"no {what}: {self.said} {self.stderr}"
            self.said += self._notify.recv(4096).decode().split("\n")

    @property
    def stderr(self) -> str:
        return self._collector.text()

    def wait_stderr(self, pattern: str, limit_s: float = LIMIT_S) -> bool:
        return self._collector.wait(lambda text: re.search(pattern, text, re.M) is not None, limit_s)

    def accounts(self, count: int = 0, limit_s: float = LIMIT_S) -> list[dict[str, object]]:
        """The lines of connections, once there are `count`."""

        def lines(text: str) -> list[str]:
            return [line for line in text.split("\n")[:-1] if line.startswith("{")]

        assert self._collector.wait(lambda text: len(lines(text)) >= count, limit_s), self.stderr
        return [json.loads(line) for line in lines(self.stderr)]

    def faults(self, least: int = 0) -> list[str]:
        """All lines that are no connection's, once there are `least`."""
        assert self.wait_stderr(r"\A" + r"(?:\{.*\n)*[^{\n].*\n" * least), self.stderr
        return [line for line in self.stderr.splitlines() if not line.startswith("{")]

    def counters(self) -> dict[str, int]:
        """What --status gives now, name with labels to value."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(LIMIT_S)
            sock.connect(str(self.status_path))
            sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b""
            while piece := sock.recv(65536):
                text += piece
        body = text.decode().partition("\r\n\r\n")[2]
        return {name: int(value) for name, value in re.findall(r"^(bearwrap_\S+) (\d+)$", body, re.M)}

    def wait_counter(self, name: str, least: int, limit_s: float = LIMIT_S) -> dict[str, int]:
        """Wait until a counter is at least so much; each look is a question to the supervisor, there is no event."""
        deadline = Deadline(limit_s)
        while (found := self.counters())[name] < least:
            assert not deadline.over(), f"{name} {found[name]} < {least}: {self.stderr}"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(0.02)
        return found

    # processes

    def workers(self) -> list[int]:
        return children(self.pid)

    def wait_idle(self, count: int, served: int = 0) -> list[int]:
        """Wait until so many workers wait and so many serve; give the pids of all."""
        deadline = Deadline()
        while True:
            found = self.counters()
            if found["bearwrap_workers_idle"] == count and found['bearwrap_connections{state="served"}'] == served:
                return self.workers()
            assert not deadline.over(), found
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(0.02)

    def stop(self, number: int = signal.SIGTERM, limit_s: float = LIMIT_S) -> int:
        """Signal the supervisor, wait for its end and that of all that it started; its exit code."""
        self.popen.send_signal(number)
        code = self.wait(limit_s)
        assert self.no_process_left(), marked(self.mark)
        return code

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """Wait for the supervisor's end and what it wrote; its exit code."""
        code = self.popen.wait(limit_s)
        self._collector.wait_end(0.5)
        return code

    def no_process_left(self, within_s: float = LIMIT_S) -> bool:
        deadline = Deadline(within_s)
        while alive := marked(self.mark) - {self.pid}:
            if wait_gone(alive, deadline.left()) and deadline.over():
                return False
        return True


def closed(sock: socket.socket, limit_s: float = LIMIT_S) -> bool:
    """Whether the peer closes or resets within the limit; what it sends before is dropped."""
    sock.settimeout(limit_s)
    try:
        while sock.recv(65536):
            pass
    except (ConnectionError, ssl.SSLError):
        return True
    except TimeoutError:
        return False
    return True
