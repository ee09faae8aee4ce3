"""Bytes both ways at once, exact, for every cipher with every kind of certificate."""

from __future__ import annotations

import os
import random
import socket
import ssl
from pathlib import Path

import pytest

from tests.certs import KINDS, Certs
from tests.harness import (
    THEIRS,
    Mailbox,
    Program,
    RecordClient,
    Wrapped,
    client_context,
    duplex,
    require_program,
)

# the option's name -> the suite as OpenSSL names it, {} for the key type
CIPHERS = {
    "CHACHA20_POLY1305_SHA256": "ECDHE-{}-CHACHA20-POLY1305",
    "AES_256_GCM_SHA384": "ECDHE-{}-AES256-GCM-SHA384",
    "AES_128_GCM_SHA256": "ECDHE-{}-AES128-GCM-SHA256",
    "AES_256_CBC_SHA384": "ECDHE-{}-AES256-SHA384",
    "AES_128_CBC_SHA256": "ECDHE-{}-AES128-SHA256",
    "AES_256_CBC_SHA": "ECDHE-{}-AES256-SHA",
    "AES_128_CBC_SHA": "ECDHE-{}-AES128-SHA",
}
OLD_CIPHERS = ("AES_256_CBC_SHA", "AES_128_CBC_SHA")
SIZE = 16385  # one more than a record holds
MIB = 1 << 20


def suite(cipher: str, kind: str) -> str:
    return CIPHERS[cipher].format("RSA" if kind.startswith("rsa") else "ECDSA")


@pytest.fixture(scope="module")
def payload() -> bytes:
    """64 MiB that do not repeat; the seed makes a failure repeatable."""
    return random.Random(1).randbytes(64 * MIB)


class BothWays:
    """prog sends one file and stores what it reads in another; the client does the mirror image."""

    def __init__(self, folder: Path, size: int) -> None:
        self.upload, self.download = os.urandom(size), os.urandom(size)
        self.source, self.stored = folder / "source", folder / "stored"
        self.source.write_bytes(self.download)
        self.prog = ["sh", "-c", f"cat {self.source} & cat > {self.stored}; wait"]

    def run(self, w: Wrapped, context: ssl.SSLContext, sni: str | None = None) -> ssl.SSLSocket:
        tls = w.tls(context, sni)
        assert duplex(tls, self.upload, len(self.download)) == self.download
        return tls

    def check(self, w: Wrapped, tls: ssl.SSLSocket) -> None:
        """After the client left: everything it sent has arrived, and the code is prog's."""
        tls.close()
        assert w.wait() == 0
        assert w.no_process_left()
        assert self.stored.read_bytes() == self.upload


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("place", ["file", "directory"])
def test_both_ways_at_once(
    program: Program, certs: Certs, tmp_path: Path, cipher: str, kind: str, place: str
) -> None:
    folder = certs.directory(tmp_path / "d", {"test.example": kind})
    options = ["-f", certs.server(kind)] if place == "file" else ["-d", folder]
    transfer = BothWays(tmp_path, SIZE)
    context = client_context(ciphers=suite(cipher, kind), ca=certs.ca, minimum=ssl.TLSVersion.TLSv1_2)
    with Wrapped(["-c", cipher, *options], transfer.prog, program=program) as w:
        tls = transfer.run(w, context, "test.example")
        assert (tls.version(), tls.cipher()[0]) == ("TLSv1.2", suite(cipher, kind))
        transfer.check(w, tls)
        assert w.stderr == ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cipher", OLD_CIPHERS)
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1.1"])
def test_both_ways_at_once_in_old_versions(
    program: Program, certs: Certs, tmp_path: Path, cipher: str, kind: str, version: str
) -> None:
    transfer = BothWays(tmp_path, SIZE)
    number = {"TLSv1": ssl.TLSVersion.TLSv1, "TLSv1.1": ssl.TLSVersion.TLSv1_1}[version]
    context = client_context(ciphers=suite(cipher, kind), maximum=number)
    if not program.ours:  # OpenSSL sends an empty record before each in TLS 1.0, which ends the original
        context.options |= 0x800  # SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS
    options = ["-m", "tls10", "-c", cipher, "-f", certs.server(kind)]
    with Wrapped(options, transfer.prog, program=program) as w:
        tls = transfer.run(w, context)
        assert (tls.version(), tls.cipher()[0]) == (version, suite(cipher, kind))
        transfer.check(w, tls)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_64_mib_both_ways(ours: Program, certs: Certs, payload: bytes, cipher: str) -> None:
    echo(ours, certs, payload, cipher)


