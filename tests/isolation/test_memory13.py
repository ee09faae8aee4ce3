"""Key isolation in TLS 1.3: every secret of its schedule, tickets and ticket keys, looked for in all three processes.

As in test_memory.py what must be gone is first found where it was, in the program with test hooks: "sign" stops key
before the private key goes, "derive" when the handshake's secrets are made, "finished" when all are wiped.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import Deadline, Wrapped, needs_root
from tests.procs import children
from tests.serve.listening import Serving
from tests.unit.bearssl_cffi import Bear, load
from tests.wire.names import GROUP_OPTIONS, Group
from tests.wire13.client import Client13, Ticket, hello13
from tests.wire13.crypto import AES128, AES256, CHACHA, KEYS, expand, extract

from . import needles
from .connection import OURS, has_aes, hooked, ready
from .frozen import Frozen, Tracer
from .memory import Image
from .test_memory import FROM_CLIENT, nothing

pytestmark = needs_root
SHAPES = [
    ("p256", CHACHA, Group.X25519),
    ("rsa2048", AES128, Group.SECP256R1),
    ("p384", AES256, Group.SECP384R1),
    ("p521", CHACHA, Group.SECP521R1),
]
shapes = pytest.mark.parametrize(("kind", "suite", "group"), SHAPES)


@pytest.fixture(scope="module")
def bear() -> Bear:
    """BearSSL bound apart, for the HMAC states that stand for a key."""
    return load()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A file of two ticket keys."""
    path = tmp_path / "keys"
    path.write_bytes(os.urandom(96))
    return path


def options(certs: Certs, kind: str, group: int, keys: Path) -> list[str]:
    return ["-vv", "-e", GROUP_OPTIONS[Group(group)], "--ticket-keys", str(keys), "-f", str(certs.server(kind))]


def ticket_keys(keys: Path) -> needles.Needles:
    """The keys without their names, which stand in every ticket."""
    data = keys.read_bytes()
    return needles.pieces("ticket key", data[16:48]) | needles.pieces("second ticket key", data[64:96])


def handshake_secrets(client: Client13, bear: Bear) -> needles.Needles:
    """What is wiped by the end of the handshake: secrets, their HMAC states, Finished keys, the PSKs of tickets."""
    s = client.schedule
    shared = client.shares[client.group].shared(client.point)
    named = {"handshake": s.secret, "client hs": s.client_handshake, "server hs": s.server_handshake}
    if hasattr(s, "master"):
        named["master"] = s.master
    if hasattr(s, "resumption_master"):
        named["resumption"] = s.resumption_master
    if client.ticket:
        named["early"] = s.early
    found = needles.pieces("shared", shared)
    for name, secret in named.items():
        found |= needles.pieces(name, secret) | needles.hmac_key(name, secret, (s.name,), bear)
    for name in ("client hs", "server hs"):
        found |= needles.pieces(f"{name} finished", expand(s.name, named[name], "finished", b"", s.size))
    for ticket in client.tickets:
        found |= needles.pieces(f"PSK {ticket.nonce.hex()}", ticket.psk)
    return found


def application_secrets(client: Client13) -> needles.Needles:
    """What key alone has while data flows."""
    s = client.schedule
    found: needles.Needles = {}
    for name, secret in (("client ap", s.client_application), ("server ap", s.server_application)):
        found |= needles.pieces(name, secret)
        found |= needles.pieces(f"{name} key", expand(s.name, secret, "key", b"", KEYS[client.suite]))
        found[f"{name} iv"] = expand(s.name, secret, "iv", b"", 12)
    return found


