"""Small promises that once were broken, each with what it took to see it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.certs import Certs
from tests.harness import Program, RecordClient, Wrapped, client_context, needs_root, read_all


def test_sigterm_ends_the_wait_for_a_silent_prog(ours: Program, certs: Certs) -> None:
    """prog has closed its output and runs on: waited for without a limit, but not against the administrator's will."""
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", "exec >&-; exec sleep 60"], program=ours) as w:
        client = RecordClient(w.client)
        client.handshake()
        assert client.ending() == (b"", "close_notify")
        w.signal(signal.SIGTERM)
        started = time.monotonic()
        assert w.wait() == 111
        assert 0.7 < time.monotonic() - started < 1.9
        assert w.texts("fatal") == ["child process killed by signal 15"]
        assert w.no_process_left()


@needs_root
def test_the_subject_is_whole_with_u_too(ours: Program, certs: Certs) -> None:
    """-U cuts the field at its @ for the account, not for prog's eyes."""
    options = ["-a", certs.client_ca, "-U", "commonName", "-f", certs.server("p256")]
    context = client_context(certificate=certs.client("nobody@example.org"))
    prog = ["sh", "-c", 'echo "$USER $SSL_PEER_CERT_SUBJECT"']
    with Wrapped(options, prog, program=ours, cwd="/") as w, w.tls(context) as tls:
        assert read_all(tls) == b"nobody CN=nobody@example.org\n"


def test_a_file_that_is_too_large_says_so(ours: Program, certs: Certs, tmp_path: Path) -> None:
    pem = tmp_path / "pem"
    pem.write_bytes(b"# a comment line\n" * 20000 + certs.server("p256").read_bytes())
    with Wrapped(["-f", pem], ["true"], program=ours) as w:
        w.handshake_fails()
        assert w.wait() == 111
        assert [line.errno for line in w.log("fatal")] == ["file too large"]