def test_64_mib_both_ways_in_tls_1_0(ours: Program, certs: Certs, payload: bytes) -> None:
    """The one version whose records are split in front, against guessed initialisation vectors."""
    echo(ours, certs, payload[: 8 * MIB], "AES_128_CBC_SHA", ssl.TLSVersion.TLSv1)


def test_the_same_harness_over_the_original(certs: Certs, payload: bytes) -> None:
    """Shows that the bulk tests themselves work."""
    echo(require_program(THEIRS), certs, payload[: 8 * MIB], "AES_128_GCM_SHA256")


def echo(
    program: Program,
    certs: Certs,
    payload: bytes,
    cipher: str,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
) -> None:
    context = client_context(ciphers=suite(cipher, "p256"), maximum=version)
    options = ["-m", "tls10", "-c", cipher, "-f", certs.server("p256")]
    with Wrapped(options, ["cat"], program=program) as w:
        tls = w.tls(context)
        assert duplex(tls, payload, len(payload)) == payload
        tls.close()
        assert w.wait() == 0
        assert w.no_process_left()


# --- sizes and cuts ---

SIZES = [
    0,
    1,
    2,
    1023,
    1024,
    1025,
    4095,
    4096,
    16383,
    16384,
    16385,
    32767,
    65535,
    65536,
    65537,
    262143,
    262145,
    524287,
    524289,
]


def test_odd_sizes(program: Program, certs: Certs) -> None:
    """Records of every length around the limits come back as they were."""
    with Wrapped(["-f", certs.server("p256")], ["cat"], program=program) as w:
        tls = w.tls()
        for size in SIZES:
            data = os.urandom(size)
            assert duplex(tls, data, size) == data


@pytest.mark.parametrize(
    "cipher", ["CHACHA20_POLY1305_SHA256", "AES_128_GCM_SHA256", "AES_256_CBC_SHA384", "AES_128_CBC_SHA"]
)
def test_records_cut_anywhere(program: Program, certs: Certs, cipher: str) -> None:
    """TCP may cut a record at every byte, and several may come in one piece."""
    context = client_context(ciphers=suite(cipher, "p256"))
    with Wrapped(["-c", cipher, "-f", certs.server("p256")], ["cat"], program=program) as w:
        client = RecordClient(w.client, context)
        client.handshake()
        sealed = client.seal(b"one") + client.seal(b"two") + client.seal(b"three")
        for at in range(len(sealed)):
            w.client.sendall(sealed[at : at + 1])
        assert client.read_exactly(11) == b"onetwothree"
        for cut in range(1, 60):
            data = os.urandom(40)
            sealed = client.seal(data)
            w.client.sendall(sealed[:cut])
            w.client.sendall(sealed[cut:])
            assert client.read_exactly(40) == data
        w.client.sendall(b"".join(client.seal(bytes([value])) for value in range(256)))
        assert client.read_exactly(256) == bytes(range(256))


def test_a_handshake_in_single_bytes(program: Program, certs: Certs) -> None:
    with Wrapped(["-f", certs.server("rsa2048")], ["cat"], program=program) as w:
        client = RecordClient(w.client)
        for byte in client.client_hello():
            w.client.sendall(bytes([byte]))
        client.handshake()
        client.send(b"hello")
        assert client.read_exactly(5) == b"hello"


@pytest.mark.parametrize("family", ["unix", "pipes", "tcp6"])
def test_other_descriptors(program: Program, certs: Certs, family: str) -> None:
    """Descriptors 0 and 1 may be one socket, a socketpair or two pipes."""
    data = os.urandom(300_000)
    with Wrapped(["-f", certs.server("p256")], ["cat"], program=program, family=family) as w:
        tls = w.tls()
        assert duplex(tls, data, len(data)) == data
        tls.close()
        assert w.wait() == 0
        assert w.no_process_left()


def test_a_slow_reader_stops_the_writer(program: Program, certs: Certs, tmp_path: Path) -> None:
    """Back pressure: prog blocks while the client does not read, and nothing is lost afterwards."""
    box = Mailbox(tmp_path)
    script = f"head -c {16 * MIB} /dev/zero; echo done > {box.path}"
    with Wrapped(["-f", certs.server("p256")], ["sh", "-c", script], program=program) as w:
        w.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        tls = w.tls()
        assert tls.recv(1) == b"\0"
        assert box.empty()
        total = 1
        while piece := tls.recv(MIB):
            total += len(piece)
        assert total == 16 * MIB
        assert box.line() == "done"
    box.close()
