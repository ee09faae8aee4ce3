"""server - start a peer, look at its processes, end it.

Everything a server started is found through /proc, so that its processor time and memory are whole
whatever it forks, and so that nothing of it is left when it ends.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from peers import Peer, Setup, until_parent_ends
from prepare import ENVIRONMENT, BenchError

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
SETTLE_TIMEOUT_S = 10.0
POLL_S = 0.005
STEADY_S = 0.1  # no new process in so long: the start is over


def free_port() -> int:
    """A port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    """Read from /proc, since a probing connection would start a program in some peers."""
    want = f"0100007F:{port:04X}"
    with open("/proc/net/tcp") as table:
        return any(line.split()[1] == want and line.split()[3] == "0A" for line in table.readlines()[1:])


def machine_seconds() -> tuple[float, float]:
    """Processor time of the whole machine since its start: (busy or stolen, all)."""
    with open("/proc/stat") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:9]]
    idle = ticks[3] + ticks[4]
    tick = os.sysconf("SC_CLK_TCK")
    return (sum(ticks) - idle) / tick, sum(ticks) / tick


@dataclass(frozen=True)
class Process:
    """One line of /proc: `started` tells a process from a later one with its pid."""

    pid: int
    state: str  # one letter; Z has ended and was not waited for
    parent: int
    session: int
    started: int
    ticks: int  # processor time, its own and of the children it has reaped


def _process(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    state, parent, session, started = fields[0], int(fields[1]), int(fields[3]), int(fields[19])
    return Process(pid, state, parent, session, started, sum(map(int, fields[11:15])))


def everything() -> list[Process]:
    """All processes of the machine, now."""
    return [process for name in os.listdir("/proc") if name.isdigit() and (process := _process(int(name)))]


def tree(root: int, found: list[Process] | None = None) -> list[Process]:
    """The process `root` and all below it: now, or among those that were `found`."""
    found = everything() if found is None else found
    members = {root}
    grew = True
    while grew:
        more = {process.pid for process in found if process.parent in members} - members
        members |= more
        grew = bool(more)
    return [process for process in found if process.pid in members]


class Server:
    """A running peer. Use as a context manager: what it started is gone after it."""

    def __init__(self, peer: Peer, setup: Setup) -> None:
        binary = peer.find()
        assert binary is not None
        self.peer = peer
        self.port = setup.port
        self._ports = [setup.port, setup.backend] if peer.backend else [setup.port]
        argv = [*until_parent_ends(), *peer.command(binary, setup)]
        self._log = setup.folder / f"{peer.name}-{setup.port}.log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**ENVIRONMENT, **peer.environment(setup)},
                start_new_session=True,
            )
        self._idle = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Server:
        try:
            self._wait_listening()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def last_words(self) -> str:
        """The last line the server logged, for error messages."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _wait_listening(self) -> None:
        end = time.monotonic() + START_TIMEOUT_S
        while not all(map(_listens, self._ports)):
            if self._process.poll() is not None:
                raise BenchError(f"{self.peer.name} ended at its start: {self.last_words()}")
            if time.monotonic() > end:
                raise BenchError(f"{self.peer.name} does not listen after {START_TIMEOUT_S:.0f} s")
            time.sleep(POLL_S)
        # Some make their workers only now.
        end = time.monotonic() + START_TIMEOUT_S
        while (count := len(tree(self.pid))) != self._idle and time.monotonic() < end:
            self._idle = count
            time.sleep(STEADY_S)

    def settle(self) -> float:
        """Wait until no process of a connection is left, so that no peer pays for another's teardown.

        Returns the seconds waited, at most SETTLE_TIMEOUT_S.
        """
        begin = time.monotonic()
        while len(tree(self.pid)) > self._idle and time.monotonic() - begin < SETTLE_TIMEOUT_S:
            time.sleep(POLL_S)
        return time.monotonic() - begin

    def cpu_seconds(self) -> float:
        """Processor time of the server and everything it started, so far."""
        return sum(process.ticks for process in tree(self.pid)) / os.sysconf("SC_CLK_TCK")

    def pss_kib(self, program: str) -> tuple[int, int]:
        """Proportional set size now: of the server and everything below it, and of those among
        them that run `program`."""
        total = wrapped = 0
        for process in tree(self.pid):
            try:
                with open(f"/proc/{process.pid}/smaps_rollup") as rollup:
                    pss = sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
                total += pss
                if os.path.realpath(f"/proc/{process.pid}/exe") == os.path.realpath(program):
                    wrapped += pss
            except OSError:  # gone between the two looks
                continue
        return total, wrapped

    def processes(self) -> int:
        """How many processes the server and its connections are, now."""
        return len(tree(self.pid))

    def stop(self) -> None:
        """End the server, and what it started and left behind: below it or in its session."""
        found = everything()
        members = [*tree(self.pid, found), *(process for process in found if process.session == self.pid)]
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for process in members:
            now = _process(process.pid)
            if process.pid != self.pid and now and now.started == process.started:
                try:
                    os.kill(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
