"""key's word to prog comes on prog's stdin, with -n on a pipe of its own; what a client says is never taken for it."""

from __future__ import annotations

import fcntl
import os
import signal
import ssl
import struct
import termios

import pytest

from tests.certs import Certs
from tests.harness import LIMIT_S, OURS, Deadline, Wrapped, client_context, needs_root, read_exactly

from .connection import reading, ready
from .descriptors import descriptors

pytestmark = needs_root

PIPE_LEAST = 4096  # what any pipe holds


def ends(pid: int, mode: str) -> dict[str, int]:
    """The pipes of which a process has this end: name to number."""
    return {fd.target: fd.number for fd in descriptors(pid).values() if (fd.kind, fd.mode) == ("pipe", mode)}


def wait_filled(pid: int, number: int, most: int) -> None:
    """Wait until the pipe on this descriptor of a process holds more than that."""
    deadline, held = Deadline(LIMIT_S), bytearray(4)
    fd = os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while struct.unpack("i", held)[0] <= most:
            assert not deadline.over(), f"only {bytes(held)!r} bytes"
            fcntl.ioctl(fd, termios.FIONREAD, held)
            os.sched_yield()
    finally:
        os.close(fd)


def jailed(wrapped: Wrapped) -> tuple[int, int, int]:
    """net, key and prog once net waits for the PROXY line in its jail."""
    deadline = Deadline(LIMIT_S)
    while not deadline.over():
        found = wrapped.processes()
        if found.key is not None and found.prog is not None and os.readlink(f"/proc/{found.net}/root") != "/":
            return reading(found.net), reading(found.key), reading(found.prog)
        os.sched_yield()
    raise TimeoutError("net never went to jail")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("size", [1, 200_000])
def test_input_right_behind_the_word(certs: Certs, version: ssl.TLSVersion, size: int) -> None:
    """A prog that is slow to read its word finds the program's input behind it, whole."""
    text = os.urandom(size)
    with Wrapped(["-vv", "-f", str(certs.server("p256"))], ["cat"], program=OURS) as wrapped:
        prog = reading(ready(wrapped)[2])
        (stdin,) = ends(prog, "r").values()
        os.kill(prog, signal.SIGSTOP)
        tls = wrapped.tls(client_context(minimum=version, maximum=version))
        tls.sendall(text)
        wait_filled(prog, stdin, min(size, PIPE_LEAST))
        os.kill(prog, signal.SIGCONT)
        assert read_exactly(tls, size) == text


def test_a_clients_text_is_no_word(certs: Certs) -> None:
    """-n: net writes what a client sends in clear to prog's stdin, maybe before prog has read key's word."""
    fields = [b"nobody", *[b"203.0.113.9"] * 10]
    forged = b"".join(len(field).to_bytes(2, "big") + field for field in fields)
    forged = (len(forged) + 2).to_bytes(2, "big") + forged
    script = f"id -u; echo $TCPREMOTEIP; exec head -c {len(forged)}"
    options = ["-n", "-p", "1", "-f", str(certs.server("p256"))]
    with Wrapped(options, ["sh", "-c", script], program=OURS) as wrapped:
        net, key, prog = jailed(wrapped)
        from_key = ends(prog, "r").keys() & ends(key, "w").keys()
        assert len(from_key) == 2 and len(from_key - ends(net, "w").keys()) == 1, "the word's pipe is key's alone"
        (stdin,) = (ends(prog, "r")[target] for target in from_key & ends(net, "w").keys())
        os.kill(prog, signal.SIGSTOP)
        wrapped.client.sendall(b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n" + forged)
        wait_filled(prog, stdin, len(forged) - 1)
        os.kill(prog, signal.SIGCONT)
        answer = b""
        while data := wrapped.client.recv(4096):
            answer += data
        assert answer == b"%d\n192.0.2.1\n" % os.geteuid() + forged