@shapes
def test_during_a_transfer(kind: str, suite: int, group: int, certs: Certs, bear: Bear, keys: Path) -> None:
    """Only key holds application secrets; all others are nowhere; net and the ring hold no plaintext."""
    if suite != CHACHA and not has_aes():
        pytest.skip("without AES instructions BearSSL keeps AES keys bit-sliced, so they cannot be searched for")
    said = os.urandom(32)
    with Wrapped(options(certs, kind, group, keys), ["cat"], program=OURS) as wrapped:
        client = Client13(wrapped.client)
        client.handshake(hello13((group,), [suite]), (group,))
        client.send_data(said * (FROM_CLIENT // 32))
        assert client.read_data(16384) == said * 512
        found = wrapped.processes()
        assert found.key is not None and found.prog is not None
        with Frozen(found.net, found.key, found.prog):
            net, key, prog = Image(found.net), Image(found.key), Image(found.prog)
        assert len(client.tickets) == 2
        gone = handshake_secrets(client, bear) | ticket_keys(keys)
        gone |= needles.private_key(certs.key(kind)) | needles.key_text(certs.parts(kind)[0])
        lasting = application_secrets(client)
        held = key.find(lasting)
        assert {"client ap[0:]", "server ap[0:]", "client ap key[0:]"} <= held.keys(), "the search is broken"
        assert key.find({"plaintext": said}), "the search is broken"
        nothing(net, lasting | gone | {"plaintext": said}, "net")
        nothing(prog, lasting | gone, "prog")
        nothing(key, gone, "key")


@shapes
def test_handshake_secrets_are_wiped(
    kind: str, suite: int, group: int, certs: Certs, bear: Bear, keys: Path
) -> None:
    """They are in key when it has derived them, nowhere else, and gone when the handshake is done."""
    environment = {"BEARWRAP_TEST_STOP": "derive"}
    words = options(certs, kind, group, keys)
    with Wrapped(words, ["cat"], program=hooked(), extra_env=environment) as wrapped:
        net, key, prog = ready(wrapped)
        watch = Tracer(key)
        client = Client13(wrapped.client)
        client.send_hello(client.shared_hello(hello13((group,), [suite]), [group]))
        watch.wait_stop()
        held = Image(key)
        images = {"net": Image(net), "prog": Image(prog)}
        watch.go_on()
        client.read_hello()
        secret = handshake_secrets(client, bear)
        found = held.find(secret | ticket_keys(keys))
        for name in ("handshake[0:]", "client hs[0:]", "server hs[0:]", "ticket key[0:]"):
            assert name in found, f"{name} is not among {list(found)}"
        for who, image in images.items():
            nothing(image, secret | ticket_keys(keys), who)
        client.read_flight()
        client.send_finished()
        client.echo(b"x" * 100)
        with Frozen(key):
            nothing(Image(key), handshake_secrets(client, bear) | ticket_keys(keys), "key")


@pytest.mark.parametrize("kind", ["p256", "rsa2048", "p384"])
def test_private_key_is_wiped_after_signing(kind: str, certs: Certs, keys: Path) -> None:
    """It is in key, and nowhere else, until it has signed; then it is gone from there too."""
    secret = needles.private_key(certs.key(kind)) | needles.key_text(certs.parts(kind)[0])
    environment = {"BEARWRAP_TEST_STOP": "sign"}
    words = options(certs, kind, Group.X25519, keys)
    with Wrapped(words, ["cat"], program=hooked(), extra_env=environment) as wrapped:
        net, key, prog = ready(wrapped)
        watch = Tracer(key)
        client = Client13(wrapped.client)
        client.send_hello(client.shared_hello(hello13(), [Group.X25519]))
        watch.wait_stop()
        held = Image(key).find(secret)
        assert any("big-endian" in name for name in held), "the search is broken"
        assert not any(name.startswith("PEM") for name in held), f"the file's text: {needles.names(held)}"
        nothing(Image(net), secret, "net")
        nothing(Image(prog), secret, "prog")
        watch.go_on()
        client.read_hello()
        client.read_flight()
        client.send_finished()
        client.echo(b"x" * 100)
        with Frozen(key):
            nothing(Image(key), secret, "key")


def test_resumption_secrets_are_wiped(certs: Certs, bear: Bear, keys: Path) -> None:
    """The PSK of a ticket, the early secret and its binder key are gone after a resumed handshake, and never in net."""
    words = options(certs, "p256", Group.X25519, keys)

    def connect(ticket: Ticket | None) -> Client13:
        with Wrapped(words, ["cat"], program=OURS) as wrapped:
            client = Client13(wrapped.client)
            client.handshake(ticket=ticket)
            client.echo(b"x" * 100)
            if ticket:
                assert client.resumed
                found = wrapped.processes()
                assert found.key is not None and found.prog is not None
                with Frozen(found.net, found.key, found.prog):
                    images = {"net": Image(found.net), "key": Image(found.key), "prog": Image(found.prog)}
                secret = handshake_secrets(client, bear) | needles.pieces("PSK", ticket.psk) | ticket_keys(keys)
                binder = client.schedule.derive(extract(client.schedule.name, b"", ticket.psk), "res binder", b"")
                for who, image in images.items():
                    nothing(image, secret | needles.pieces("binder key", binder), who)
        return client

    connect(connect(None).tickets[0])


def test_the_listeners_keys_are_not_mapped(certs: Certs) -> None:
    """net and prog of a worker do not map the page of ticket keys, nor does key once its handshake is done."""
    with Serving(["-f", str(certs.server("p256"))], ["cat"], options=["--workers", "1"]) as serving:
        page = [line for line in maps(serving.pid) if is_page(line)]
        assert len(page) == 1, page
        with serving.connect() as sock:
            sock.settimeout(10)
            client = Client13(sock)
            client.handshake()
            client.echo(b"x")
            assert len(client.tickets) == 2
            inode = page[0].split()[4]
            (worker,) = [pid for pid in children(serving.pid) if os.readlink(f"/proc/{pid}/root") != "/"]
            served = [worker, *children(worker)]
            assert len(served) == 3
            assert not [pid for pid in served if maps_page(pid, inode)]
            # of the next worker, once it waits, key has it
            deadline = Deadline()
            (following,) = set(serving.wait_idle(1, served=1)) - {worker}
            while [maps_page(pid, inode) for pid in (following, *sorted(children(following)))] != [False, False, True]:
                assert not deadline.over()


def maps_page(pid: int, inode: str) -> bool:
    return any(is_page(line) and line.split()[4] == inode for line in maps(pid))


def maps(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/maps").read_text().splitlines()


def is_page(line: str) -> bool:
    """A shared anonymous mapping of one page."""
    span, flags, *_ = line.split()
    start, end = (int(part, 16) for part in span.split("-"))
    return flags[3] == "s" and end - start == 4096
