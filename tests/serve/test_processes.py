"""Processes and descriptors over time: nothing is left, nothing grows, and workers that die or lie hold nobody up."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import LIMIT_S, Deadline, needs_root, proc_status, read_exactly, require_peer, wait_gone
from tests.isolation.descriptors import descriptors
from tests.isolation.memory import Image
from tests.procs import children

from .listening import Serving, closed

pytestmark = needs_root
OUTCOME = struct.Struct("<iiiHHBBBBB3xQQ")  # src/worker.pxi


@pytest.fixture
def wrapper(certs: Certs) -> list[str]:
    return ["-f", str(certs.server("p256"))]


def zombies(pid: int) -> int:
    """Children of a process that have ended and were not waited for."""
    count = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            state, parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:2]
            count += state == "Z" and int(parent) == pid
    return count


def test_a_thousand_connections_leave_nothing(wrapper: list[str]) -> None:
    """No zombie, no descriptor, and no page: 1,000 that come and go, of them some in full."""
    with Serving(wrapper, options=["--workers", "4"]) as server:
        for _ in range(40):
            server.echo()
        server.wait_idle(4)
        held = len(os.listdir(f"/proc/{server.pid}/fd"))
        pages = int(proc_status(server.pid)["RssAnon"].split()[0])
        for number in range(960):
            if number % 4 == 0:
                server.echo()
                continue
            with server.connect() as sock:
                if number % 4 == 1:
                    sock.sendall(b"not TLS at all")
                    assert closed(sock)
        server.wait_counter("bearwrap_accepted_total", 1000)
        server.wait_idle(4)
        assert zombies(server.pid) == 0
        assert len(os.listdir(f"/proc/{server.pid}/fd")) <= held + 1
        assert int(proc_status(server.pid)["RssAnon"].split()[0]) <= pages + 64, "KiB"
        found = server.counters()
        assert found["bearwrap_workers_lost_total"] == 0 and not server.faults()
        assert sum(found[f'bearwrap_connections{{state="{state}"}}'] for state in ("silent", "ready", "served")) == 0


def test_idle_workers_that_are_killed(wrapper: list[str]) -> None:
    with Serving(wrapper, options=["--workers", "3"]) as server:
        for _ in range(3):
            pids = server.wait_idle(3)
            kids = [kid for pid in pids for kid in children(pid)]
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            assert not wait_gone(pids)
            server.echo()
            assert not wait_gone(kids), "the key and prog of a killed worker"
        server.wait_idle(3)
        assert zombies(server.pid) == 0
        assert 1 <= len(server.faults(1)) <= 3
        assert set(server.faults()) == {"bearwrap: fatal: a worker ended before it had a connection"}


def serving(server: Serving) -> int:
    """The one worker that serves: it is jailed."""
    (pid,) = [pid for pid in server.workers() if os.readlink(f"/proc/{pid}/root") != "/"]
    return pid


def test_a_serving_worker_that_is_killed(wrapper: list[str]) -> None:
    """Its place is free again, it is counted as lost, its key and prog end, a prog that reads no input too."""
    prog = ["sh", "-c", "echo x; [ $SSL_TLS_SNI_SERVERNAME ] && exec sleep 100; exec cat"]
    with Serving(wrapper, prog, options=["--max-connections", "1", "--workers", "1"]) as server:
        with server.tls(sni="test.example") as tls:
            assert read_exactly(tls, 2) == b"x\n"
            worker = serving(server)
            kids = children(worker)
            os.kill(worker, signal.SIGKILL)
            assert closed(tls)
            assert not wait_gone([worker, *kids])
        with server.tls() as tls:
            assert read_exactly(tls, 2) == b"x\n"
        assert server.wait_counter("bearwrap_served_total", 1)["bearwrap_workers_lost_total"] == 1
        assert server.faults(1) == ["bearwrap: fatal: a worker was lost with its connection"]


def words(pid: int) -> list[tuple[int, int]]:
    """Where a process has mapped pages for workers' words: (address, bytes)."""
    maps = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "/memfd:words" in line]
    return [(low, high - low) for low, high in ((int(x, 16) for x in fields[0].split("-")) for fields in maps)]


