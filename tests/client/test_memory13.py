"""No secret of TLS 1.3 in the wrong process of a client, and each gone when its time is over (RFC 8446 section 7.1).

As in test_memory.py a search counts only if it finds what must be there at that moment.
"""

from __future__ import annotations

import os

import pytest

from tests.companions.tcp import in_thread
from tests.harness import needs_root
from tests.isolation import needles
from tests.isolation.connection import has_aes
from tests.isolation.frozen import Frozen, Tracer
from tests.isolation.memory import Image
from tests.unit.bearssl_cffi import Bear, load
from tests.wire.names import Group

from .material import Material
from .schedule13 import CHAPOL13, GCM128, GCM256, Protection13
from .scripted import identity
from .server13 import Server13
from .test_memory import FROM_PEER, client_key, hooked, nothing, start

pytestmark = needs_root

SHAPES = [
    # suite, group (by a HelloRetryRequest unless it is X25519), the server's certificate, the client's
    (CHAPOL13, Group.X25519, "p256", "p256"),
    (GCM256, Group.SECP384R1, "rsa2048", "rsa"),
    (GCM128, Group.SECP256R1, "p521", "rsa"),
]
shapes = pytest.mark.parametrize(("suite", "group", "certificate", "own"), SHAPES)


@pytest.fixture(scope="module")
def bear() -> Bear:
    """BearSSL bound apart, for the HMAC states that stand for a secret."""
    return load()


def hellos(server: Server13, group: int) -> None:
    server.read_hello()
    if group != Group.X25519:
        server.send_retry(group)
        server.read_hello()


def secret(server: Server13, name: str, value: bytes, bear: Bear) -> needles.Needles:
    """A secret of the schedule, and what HKDF's HMAC leaves of it."""
    return needles.pieces(name, value) | needles.hmac_key(name, value, (server.suite13.prf,), bear)


def shared(server: Server13) -> needles.Needles:
    found: needles.Needles = {}
    for order in ("big", "little"):
        value = int.from_bytes(server.secrets.shared, order)  # type: ignore[arg-type]
        found |= needles.number(f"shared {order}", value, len(server.secrets.shared))
    return found


def of_handshake(server: Server13, bear: Bear) -> needles.Needles:
    """The secrets whose time ends with Finished, and what was made of them."""
    s, found = server.secrets, shared(server)
    for name in ("handshake", "client_handshake", "server_handshake", "master"):
        found |= secret(server, name, getattr(s, name), bear)
    for name in ("client_handshake", "server_handshake"):
        side = Protection13(server.suite13, getattr(s, name))
        found |= needles.pieces(f"{name} key", side.key) | {f"{name} iv": side.iv}
    return found


def of_application(server: Server13, bear: Bear) -> needles.Needles:
    """What may be in key while data flows, and nowhere else."""
    found: needles.Needles = {}
    for name in ("client_application", "server_application"):
        value = getattr(server.secrets, name)
        side = Protection13(server.suite13, value)
        found |= secret(server, name, value, bear)
        found |= needles.pieces(f"{name} key", side.key) | {f"{name} iv": side.iv}
    return found


def finish(server: Server13) -> None:
    server.send_extensions()
    server.send_request()
    server.send_certificate()
    server.send_verify()
    server.send_finished()
    server.read_flight()


