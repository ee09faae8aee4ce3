"""What must never come twice: randoms, session ids, ECDHE points, and GCM's explicit nonces (RFC 5288 3)."""

from __future__ import annotations

import pytest

from tests.harness import Program, Wrapped, needs_root

from .client import Client
from .identities import Identities
from .messages import Hello
from .names import CIPHER_OPTIONS, TLS11, TLS12, Record, suite_for
from .row import OLD_VERSIONS, PROG

pytestmark = needs_root
CONNECTIONS = 8


def test_fresh_in_each_connection(ours: Program, identities: Identities) -> None:
    """The jailed processes take new seeds after their last fork."""
    randoms, sessions, points = set(), set(), set()
    for _ in range(CONNECTIONS):
        with Wrapped(["-f", identities.files["rsa"]], PROG, program=ours) as wrapped:
            client = Client(wrapped.client)
            client.start()
            randoms.add(client.server.random[:24])
            sessions.add(client.server.session_id or client.server.random)
            points.add(client.key_exchange.point)
    assert len(randoms) == len(sessions) == len(points) == CONNECTIONS


@pytest.mark.parametrize("option", [name for name in CIPHER_OPTIONS if "GCM" in name])
def test_gcm_nonces(ours: Program, identities: Identities, option: str) -> None:
    """The server's explicit nonces are distinct over a connection, its Finished and close_notify included."""
    with Wrapped(["-f", identities.files["rsa"], "-c", option], PROG, program=ours) as wrapped:
        client = Client(wrapped.client)
        client.handshake()
        for _ in range(20):
            client.echo(b"nonce")
        client.echo(bytes(50000))
        assert client.close() == "eof"
        nonces = [frame.raw[:8] for frame in client.seen if frame.sealed]
        assert len(nonces) > 20
        assert len(set(nonces)) == len(nonces)


@pytest.mark.parametrize("option", [name for name in CIPHER_OPTIONS if "CBC" in name])
def test_cbc_explicit_ivs(ours: Program, identities: Identities, option: str) -> None:
    """Explicit IVs of CBC records are distinct, and no last block of another record (RFC 4346 6.2.3.2)."""
    version = TLS12 if suite_for(option, "rsa").tls12_only else TLS11
    options = ["-f", identities.files["rsa"], "-c", option, *OLD_VERSIONS.split()]
    with Wrapped(options, PROG, program=ours) as wrapped:
        client = Client(wrapped.client)
        client.handshake(Hello(version=version))
        for _ in range(20):
            client.echo(b"vector")
        frames = [frame for frame in client.seen if frame.sealed and frame.kind == Record.DATA]
        ivs = [frame.raw[:16] for frame in frames]
        assert len(set(ivs)) == len(ivs) >= 20
        assert not {frame.raw[-16:] for frame in frames} & set(ivs)
