"""The limits: connections in total, of one address, silent ones; and what the system refuses."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import socket
import threading
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import LIMIT_S, Deadline, client_context, needs_root, read_exactly, reset

from .listening import Serving, closed

pytestmark = needs_root
SILENT = 'bearwrap_connections{state="silent"}'
READY = 'bearwrap_connections{state="ready"}'
SERVED = 'bearwrap_connections{state="served"}'


def reason(name: str) -> str:
    return f'bearwrap_closed_total{{reason="{name}"}}'


@pytest.fixture
def wrapper(certs: Certs) -> list[str]:
    return ["-f", str(certs.server("p256"))]


def test_the_next_one_waits_for_a_place(wrapper: list[str]) -> None:
    with Serving(wrapper, options=["--max-connections", "2", "--workers", "2"]) as server:
        one, two = server.tls(), server.tls()
        done: list[bytes] = []

        def third() -> None:
            server.echo(b"third")
            done.append(b"third")

        thread = threading.Thread(target=third)
        thread.start()
        server.wait_counter(READY, 1)
        assert server.counters()[SERVED] == 2 and not done
        one.close()
        thread.join(LIMIT_S)
        assert done and not server.faults()
        two.close()


def test_it_is_closed_at_the_deadline(wrapper: list[str]) -> None:
    """A line a second, not one for each that is refused."""
    with Serving(["-T", "1", *wrapper], options=["--max-connections", "1"]) as server, server.tls() as tls:
        waiting = [server.connect() for _ in range(30)]
        for sock in waiting:
            sock.sendall(b"\x16")
        assert all(closed(sock) for sock in waiting)
        assert server.wait_counter(reason("limit"), 30)[reason("silent")] == 0
        tls.sendall(b"still here")
        assert read_exactly(tls, 10) == b"still here"
        lines = server.faults(1)
        assert 1 <= len(lines) <= 4, lines
        assert re.fullmatch(r"bearwrap: fatal: too many connections, \d+ refused since the last such line", lines[0])


def test_of_one_address(wrapper: list[str]) -> None:
    with Serving(wrapper, options=["--max-per-address", "2"]) as server:
        held = [server.tls(), server.connect()]  # one served, one silent
        server.wait_counter(SILENT, 1)
        assert closed(server.connect())
        found = server.counters()
        assert (found[reason("address")], found[SERVED], found[SILENT]) == (1, 1, 1)
        other = socket.create_connection(("127.0.0.1", server.port), LIMIT_S, source_address=("127.0.0.2", 0))
        with client_context().wrap_socket(other) as tls:
            tls.sendall(b"x")
            assert read_exactly(tls, 1) == b"x"
        held[0].close()
        server.wait_counter("bearwrap_served_total", 2)
        server.wait_idle(8)
        server.echo()
        held[1].close()


def test_the_oldest_silent_ones_give_way(wrapper: list[str]) -> None:
    with Serving(wrapper, options=["--max-connections", "2", "--max-waiting", "3"]) as server:
        silent = [server.connect() for _ in range(5)]
        server.wait_counter(SILENT, 5)
        server.echo()
        assert closed(silent[0])
        assert server.counters()[reason("crowded")] == 1
        with silent[1] as sock, client_context().wrap_socket(sock) as tls:  # the next oldest is served still
            tls.sendall(b"x")
            assert read_exactly(tls, 1) == b"x"
        for sock in silent[2:]:
            sock.close()
        server.wait_counter(reason("gone"), 3)


def test_rows_that_are_taken_anew_at_once(wrapper: list[str]) -> None:
    """An end that is told of a connection whose place another has by now is not the other's end."""
    with Serving(wrapper, options=["--max-connections", "1", "--max-waiting", "3", "--workers", "1"]) as server:
        for _ in range(40):
            crowd = [server.connect() for _ in range(8)]
            for sock in crowd[::2]:
                sock.close()
            last = server.connect()
            with client_context().wrap_socket(last) as tls:
                tls.sendall(b"x")
                assert read_exactly(tls, 1) == b"x"
            for sock in crowd:
                sock.close()
        assert server.counters()["bearwrap_workers_lost_total"] == 0


