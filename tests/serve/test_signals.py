"""SIGTERM drains, SIGINT too, SIGHUP opens the log anew; and what the service manager hears."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import LIMIT_S, Deadline, ending, needs_root, read_exactly, wait_gone

from .listening import Serving, closed

pytestmark = needs_root


@pytest.fixture
def wrapper(certs: Certs) -> list[str]:
    return ["-f", str(certs.server("p256"))]


def refuses(server: Serving) -> bool:
    """Nobody listens any more, soon: a child that was just forked holds the socket for a moment."""
    deadline = Deadline()
    while not deadline.over():
        try:
            server.connect().close()
        except OSError:
            return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_served_is_not_cut(wrapper: list[str], number: int) -> None:
    size = 4 << 20
    with Serving(wrapper, ["sh", "-c", f"read x; head -c {size} /dev/zero"]) as server:
        tls, silent = server.tls(), server.connect()
        server.wait_counter('bearwrap_connections{state="silent"}', 1)
        os.killpg(server.pid, number)  # as a terminal does
        server.wait_said("STOPPING=1")
        assert closed(silent)
        assert refuses(server)
        assert server.counters()['bearwrap_connections{state="served"}'] == 1
        tls.sendall(b"go\n")
        data, how = ending(tls)
        assert (len(data), how) == (size, "close_notify")
        assert server.popen.wait(LIMIT_S) == 0
        assert server.no_process_left()
        assert server.accounts(1)[0]["end"] == "finished" and not server.faults()


def test_the_drain_has_a_deadline(wrapper: list[str]) -> None:
    """Even for a prog that wants no signal: nothing is left."""
    with Serving(wrapper, ["sh", "-c", "trap '' TERM; echo x; exec sleep 100"],
                 options=["--drain", "0"]) as server:  # fmt: skip
        with server.tls() as tls:
            assert read_exactly(tls, 2) == b"x\n"
            assert server.stop() == 0
        assert server.accounts(1)[0]["end"] == "signal"


def test_a_second_sigint_ends_the_drain(wrapper: list[str]) -> None:
    with Serving(wrapper) as server, server.tls() as tls:
        tls.sendall(b"x")
        assert read_exactly(tls, 1) == b"x"
        server.popen.send_signal(signal.SIGINT)
        server.wait_said("STOPPING=1")
        assert server.stop(signal.SIGINT) == 0
        assert server.accounts(1)[0]["end"] == "signal"


def test_the_log_is_opened_anew(wrapper: list[str], tmp_path: Path) -> None:
    """Also by the workers that were there already; who is served goes on with the old file."""
    log, old = tmp_path / "log", tmp_path / "log.1"
    with Serving(wrapper, options=["--log-file", str(log), "--workers", "2"]) as server:
        server.wait_idle(2)
        before = server.tls()
        server.echo()
        server.wait_counter("bearwrap_served_total", 1)
        idle = {pid for pid in server.wait_idle(2, served=1) if os.readlink(f"/proc/{pid}/root") == "/"}
        log.rename(old)
        server.popen.send_signal(signal.SIGHUP)
        assert not wait_gone(idle)
        for _ in range(3):
            server.echo()
        server.wait_counter("bearwrap_served_total", 4)
        assert len(log.read_text().splitlines()) == 3
        before.close()
        server.wait_counter("bearwrap_served_total", 5)
        assert len(old.read_text().splitlines()) == 2
        assert server.stop() == 0
        assert all(json.loads(line)["code"] == 0 for line in log.read_text().splitlines())
        assert server.stderr == ""


def test_sighup_without_a_log_file_changes_nothing(wrapper: list[str]) -> None:
    with Serving(wrapper, options=["--workers", "2"]) as server:
        workers = server.wait_idle(2)
        server.popen.send_signal(signal.SIGHUP)
        for pid in workers:
            os.kill(pid, signal.SIGHUP)  # killall -HUP
        server.echo()
        assert set(server.workers()) & set(workers) and not server.faults()


def test_a_log_file_that_cannot_be_opened_anew(wrapper: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with Serving(wrapper, options=["--log-file", str(folder / "log")]) as server, open(folder / "log") as log:
        folder.rename(tmp_path / "away")
        server.popen.send_signal(signal.SIGHUP)
        server.echo()
        server.wait_counter("bearwrap_served_total", 1)
        first, second = sorted(log.read().splitlines())
        assert first == "bearwrap: fatal: unable to open the log file anew (file does not exist)"
        assert json.loads(second)["end"] == "finished"


def test_the_watchdog(wrapper: list[str]) -> None:
    with Serving(wrapper, env={"WATCHDOG_USEC": "100000"}) as server:
        for _ in range(3):
            server.said.clear()
            server.wait_said("WATCHDOG=1")
        server.echo()
    other = {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
    with Serving(wrapper, env=other) as server, pytest.raises(AssertionError):
        server.wait_said("WATCHDOG=1", 0.3)


def test_an_abstract_socket_of_the_manager(wrapper: list[str]) -> None:
    name = f"bearwrap-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(LIMIT_S)
        with Serving(wrapper, env={"NOTIFY_SOCKET": f"@{name}"}, started=False) as server:
            assert manager.recv(100) == b"READY=1"
            server.popen.terminate()
            assert manager.recv(100) == b"STOPPING=1"
