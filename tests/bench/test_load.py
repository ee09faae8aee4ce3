"""The load generator does whole handshakes: what it spares itself (bench/pubkey.c) must not show."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.certs import Certs
from tests.client.server import CHAPOL, RSA_GCM, ClientHello, Server
from tests.client.server13 import Server13
from tests.wire.client import Identity
from tests.wire.names import Ext
from tests.wire.records import Refused

from .tools import bench_module

LIMIT_S = 20
ECHO = 16
SUITES = {"p256": CHAPOL, "rsa2048": RSA_GCM}  # of TLS 1.2
both = pytest.mark.parametrize("version", ["1.2", "1.3"])
kinds = pytest.mark.parametrize("kind", SUITES)
# With anchors the certificate is verified, and OpenSSL decodes its key as it always does.
anchored = pytest.mark.parametrize("anchors", [False, True], ids=["", "anchors"])


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(bench_module("prepare").find_tools(tmp_path_factory.mktemp("programs")).load)


@contextmanager
def client(program: str, version: str, anchors: Path | None) -> Iterator[tuple[socket.socket, subprocess.Popen[str]]]:
    """One connection of the load generator: our end of it, and the process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT_S)
        words = ["--port", str(listener.getsockname()[1]), "--tls", version, "--name", "localhost"]
        words += ["--anchors", str(anchors)] if anchors else []
        with subprocess.Popen([program, *words], stdout=subprocess.PIPE, text=True) as process:
            try:
                peer, _ = listener.accept()
                with peer:
                    yield peer, process
            finally:
                process.kill()


def server(sock: socket.socket, version: str, kind: str, certs: Certs, signer: int = 0) -> Server:
    """`signer`: the number of the key that signs; the certificate is that of key 0."""
    shown = Identity((certs.leaf(kind).public_bytes(Encoding.DER),), certs.key(kind, signer))  # type: ignore[arg-type]
    return Server(sock, shown, suite=SUITES[kind]) if version == "1.2" else Server13(sock, shown)


def result(process: subprocess.Popen[str]) -> Any:
    return json.loads(process.communicate(timeout=LIMIT_S)[0])


@both
@kinds
@anchored
def test_a_connection(program: str, certs: Certs, version: str, kind: str, anchors: bool) -> None:
    with client(program, version, certs.ca if anchors else None) as (sock, process):
        peer = server(sock, version, kind, certs)
        peer.handshake()
        peer.send_data(peer.read_data(ECHO))
        with pytest.raises(Refused, match="close_notify"):
            peer.read_data(1)
        peer.close()
        found = result(process)
    assert (found["connections"], found["failed"], found["truncated"], found["error"]) == (1, 0, 0, "")


@both
@kinds
@pytest.mark.parametrize("fault", ["broken", "another key's"])
@anchored
def test_a_wrong_signature(program: str, certs: Certs, version: str, kind: str, fault: str, anchors: bool) -> None:
    with client(program, version, certs.ca if anchors else None) as (sock, process):
        peer = server(sock, version, kind, certs, signer=int(fault != "broken"))
        peer.read_hello()
        peer.send_flight(**({"tamper": lambda data: data[:-1] + bytes([data[-1] ^ 1])} if fault == "broken" else {}))
        found = result(process)
    assert found["connections"] == 0 and found["error"] == "handshake: bad signature", found


@both
def test_the_hello_is_the_same(program: str, certs: Certs, version: str) -> None:
    def offered(anchors: Path | None) -> tuple[object, ...]:
        with client(program, version, anchors) as (sock, _):
            hello: ClientHello = server(sock, version, "p256", certs).read_hello()
        extensions = {**hello.extensions}
        share = extensions.pop(Ext.KEY_SHARE, b"")
        order = list(hello.extensions)
        return hello.version, len(hello.session_id), hello.suites, hello.compressions, order, extensions, share[:6]

    assert offered(None) == offered(certs.ca)