@shapes
def test_during_a_transfer(
    material: Material, bear: Bear, suite: int, group: int, certificate: str, own: str
) -> None:
    """Key holds the application secrets and keys; every other secret is nowhere; net and the ring hold no plaintext."""
    if suite != CHAPOL13 and not has_aes():
        pytest.skip("without AES instructions BearSSL keeps AES keys bit-sliced, so they cannot be searched for")
    with start(material, own) as run:
        server = Server13(run.peer, identity(material.path(certificate).read_text()), suite=suite)
        hellos(server, group)
        server.send_hello()
        finish(server)
        assert len(server.client_chain) == 1
        sent = os.urandom(32)
        sending = in_thread(lambda: server.send_data(sent * (FROM_PEER // 32)))
        assert server.read_data(16384) == sent * 512
        found = run.processes()
        assert found.key is not None and found.prog is not None
        with Frozen(found.net, found.key, found.prog):
            net, key, prog = Image(found.net), Image(found.key), Image(found.prog)
        live, gone = of_application(server, bear), client_key(material, own) | of_handshake(server, bear)
        plaintext = {"the peer's plaintext": sent}
        held = key.find(live)
        for name in ("client_application[0:]", "server_application[0:]", "client_application key[0:]"):
            assert name in held, "the search is broken"
        assert "server_application iv" in held, "the search is broken"
        assert "the peer's plaintext" in key.find(plaintext), "the search is broken"
        nothing(net, live | gone | plaintext, "net")
        nothing(prog, live | gone, "prog")
        nothing(key, gone, "key")
        assert server.read_data(FROM_PEER - 16384) == sent * ((FROM_PEER - 16384) // 32)
        sending()


def stopped(material: Material, own: str, at: str, suite: int, group: int, certificate: str):  # type: ignore[no-untyped-def]
    """A client whose key stops at a place, its server behind the hellos, and the watch over it."""
    run = start(material, own, executable=hooked(), env={"BEARWRAP_TEST_STOP": at})
    server = Server13(run.peer, identity(material.path(certificate).read_text()), suite=suite)
    hellos(server, group)
    found = run.processes()
    assert found.key is not None and found.prog is not None
    return run, server, found, Tracer(found.key)


@shapes
def test_handshake_secrets(material: Material, bear: Bear, suite: int, group: int, certificate: str, own: str) -> None:
    """They are in key when it has the ServerHello, in no other process, and gone when the handshake is over."""
    run, server, found, watch = stopped(material, own, "agree13", suite, group, certificate)
    with run:
        server.send_hello()
        watch.wait_stop()
        net, key, prog = Image(found.net), Image(found.key), Image(found.prog)
        watch.go_on()
        finish(server)
        server.send_data(b"x" * 100)
        assert server.read_data(100) == b"x" * 100
        secrets = of_handshake(server, bear)
        held = key.find(secrets)
        assert {"handshake[0:]", "client_handshake[0:]", "server_handshake[0:]"} <= held.keys(), f"only {list(held)}"
        assert any(name.startswith("shared") for name in held), f"only {list(held)}"
        nothing(net, secrets, "net")
        nothing(prog, secrets, "prog")
        with Frozen(found.key):
            nothing(Image(found.key), secrets, "key")


@shapes
def test_master_secret(material: Material, bear: Bear, suite: int, group: int, certificate: str, own: str) -> None:
    """It is in key when the server's Finished was good, and gone with our own."""
    run, server, found, watch = stopped(material, own, "finish13", suite, group, certificate)
    with run:
        server.send_hello()
        server.send_extensions()
        server.send_request()
        server.send_certificate()
        server.send_verify()
        server.send_finished()
        watch.wait_stop()
        net, key = Image(found.net), Image(found.key)
        watch.go_on()
        server.read_flight()
        server.send_data(b"x" * 100)
        assert server.read_data(100) == b"x" * 100
        master = secret(server, "master", server.secrets.master, bear)
        assert "master[0:]" in key.find(master)
        nothing(net, master | of_application(server, bear), "net")
        nothing(key, client_key(material, own), "key")
        with Frozen(found.key):
            nothing(Image(found.key), master, "key")


@shapes
def test_private_key_is_wiped_after_signing(
    material: Material, bear: Bear, suite: int, group: int, certificate: str, own: str
) -> None:
    secret_ = client_key(material, own)
    run, server, found, watch = stopped(material, own, "sign", suite, group, certificate)
    with run:
        server.send_hello()
        server.send_extensions()
        server.send_request()
        server.send_certificate()
        server.send_verify()
        server.send_finished()
        watch.wait_stop()
        held = Image(found.key).find(secret_)
        parts = ("p", "q", "dp", "dq", "qinv") if own == "rsa" else ("d",)
        # not the first piece, where a number may begin with a zero that is not kept
        assert {f"{part} big-endian[16:]" for part in parts} <= held.keys(), f"only {list(held)}"
        nothing(Image(found.net), secret_, "net")
        watch.go_on()
        server.read_flight()
        server.send_data(b"x" * 100)
        assert server.read_data(100) == b"x" * 100
        with Frozen(found.key):
            nothing(Image(found.key), secret_, "key")


@shapes
def test_old_generations_are_gone(
    material: Material, bear: Bear, suite: int, group: int, certificate: str, own: str
) -> None:
    """After a KeyUpdate both ways nothing of the keys before it is left in key."""
    if suite != CHAPOL13 and not has_aes():
        pytest.skip("without AES instructions BearSSL keeps AES keys bit-sliced, so they cannot be searched for")
    with start(material, own) as run:
        server = Server13(run.peer, identity(material.path(certificate).read_text()), suite=suite)
        hellos(server, group)
        server.send_hello()
        finish(server)
        old = of_application(server, bear)
        server.send_update(1)
        server.send_data(b"hello")
        server.read_update()
        assert server.read_data(5) == b"hello"
        key = run.processes().key
        assert key is not None
        with Frozen(key):
            image = Image(key)
        assert server.writer13 is not None
        assert image.find(needles.pieces("new", server.writer13.secret)), "the search is broken"
        nothing(image, old, "key")