def outcome(**more: int) -> bytes:
    """What a worker says at its end; a good one by default."""
    fields = {"cpu": 0, "end": 1, "code": 0, "version": 0x303, "suite": 0xCCA9, "established": 1, "alert": 0,
              "clear": 0, "resumed": 0, "told": 1, "bytes_in": 10, "bytes_out": 10} | more  # fmt: skip
    return OUTCOME.pack(*fields.values())


def test_what_a_worker_shares_with_the_supervisor(wrapper: list[str]) -> None:
    """One page, net's alone, and nothing else: with its connection the socket over which that came is gone."""
    with Serving(wrapper, options=["--workers", "1"]) as server, server.tls() as tls:
        tls.sendall(b"x")
        assert read_exactly(tls, 1) == b"x"
        worker = serving(server)
        assert [size for _, size in words(worker)] == [4096]
        assert [words(pid) for pid in children(worker)] == [[], []], "key and prog"
        theirs = {fd.target for fd in descriptors(server.pid).values()}
        ours = {fd.target for fd in descriptors(worker).values() if fd.number > 2}
        assert not {target for target in ours & theirs if not target.startswith("anon_inode")}
        sockets = [fd for fd in descriptors(worker).values() if fd.kind == "socket" and fd.number > 2]
        assert len(sockets) == 1, "the key port"
        held = len(descriptors(server.pid))
        with server.tls():
            assert len(descriptors(server.pid)) == held, "a connection that is served costs no descriptor"


@pytest.mark.parametrize(
    "word",
    [
        outcome(),
        outcome(version=0xFFFF, suite=0xFFFF, alert=255, established=255, resumed=255, told=255,
                bytes_in=2**64 - 1, bytes_out=2**63),
        b"\xff" * 4096,
        b"",
    ],
    ids=["good", "lies", "all", "none"],
)  # fmt: skip
def test_a_conquered_worker_that_lies(wrapper: list[str], word: bytes) -> None:
    """It can count itself once, when it ends; its page is empty for the next."""
    with Serving(wrapper, options=["--max-connections", "2", "--workers", "1"]) as server, server.tls() as tls:
        tls.sendall(b"x")
        assert read_exactly(tls, 1) == b"x"
        worker = serving(server)
        kids = children(worker)
        ((place, _),) = words(worker)
        with open(f"/proc/{worker}/mem", "r+b", buffering=0) as memory:
            memory.seek(place)
            memory.write(word)
            memory.seek(place + 4000)
            memory.write(b"for the next one")
        os.kill(worker, signal.SIGKILL)
        assert not wait_gone([worker, *kids])
        for number in range(3):
            server.echo()
            found = server.wait_counter("bearwrap_served_total", number + 1 + bool(word))
        assert found["bearwrap_served_total"] == 3 + bool(word)
        assert found["bearwrap_workers_lost_total"] == (not word)
        assert found['bearwrap_bytes_total{direction="in"}'] < 1000
        assert 3 <= sum(value for name, value in found.items() if name.startswith("bearwrap_version_total")) <= 4
        server.wait_idle(1)
        assert zombies(server.pid) == 0
        assert not Image(server.pid).find({"left": b"for the next one"})


def test_as_process_1_of_a_container(wrapper: list[str]) -> None:
    """It waits for orphans too: a prog that leaves a child behind leaves no zombie."""
    under = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    prog = ["sh", "-c", "(sleep 0.2; exit 3) >/dev/null 2>&1 & exec cat"]
    with Serving(wrapper, prog, options=["--workers", "1"], under=under) as server:
        (supervisor,) = children(server.pid)
        server.echo()
        deadline = Deadline()
        while len(children(supervisor)) != 1 or zombies(supervisor):
            assert not deadline.over(), "only the idle worker is left"
        server.echo()


def test_a_stopped_worker_holds_nobody_up(wrapper: list[str]) -> None:
    with Serving(wrapper, options=["--workers", "2", "--drain", "0"]) as server, server.tls() as tls:
        tls.sendall(b"x")
        assert read_exactly(tls, 1) == b"x"
        os.kill(serving(server), signal.SIGSTOP)
        for _ in range(5):
            server.echo()
        assert server.stop() == 0


