"""Which processor a connection's processes may use: one while the handshake lasts, the one that its packets come to."""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Iterator

import pytest

from tests.certs import Certs
from tests.harness import Deadline, needs_root, read_exactly, wait_gone
from tests.procs import children

from .listening import Serving

ALL = os.sched_getaffinity(0)

pytestmark = [needs_root, pytest.mark.skipif(len(ALL) < 2, reason="needs two processors")]


@pytest.fixture
def wrapper(certs: Certs) -> list[str]:
    return ["-f", str(certs.server("p256"))]


@pytest.fixture
def restored() -> Iterator[None]:
    """Our own affinity comes back after the test."""
    yield
    os.sched_setaffinity(0, ALL)


def allowed(pid: int) -> list[set[int]]:
    """Where net, key and prog may run; prog was forked before key."""
    prog, key = sorted(children(pid))
    return [os.sched_getaffinity(each) for each in (pid, key, prog)]


def waits(server: Serving, count: int) -> dict[int, set[int]]:
    """The idle workers, once all have forked, and where each may run."""
    deadline, idle = Deadline(), server.wait_idle(count)
    while any(len(children(pid)) < 2 for pid in idle):
        assert not deadline.over()
    return {pid: os.sched_getaffinity(pid) for pid in idle}


def wait_free(pid: int) -> None:
    """Wait until net and key may run anywhere: as with any process's state there is no event."""
    deadline = Deadline()
    while allowed(pid) != [ALL] * 3:
        assert not deadline.over(), allowed(pid)


def echo(tls: ssl.SSLSocket, size: int) -> None:
    tls.sendall(b"x" * size)
    assert read_exactly(tls, size) == b"x" * size


def test_one_until_many_bytes_have_moved(wrapper: list[str]) -> None:
    """An idle worker stays with its children, its prog is free from exec on, net and key after 64 KiB."""
    with Serving(wrapper, options=["--workers", "1"]) as server:
        ((worker, place),) = waits(server, 1).items()
        assert len(place) == 1 and allowed(worker) == [place] * 3
        with server.tls() as tls:
            echo(tls, 1000)
            assert allowed(worker) == [place, place, ALL]
            echo(tls, 60000)
            echo(tls, 60000)
            wait_free(worker)


def test_until_it_rests(wrapper: list[str]) -> None:
    with Serving(wrapper, options=["--workers", "1"]) as server:
        (worker,) = waits(server, 1)
        with server.tls() as tls:
            echo(tls, 1)
            wait_free(worker)
            echo(tls, 1)


def test_before_starttls_nothing_stays(wrapper: list[str]) -> None:
    with Serving([*wrapper, "-n"], options=["--workers", "1"]) as server:
        (worker,) = waits(server, 1)
        assert allowed(worker) == [ALL] * 3


def test_the_limits_of_the_supervisor_hold(wrapper: list[str]) -> None:
    """prog may run where the supervisor may when it is forked, not anywhere."""
    (first, *_) = sorted(ALL)
    under = ["taskset", "-c", str(first)]
    with Serving(wrapper, options=["--workers", "1"], under=under) as server:
        (worker,) = waits(server, 1)
        with server.tls() as tls:
            echo(tls, 1)
            assert allowed(worker) == [{first}] * 3


@pytest.mark.usefixtures("restored")
def test_the_worker_where_the_packets_come(wrapper: list[str]) -> None:
    """Of two that wait the one is taken that stays where the client's packets are taken, here where they are sent."""
    one, other, *_ = sorted(ALL)
    for place in (one, other, other, one):
        with Serving(wrapper, options=["--workers", "2"], under=["taskset", "-c", str(one)]) as server:
            worker, _ = waits(server, 2)
            # it is replaced by one on the other processor
            os.sched_setaffinity(server.pid, {other})
            os.kill(worker, signal.SIGKILL)
            assert not wait_gone([worker])
            found = waits(server, 2)
            assert sorted(map(sorted, found.values())) == [[one], [other]]
            os.sched_setaffinity(0, {place})
            with server.tls() as tls:
                echo(tls, 1)
                (worker,) = [pid for pid in found if os.readlink(f"/proc/{pid}/root") != "/"]
                assert os.sched_getaffinity(worker) == {place}
            os.sched_setaffinity(0, ALL)
