"""The `python3 -I -S` form of the program does what the native one does: options, a transfer, exit codes, the jail."""

from __future__ import annotations

import os
import signal

import pytest

from tests.certs import Certs
from tests.harness import ROOT, Program, Wrapped, duplex, needs_root, run_plain

SCRIPT = Program("script", ROOT / "build" / "bin-script" / "tlswrapper", True)


def test_usage_and_version() -> None:
    done = run_plain([], program=SCRIPT)
    assert (done.code, done.stdout) == (100, b"")
    assert done.stderr == "tlswrapper [options] [ -d certdir ] [ -f certfile ] prog\n"
    assert run_plain(["--version"], program=SCRIPT).stdout.startswith(b"bearwrap ")


@needs_root
def test_sigint_ends_it(certs: Certs) -> None:
    """Python's own handler would wait for Python code to run again."""
    with Wrapped(["-f", certs.server("p256")], ["cat"], program=SCRIPT) as w:
        tls = w.tls()
        tls.sendall(b"ping")
        assert tls.recv(4) == b"ping"
        w.signal(signal.SIGINT)
        assert w.wait() == -signal.SIGINT
        assert w.no_process_left()


@needs_root
@pytest.mark.parametrize("key", ["p256", "rsa2048"])
def test_a_transfer(certs: Certs, key: str) -> None:
    payload = os.urandom(200_001)
    with Wrapped(["-f", certs.server(key)], ["sh", "-c", "cat; exit 7"], program=SCRIPT) as w:
        tls = w.tls()
        assert duplex(tls, payload, len(payload)) == payload
        found = w.processes()
        assert {os.readlink(f"/proc/{pid}/root") for pid in (found.net, found.key)} == {"/var/lib/tlswrapper/empty"}
        tls.close()
        w.wait()
        assert w.no_process_left()
