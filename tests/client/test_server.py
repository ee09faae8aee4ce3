"""The scripted server against OpenSSL's client: what it says of s6-tlsc is only worth something if it is correct."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.certs import Certs
from tests.companions.tcp import in_thread
from tests.harness import client_context, connection
from tests.wire.client import Identity
from tests.wire.names import TLS10, TLS11, TLS12, WARNING, Alert, Group

from .server import CBC, CHAPOL, GCM, RSA_GCM, Server

NAMES = {TLS10: "TLSv1", TLS11: "TLSv1.1", TLS12: "TLSv1.2"}


def identity(certs: Certs, kind: str) -> Identity:
    """A certificate for localhost under the authority that clients trust."""
    return Identity((certs.leaf(kind).public_bytes(Encoding.DER),), certs.key(kind))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "suite", "kind", "group"),
    [
        (TLS12, CHAPOL, "p256", Group.X25519),
        (TLS12, GCM, "p384", Group.SECP256R1),
        (TLS12, RSA_GCM, "rsa2048", Group.SECP521R1),
        (TLS12, 0x009C, "rsa2048", Group.X25519),
        (TLS12, 0x003C, "rsa2048", Group.X25519),
        (TLS12, 0x002F, "rsa2048", Group.X25519),
        (TLS11, CBC, "p256", Group.SECP384R1),
        (TLS11, 0x002F, "rsa2048", Group.X25519),
        (TLS10, 0xC013, "rsa2048", Group.X25519),
        (TLS10, CBC, "p521", Group.X25519),
    ],
)
@pytest.mark.parametrize("request_certificate", [False, True], ids=["", "request"])
def test_openssl_is_served(
    certs: Certs, version: int, suite: int, kind: str, group: int, request_certificate: bool
) -> None:
    theirs, ours = connection()
    context = client_context(certificate=certs.client() if request_certificate else None)
    with theirs, ours:

        def client() -> tuple[str | None, bytes]:
            with context.wrap_socket(theirs, suppress_ragged_eofs=False) as tls:
                tls.sendall(b"from the client")
                version, data = tls.version(), tls.recv(100)
                tls.unwrap()
                return version, data

        result = in_thread(client)
        server = Server(ours, identity(certs, kind), version=version, suite=suite, group=group)
        server.handshake(request=request_certificate)
        assert len(server.client_chain) == int(request_certificate)
        assert server.read_data(15) == b"from the client"
        server.send_data(b"from the server")
        while not server.alerts:
            server.read()
        assert server.alerts[-1].description == Alert.CLOSE_NOTIFY
        server.send_alert(Alert.CLOSE_NOTIFY, WARNING)
        assert result() == (NAMES[version], b"from the server")