def test_silent_ones_cost_no_process_and_are_closed(wrapper: list[str]) -> None:
    """5,000 that never speak beside 50 that do; RLIMIT_NOFILE is raised as far as it may be, not for prog."""
    soft, hard = 256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = 5000 if hard > 6000 or hard < 0 else min(550, hard - 200)

    def low() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    own = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 200, own[1]))
    try:
        prog = ["sh", "-c", "ulimit -n; cat"]
        options = ["--workers", "4", "--max-connections", "500"]
        with Serving(["-T", "4", *wrapper], prog, options=options, preexec=low) as server:
            workers = server.wait_idle(4)
            silent = [server.connect() for _ in range(count)]
            server.wait_counter(SILENT, count)
            assert server.workers() == workers
            talking = [server.tls() for _ in range(50)]
            for tls in talking:
                assert tls.recv(100) == b"%d\n" % soft
                tls.sendall(b"x")
                assert read_exactly(tls, 1) == b"x"
                tls.close()
            assert all(closed(sock) for sock in silent)
            found = server.wait_counter(reason("silent"), count)
            assert found[SILENT] == 0 and not server.faults()
            for sock in silent:
                sock.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, own)


def test_few_descriptors(wrapper: list[str]) -> None:
    """The places are as many as the descriptors allow, so the oldest silent ones give way, and none is ever missing."""

    def low() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))

    with Serving(wrapper, options=["--workers", "3"], preexec=low) as server:
        silent = [server.connect() for _ in range(100)]
        server.wait_counter(reason("crowded"), 60)
        assert len(os.listdir(f"/proc/{server.pid}/fd")) < 60
        for _ in range(3):
            server.echo()
        assert not server.faults()
        for sock in silent:
            sock.close()
        server.wait_counter(reason("gone"), 10)
        server.wait_idle(3)


def test_too_few_descriptors(wrapper: list[str]) -> None:
    def low() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))

    with Serving(wrapper, preexec=low, started=False) as server:
        assert server.wait() == 111
        assert server.faults() == [
            "bearwrap: fatal: unable to start the listener (process cannot open more files)"
        ]


def test_no_descriptor_left_for_a_moment(wrapper: list[str]) -> None:
    """accept(2) fails: the listener looks away, does not spin, and goes on when there are some again."""
    with Serving(wrapper, options=["--workers", "2"]) as server:
        server.wait_idle(2)
        before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (8, before[1]))
        with server.connect() as sock:
            assert server.wait_stderr(r"unable to accept \(process cannot open more files\)")
            start = cpu_ticks(server.pid)
            assert not closed(sock, 0.5)
            assert cpu_ticks(server.pid) - start < 10
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
            with client_context().wrap_socket(sock) as tls:
                tls.sendall(b"x")
                assert read_exactly(tls, 1) == b"x"
        assert len(server.faults()) <= 3


def cpu_ticks(pid: int) -> int:
    """User and system time, in clock ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_no_process_left_for_a_moment(wrapper: list[str], tmp_path: Path) -> None:
    """fork(2) refused, by a cgroup's limit where one can be made: a line a second, and served when it is over."""
    group = next((path for path in pids_groups() if usable(path)), None)
    if group is None:
        pytest.skip("no cgroup with a limit of processes can be made here")
    try:
        with Serving(wrapper, options=["--workers", "2"]) as server:
            server.wait_idle(2)
            (group / "cgroup.procs").write_text(str(server.pid))
            (group / "pids.max").write_text("1")
            held = [server.tls(), server.tls()]
            third = server.connect()
            third.sendall(b"")
            assert server.wait_stderr("unable to start a worker")
            (group / "pids.max").write_text("max")
            with client_context().wrap_socket(third) as tls:
                tls.sendall(b"x")
                assert read_exactly(tls, 1) == b"x"
            for tls in held:
                tls.close()
            assert len(server.faults()) <= 4, server.faults()
            server.stop()
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def pids_groups() -> list[Path]:
    name = f"bearwrap-test-{os.getpid()}"
    return [Path("/sys/fs/cgroup") / name, Path("/sys/fs/cgroup/pids") / name]


def usable(group: Path) -> bool:
    try:
        group.mkdir()
    except OSError:
        return False
    if (group / "pids.max").exists():
        return True
    group.rmdir()
    return False


def test_a_byte_and_a_reset(wrapper: list[str]) -> None:
    """The line names the client although the socket has forgotten it; none of them blocks what follows."""
    with Serving(wrapper, options=["--workers", "2"]) as server:
        ports = set()
        for _ in range(30):
            sock = server.connect()
            ports.add(sock.getsockname()[1])
            sock.sendall(b"\x16")
            reset(sock)
        server.echo()
        deadline = Deadline()
        while (found := server.counters())[reason("gone")] + found["bearwrap_served_total"] < 31:
            assert not deadline.over(), found
        told = {line["port"] for line in server.accounts(found["bearwrap_served_total"]) if line["version"] == "-"}
        assert told <= ports and len(told) == found["bearwrap_served_total"] - 1
        assert not server.faults()