def test_the_end_of_the_supervisor(wrapper: list[str]) -> None:
    """Killed: idle workers go at once, a connection is served to its end."""
    with Serving(wrapper) as server:
        with server.tls() as tls:
            tls.sendall(b"x")
            assert read_exactly(tls, 1) == b"x"
            worker = serving(server)
            idle = [pid for pid in server.workers() if pid != worker]
            server.popen.kill()
            server.popen.wait(LIMIT_S)
            assert not wait_gone(idle)
            tls.sendall(b"y")
            assert read_exactly(tls, 1) == b"y"
        assert server.no_process_left()
        assert server.accounts(1)[0]["end"] == "finished"


def calls(pid: int, seconds: float, tmp_path: Path) -> dict[str, int]:
    """System calls of a process in a while, by name."""
    report = tmp_path / "calls"
    words = ["timeout", "-s", "INT", str(seconds), require_peer("strace"), "-qqc", "-o", str(report), "-p", str(pid)]
    subprocess.run(words, timeout=LIMIT_S, check=False, capture_output=True)
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", report.read_text(), re.M)
    return {name: int(count) for count, name in rows if name != "total"}


def test_a_worker_knows_no_other_client(wrapper: list[str]) -> None:
    """Addresses are in the supervisor, not in the workers that are forked afterwards, nor in what they start."""
    with Serving(wrapper, ["sleep", "60"], options=["--workers", "2"]) as server:
        old = server.wait_idle(2)
        sources = [f"127.1.2.{number}" for number in range(1, 21)]
        silent = [socket.create_connection(("127.0.0.1", server.port), LIMIT_S, source_address=(source, 0))
                  for source in sources]  # fmt: skip
        wanted = {}
        for sock, source in zip(silent, sources, strict=True):
            port = sock.getsockname()[1]
            wanted[source] = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s", port, socket.inet_aton(source))
        server.wait_counter('bearwrap_connections{state="silent"}', len(silent))
        talking = [server.tls(), server.tls()]
        fresh = [pid for pid in server.wait_idle(2, served=2) if pid not in old]
        assert len(fresh) == 2
        assert Image(server.pid).find(wanted).keys() == wanted.keys(), "the search is broken"
        for pid in [*fresh, *(child for worker in fresh for child in children(worker))]:
            assert not Image(pid).find(wanted), f"process {pid} knows other clients"
        for sock in [*silent, *talking]:
            sock.close()


def test_an_idle_supervisor_sleeps(wrapper: list[str], tmp_path: Path) -> None:
    """Also beside silent connections, one that waits for a place, and status clients that do not ask."""
    with Serving(wrapper, options=["--max-connections", "1", "--workers", "2"]) as server:
        server.wait_idle(2)
        assert sum(calls(server.pid, 0.5, tmp_path).values()) <= 3
        silent = [server.connect() for _ in range(5)]
        with server.tls(), server.connect() as waiting, socket.socket(socket.AF_UNIX) as mute:
            waiting.sendall(b"\x16")
            mute.connect(str(server.status_path))
            server.wait_counter('bearwrap_connections{state="ready"}', 1)
            deadline = Deadline()
            while server.counters()["bearwrap_workers_idle"] < 2:
                assert not deadline.over()
            assert sum(calls(server.pid, 0.5, tmp_path).values()) <= 3
        for sock in silent:
            sock.close()


def test_what_prog_inherits(wrapper: list[str]) -> None:
    """Limits, signals and mask as the supervisor found them; its descriptors 0 to 2 alone."""
    script = "ulimit -Sn; ulimit -Hn; grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | wc -l"
    own = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = min(own[0], 512)

    def start() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, own[1]))
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)

    read_end, write_end = os.pipe()
    try:
        with Serving(wrapper, ["sh", "-c", script], preexec=start, pass_fds=[write_end]) as server:
            os.close(write_end)
            assert os.read(read_end, 1) == b"", "the listener has closed what it inherited"
            with server.tls() as tls:
                text = b""
                while piece := tls.recv(4096):
                    text += piece
    finally:
        os.close(read_end)
    lines = text.decode().split()
    assert lines[:2] == [str(soft), str(own[1]) if own[1] >= 0 else "unlimited"]
    assert int(lines[3], 16) == 0 and int(lines[5], 16) & 0x7 == 0, "SIGHUP, SIGINT, SIGQUIT"
    assert lines[6] == "4", "ls's own beside 0, 1 and 2"
