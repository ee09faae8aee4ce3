"""The key log: what the client's program with test hooks writes is what its peer says; nothing else writes any."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import BIN, OURS, ROOT, Wrapped, needs_root
from tests.isolation.connection import hooked as hooked_server
from tests.tlsclient import client_context

from .material import Material
from .peers import TLS12, TLS13, openssl_server
from .test_memory import hooked
from .test_peers import LOCAL, connected, variables
from .tlsc import Tlsc

ECHO = ["sh", "-c", 'echo abc >&7; read x <&6; echo "$x"']
LABELS = {
    "-tls1_3": {
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    },
    "-tls1_2": {"CLIENT_RANDOM"},
}
SHAPES = [
    ("-tls1_3", ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]),
    ("-tls1_3", ["-ciphersuites", "TLS_AES_256_GCM_SHA384"]),
    ("-tls1_3", ["-groups", "P-384"]),  # by a HelloRetryRequest
    ("-tls1_2", ["-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"]),
    ("-tls1_2", ["-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"]),
]


def lines(path: Path, labels: set[str]) -> set[str]:
    """Those with these labels; the peer writes an exporter's secret too, which we have none of."""
    return {line for line in path.read_text().splitlines() if line.split(" ")[0] in labels}


@needs_root
@pytest.mark.parametrize(("version", "words"), SHAPES, ids=range(len(SHAPES)))
def test_the_peer_has_the_same(material: Material, tmp_path: Path, version: str, words: list[str]) -> None:
    theirs, ours, labels = tmp_path / "theirs", tmp_path / "ours", LABELS[version]
    words = ["-rev", "-quiet", "-keylogfile", str(theirs), *words]
    environment = {**variables(material), "SSLKEYLOGFILE": ours}
    with openssl_server(material.path("p256"), *words, version=version) as server:
        for count in (1, 2):
            with Tlsc(["-S", *LOCAL], ECHO, env=environment, sock=connected(server.port), executable=hooked()) as run:
                assert run.wait() == 0, run.stderr
                assert (run.stdout, run.stderr) == (b"cba\n", "")
            written = ours.read_text().splitlines()
            assert {line.split(" ")[0] for line in written} == labels
            assert len(written) == len(set(written)) == count * len(labels), "one line each, behind those before"
            assert set(written) == lines(theirs, labels)
    assert ours.stat().st_mode & 0o777 == 0o600


@needs_root
def test_a_log_that_cannot_be_is_none(material: Material, tmp_path: Path) -> None:
    environment = {**variables(material), "SSLKEYLOGFILE": tmp_path / "no" / "folder"}
    with (
        openssl_server(material.path("p256"), "-rev", "-quiet", version="-tls1_3") as server,
        Tlsc(["-S", *LOCAL], ECHO, env=environment, sock=connected(server.port), executable=hooked()) as run,
    ):
        assert (run.wait(), run.stdout, run.stderr) == (0, b"cba\n", "")


def test_the_programs_know_of_none() -> None:
    """Neither the variable's name nor a label is in what is installed."""
    needles = [b"SSLKEYLOGFILE", *(label.encode() for label in set().union(*LABELS.values()) - {"CLIENT_RANDOM"})]
    needles.append(b"CLIENT_RANDOM\0")
    files = [path for path in (*BIN.iterdir(), *(ROOT / "bearwrap").glob("_bear*.so")) if path.is_file()]
    assert len(files) > 5
    for path in files:
        data = path.read_bytes()
        assert not [needle for needle in needles if needle in data], path
    data = hooked().read_bytes()
    assert all(needle in data for needle in needles), "they would be found"


@needs_root
@pytest.mark.parametrize("version", LABELS)
def test_a_release_writes_none(material: Material, tmp_path: Path, version: str) -> None:
    log = tmp_path / "log"
    environment = {**variables(material), "SSLKEYLOGFILE": log}
    with (
        openssl_server(material.path("p256"), "-rev", "-quiet", version=version) as server,
        Tlsc(["-S", *LOCAL], ECHO, env=environment, sock=connected(server.port)) as run,
    ):
        assert (run.wait(), run.stdout) == (0, b"cba\n"), run.stderr
    assert not log.exists()


@needs_root
@pytest.mark.parametrize("version", [TLS12, TLS13], ids=lambda version: version.name)
@pytest.mark.parametrize("hooks", [True, False], ids=["hooks", "release"])
def test_a_server_writes_none(certs: Certs, tmp_path: Path, version: ssl.TLSVersion, hooks: bool) -> None:
    log = tmp_path / "log"
    options = ["-f", str(certs.server("p256"))]
    program = hooked_server() if hooks else OURS
    with Wrapped(options, ["cat"], program=program, extra_env={"SSLKEYLOGFILE": str(log)}) as wrapped:
        tls = wrapped.tls(client_context(minimum=version, maximum=version))
        tls.sendall(b"abc")
        assert tls.recv(3) == b"abc"
    assert not log.exists()
