"""Tickets of TLS 1.3 (RFC 8446 2.2, 4.2.11, 4.6.1): who resumes, who gets a full handshake, and who is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bearwrap import _bear
from tests.certs import Certs
from tests.harness import LIMIT_S, ROOT, Deadline, Program, Wrapped, needs_root
from tests.isolation.connection import hooked
from tests.serve.listening import Serving
from tests.wire.messages import Hello, server_name, vec
from tests.wire.names import Alert, Ext, Group
from tests.wire.records import Refused

from .client import PRE_SHARED_KEY, Client13, Ticket, hello13
from .crypto import AES128, AES256

pytestmark = needs_root


class Server:
    """The wrapper with a file of ticket keys; each call is a connection."""

    def __init__(self, ours: Program, certs: Certs, keys: Path) -> None:
        self.ours, self.certs, self.keys = ours, certs, keys
        keys.write_bytes(os.urandom(48))

    def connect(self, *, hello: Hello | None = None, ticket: Ticket | None = None, kind: str = "p256",
                options: tuple[str, ...] = (), groups: tuple[int, ...] = (Group.X25519,)) -> Client13:  # fmt: skip
        """A whole connection; the client that made it."""
        words = ["-v", "--ticket-keys", str(self.keys), "-f", str(self.certs.server(kind)), *options]
        with Wrapped(words, ["cat"], program=self.ours) as wrapped:
            client = Client13(wrapped.client)
            client.handshake(hello, groups, ticket)
            client.echo(b"through")
            assert client.close() == "eof"
            assert wrapped.wait() == 0
            assert (", resumed" in wrapped.stderr) == client.resumed, wrapped.stderr
        return client


@pytest.fixture
def server(ours: Program, certs: Certs, tmp_path: Path) -> Iterator[Server]:
    """A wrapper that makes tickets."""
    yield Server(ours, certs, tmp_path / "keys")


@pytest.mark.parametrize("kind", ["rsa2048", "p256"])
@pytest.mark.parametrize("suite", [AES128, AES256, 0x1303])
def test_resumed(server: Server, kind: str, suite: int) -> None:
    """Two tickets, each good more than once; a resumed connection gets another, whose PSK is another."""
    first = server.connect(kind=kind, hello=hello13(suites=[suite]))
    assert not first.resumed and len(first.tickets) == 2
    assert all(ticket.lifetime == 7200 for ticket in first.tickets)
    assert len({ticket.ticket for ticket in first.tickets} | {ticket.psk for ticket in first.tickets}) == 4
    for ticket in (*first.tickets, first.tickets[0]):
        second = server.connect(kind=kind, hello=hello13(suites=[suite]), ticket=ticket)
        assert second.resumed and not second.chain and len(second.tickets) == 1
    third = server.connect(kind=kind, hello=hello13(suites=[suite]), ticket=second.tickets[0])
    assert third.resumed


def test_with_a_retry(server: Server) -> None:
    """The second binder covers the HelloRetryRequest."""
    ticket = server.connect().tickets[0]
    client = server.connect(ticket=ticket, options=("-e", "secp256r1"))
    assert client.retry is not None and client.resumed and client.group == Group.SECP256R1


def test_new_keys_in_front(server: Server) -> None:
    """The old key still opens; once it is gone, its tickets mean a full handshake."""
    ticket = server.connect().tickets[0]
    server.keys.write_bytes(os.urandom(48) + server.keys.read_bytes())
    client = server.connect(ticket=ticket)
    assert client.resumed and client.tickets[0].ticket[:16] == server.keys.read_bytes()[:16]
    server.keys.write_bytes(server.keys.read_bytes()[:48])
    assert not server.connect(ticket=ticket).resumed


@pytest.mark.parametrize("what", ["name", "no name", "certificate", "hash", "garbled", "short", "old", "young", "keys"])
def test_not_for_this(server: Server, what: str) -> None:
    """What the ticket is not good for gets a full handshake."""
    first = server.connect(hello=hello13(suites=[AES128]))
    ticket = first.tickets[0]
    hello, kind = hello13(suites=[AES128]), "p256"
    whole = ticket.ticket
    if what == "name":
        hello = hello.ext(Ext.SERVER_NAME, server_name(b"test.example"))
    elif what == "no name":
        hello = hello.without(Ext.SERVER_NAME)
    elif what == "certificate":
        kind = "rsa2048"
    elif what == "hash":
        hello = hello13(suites=[AES256])
    elif what == "garbled":
        whole = whole[:-1] + bytes([whole[-1] ^ 1])
    elif what == "short":
        whole = whole[:-1]
    elif what in ("old", "young"):
        more = 120_000 if what == "old" else -120_000
        ticket = Ticket(ticket.lifetime, (ticket.age_add + more) & 0xFFFFFFFF, b"", whole, ticket.psk, ticket.suite)
    else:
        server.keys.write_bytes(os.urandom(48))
    ticket = Ticket(ticket.lifetime, ticket.age_add, b"", whole, ticket.psk, ticket.suite)
    client = server.connect(hello=hello, kind=kind, ticket=ticket)
    assert not client.resumed and client.chain


def test_the_name_in_another_case(server: Server) -> None:
    ticket = server.connect().tickets[0]
    assert server.connect(hello=hello13().ext(Ext.SERVER_NAME, server_name(b"LocalHost")), ticket=ticket).resumed


@pytest.mark.parametrize(
    "tamper", [lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: bytes(len(b)), lambda b: b + b"\0"]
)
def test_bad_binder(server: Server, tamper: object) -> None:
    """decrypt_error, and no prog."""
    ticket = server.connect().tickets[0]
    words = ["-v", "--ticket-keys", str(server.keys), "-f", str(server.certs.server("p256"))]
    with Wrapped(words, ["sh", "-c", "echo PROG RAN >&2"], program=server.ours) as wrapped:
        client = Client13(wrapped.client)
        hello = client.shared_hello(hello13(), [Group.X25519])
        client.send_hello(client.bound_hello(hello, ticket, tamper=tamper))  # type: ignore[arg-type]
        with pytest.raises(Refused) as refused:
            client.read_hello()
        assert refused.value.alert.description == Alert.DECRYPT_ERROR
        assert client.drain() == "eof"
        assert wrapped.wait() == 111 and "PROG RAN" not in wrapped.stderr


def test_the_second_identity(server: Server) -> None:
    """An unknown ticket first, ours behind it: ours is taken, or a full handshake made, but nothing breaks."""
    with Wrapped(["-v", "--ticket-keys", str(server.keys), "-f", str(server.certs.server("p256"))], ["cat"],
                 program=server.ours) as wrapped:  # fmt: skip
        client = Client13(wrapped.client)
        hello = client.shared_hello(hello13(), [Group.X25519])
        identities = vec(2, vec(2, bytes(100)) + bytes(4) + vec(2, b"x") + bytes(4))
        client.send_hello(hello.more(PRE_SHARED_KEY, identities + vec(2, 2 * vec(1, bytes(32)))))
        client.read_hello()
        client.read_flight()
        client.send_finished()
        client.echo(b"x")
        assert not client.resumed


def test_no_tickets(server: Server, ours: Program, certs: Certs) -> None:
    """For a client that has psk_ke alone or names no mode, with -a, with -M tls12, and without the option."""
    assert server.connect(hello=hello13().ext(Ext.PSK_KEY_EXCHANGE_MODES, b"\1\0")).tickets == []
    assert server.connect(hello=hello13().without(Ext.PSK_KEY_EXCHANGE_MODES)).tickets == []
    with Wrapped(["-f", str(certs.server("p256"))], ["cat"], program=ours) as wrapped:
        client = Client13(wrapped.client)
        client.handshake()
        client.echo(b"x")
        assert client.tickets == []


@pytest.mark.parametrize("size", [0, 47, 49, 240])
def test_a_bad_file(server: Server, size: int) -> None:
    """A warning, and a full handshake without tickets."""
    server.keys.write_bytes(bytes([1]) * size)
    words = ["-v", "--ticket-keys", str(server.keys), "-f", str(server.certs.server("p256"))]
    with Wrapped(words, ["cat"], program=server.ours) as wrapped:
        client = Client13(wrapped.client)
        client.handshake()
        client.echo(b"x")
        assert client.tickets == []
        assert client.close() == "eof"
        assert wrapped.wait() == 0
        assert wrapped.texts("warning") == [f"unable to read ticket keys '{server.keys}'"]


def test_the_listener(certs: Certs) -> None:
    """bearwrap serve makes keys of its own, which all its workers share, and counts; a ticket of another is none."""

    def connect(serving: Serving, ticket: Ticket | None = None) -> Client13:
        with serving.connect() as sock:
            sock.settimeout(LIMIT_S)
            client = Client13(sock)
            client.handshake(ticket=ticket)
            client.echo(b"x")
            client.close()
        return client

    with Serving(["-f", str(certs.server("p256"))], ["cat"]) as one:
        ticket = connect(one).tickets[0]
        assert connect(one, ticket).resumed
        found = one.wait_counter("bearwrap_served_total", 2)
        assert (found["bearwrap_resumed_total"], found['bearwrap_version_total{version="TLSv1.3"}']) == (1, 2)
    with Serving(["-f", str(certs.server("p256"))], ["cat"]) as other:
        assert not connect(other, ticket).resumed


def test_keys_are_turned() -> None:
    """A listener's key opens until three more have come; each has a name of its own."""
    for turns in range(1, 10):
        made = _bear.tickets_turned(turns)
        assert len({name for name, _ in made}) == turns
        assert [opens for _, opens in made] == [turns - i <= 4 for i in range(turns)]


def test_the_listener_turns_its_keys(certs: Certs) -> None:
    """Another key makes the tickets after a while, and in the end the first opens none: here every 20 ms."""
    hooked()
    options = ["-f", str(certs.server("p256"))]
    env = {"BEARWRAP_TEST_ROTATE_MS": "20"}
    with Serving(options, ["cat"], env=env, program=ROOT / "build" / "hooks" / "bin" / "bearwrap") as serving:

        def connect(ticket: Ticket | None = None) -> Client13:
            client = Client13(serving.connect())
            client.handshake(None, (Group.X25519,), ticket)
            client.echo(b"through")
            assert client.close() == "eof"
            return client

        first = connect().tickets[0]
        deadline = Deadline()
        while connect().tickets[0].ticket[:16] == first.ticket[:16]:
            assert not deadline.over()
        while connect(first).resumed:
            assert not deadline.over()
