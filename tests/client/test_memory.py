"""No secret in the wrong process of a client: memory read as root through /proc/PID/mem and searched.

As on the server's side a search counts only if it finds what must be there: traffic keys in key, the private key and
the master secret in key before they are wiped (the program with test hooks stops it there).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.companions.tcp import in_thread
from tests.harness import ROOT, missing_peer, needs_root
from tests.isolation import needles
from tests.isolation.connection import has_aes
from tests.isolation.frozen import Frozen, Tracer
from tests.isolation.memory import Image
from tests.unit.bearssl_cffi import Bear, load
from tests.wire.names import TLS10, TLS12, Group

from .material import Material
from .scripted import identity
from .server import CBC, CHAPOL, GCM, RSA_GCM, Server
from .tlsc import Tlsc

pytestmark = needs_root

CAT = ["sh", "-c", "cat <&6 >&7 & wait"]
FROM_PEER = 524288  # bytes the peer sends, most of them still under way when memory is read
SHAPES = [
    # version, suite, group, the server's certificate, the client's
    (TLS12, CHAPOL, Group.X25519, "p256", "p256"),
    (TLS12, GCM, Group.SECP256R1, "p384", "rsa"),
    (TLS12, RSA_GCM, Group.SECP384R1, "rsa2048", "p256"),
    (TLS12, 0x009C, Group.X25519, "rsa2048", "rsa"),
    (TLS10, CBC, Group.SECP521R1, "p256", "p256"),
    (TLS10, 0x002F, Group.X25519, "rsa2048", "rsa"),
]
shapes = pytest.mark.parametrize(("version", "suite", "group", "certificate", "own"), SHAPES)


@pytest.fixture(scope="module")
def bear() -> Bear:
    """BearSSL bound apart, for the HMAC states that stand for a key."""
    return load()


def hooked() -> Path:
    """The program with the test hooks compiled in."""
    path = ROOT / "build" / "hooks" / "bin" / "s6-tlsc"
    if not path.exists():
        missing_peer("build/hooks/bin/s6-tlsc", "it was not built")
    return path


def start(material: Material, own: str, **more: object) -> Tlsc:
    env = {
        "CAFILE": material.path("ca"),
        "CERTFILE": material.path(f"cert_{own}"),
        "KEYFILE": material.path(f"key_{own}"),
        **more.pop("env", {}),  # type: ignore[arg-type]
    }
    return Tlsc(["-y", "-k", "localhost"], CAT, env=env, **more)  # type: ignore[arg-type]


def client_key(material: Material, own: str) -> needles.Needles:
    """The client's private key, as a number and as the text of its file, but for what the certificate says too."""
    key = material.certs.key("p256" if own == "p256" else "rsa2048", 500)
    public = material.path(f"cert_{own}").read_bytes()
    text = needles.key_text(material.path(f"key_{own}").read_text())
    secret = {name: needle for name, needle in text.items() if needle not in public}
    assert secret
    return needles.private_key(key) | secret


def session(server: Server, bear: Bear) -> needles.Needles:
    """Pre-master and master secret."""
    size = len(server.premaster)
    found: needles.Needles = {}
    for order in ("big", "little"):
        value = int.from_bytes(server.premaster, order)  # type: ignore[arg-type]
        found |= needles.number(f"premaster {order}", value, size)
    hashes = (server.suite.prf,) if server.version >= TLS12 else ("md5", "sha1")
    found |= needles.hmac_key("premaster", server.premaster, hashes, bear)
    return found | needles.pieces("master", server.master) | needles.hmac_key("master", server.master, hashes, bear)


def nothing(image: Image, wanted: needles.Needles, who: str) -> None:
    found = image.find(wanted)
    assert not found, f"{who} holds {needles.names(found)}"


@shapes
def test_during_a_transfer(
    material: Material, bear: Bear, version: int, suite: int, group: int, certificate: str, own: str
) -> None:
    """Only key holds traffic keys; the other secrets are nowhere; net and the ring hold no plaintext."""
    if suite != CHAPOL and not has_aes():
        pytest.skip("without AES instructions BearSSL keeps AES keys bit-sliced, so they cannot be searched for")
    shown = identity(material.path(certificate).read_text())
    with start(material, own) as run:
        server = Server(run.peer, shown, version=version, suite=suite, group=group)
        server.handshake(request=True)
        assert len(server.client_chain) == 1
        sent = os.urandom(32)
        sending = in_thread(lambda: server.send_data(sent * (FROM_PEER // 32)))
        assert server.read_data(16384) == sent * 512
        found = run.processes()
        assert found.key is not None and found.prog is not None
        with Frozen(found.net, found.key, found.prog):
            net, key, prog = Image(found.net), Image(found.key), Image(found.prog)
        traffic = needles.traffic(server) | needles.traffic_more(server, bear)  # type: ignore[arg-type]
        gone = client_key(material, own) | session(server, bear)
        plaintext = {"the peer's plaintext": sent}
        live = needles.traffic(server)  # type: ignore[arg-type]
        assert {"client_key[0:]", "server_key[0:]"} <= key.find(live).keys(), "the search is broken"
        assert "the peer's plaintext" in key.find(plaintext), "the search is broken"
        nothing(net, traffic | gone | plaintext, "net")
        nothing(prog, traffic | gone, "prog")
        nothing(key, gone, "key")
        assert server.read_data(FROM_PEER - 16384) == sent * ((FROM_PEER - 16384) // 32)
        sending()


@shapes
def test_private_key_is_wiped_after_signing(
    material: Material, bear: Bear, version: int, suite: int, group: int, certificate: str, own: str
) -> None:
    """It is in key, and nowhere else, until it has signed; then it is gone from there too."""
    secret = client_key(material, own)
    shown = identity(material.path(certificate).read_text())
    with start(material, own, executable=hooked(), env={"BEARWRAP_TEST_STOP": "sign"}) as run:
        server = Server(run.peer, shown, version=version, suite=suite, group=group)
        server.read_hello()
        found = run.processes()
        assert found.key is not None and found.prog is not None
        watch = Tracer(found.key)
        server.send_flight(request=True)
        watch.wait_stop()
        held = Image(found.key).find(secret)
        parts = ("p", "q", "dp", "dq", "qinv") if own == "rsa" else ("d",)
        # not the first piece, where a number may begin with a zero that is not kept
        assert {f"{part} big-endian[16:]" for part in parts} <= held.keys(), f"only {list(held)}"
        assert not any(name.startswith("PEM") for name in held), f"the file's text: {needles.names(held)}"
        nothing(Image(found.net), secret, "net")
        nothing(Image(found.prog), secret, "prog")
        watch.go_on()
        finish(server)
        with Frozen(found.key):
            nothing(Image(found.key), secret, "key")


def finish(server: Server) -> None:
    """The rest of the handshake, and some data through prog."""
    server.read_flight()
    server.read_finished()
    server.send_ccs()
    server.send_finished()
    server.send_data(b"x" * 100)
    assert server.read_data(100) == b"x" * 100


@shapes
def test_session_secrets_are_wiped(
    material: Material, bear: Bear, version: int, suite: int, group: int, certificate: str, own: str
) -> None:
    """Pre-master and master secret are in key when it derives, in no other process, and gone with Finished."""
    shown = identity(material.path(certificate).read_text())
    with start(material, own, executable=hooked(), env={"BEARWRAP_TEST_STOP": "derive"}) as run:
        server = Server(run.peer, shown, version=version, suite=suite, group=group)
        server.read_hello()
        found = run.processes()
        assert found.key is not None and found.prog is not None
        watch = Tracer(found.key)
        server.send_flight(request=True)
        watch.wait_stop()
        net, key, prog = Image(found.net), Image(found.key), Image(found.prog)
        watch.go_on()
        finish(server)
        secret = session(server, bear)
        held = key.find(secret)
        assert {"master[0:]", "master[32:]"} <= held.keys(), f"only {list(held)}"
        assert any(name.startswith("premaster") for name in held), f"only {list(held)}"
        nothing(net, secret, "net")
        nothing(prog, secret, "prog")
        with Frozen(found.key):
            nothing(Image(found.key), secret, "key")


def test_a_private_key_among_the_anchors(material: Material, tmp_path: Path) -> None:
    """A DER file that is no certificate leaves nothing of itself behind, when it happens to lie in CADIR."""
    (tmp_path / "ca.pem").write_bytes(material.path("ca").read_bytes())
    (tmp_path / "key.der").write_bytes(material.path("key_rsa_der").read_bytes())
    secret = needles.private_key(material.certs.key("rsa2048", 500))
    with Tlsc(["-k", "localhost"], env={"CADIR": tmp_path}) as run:
        Server(run.peer, identity(material.path("p256").read_text())).read_hello()
        key = run.processes().key
        assert key is not None
        with Frozen(key):
            found = Image(key).find(secret)
    assert not found, f"key holds {needles.names(found)}"
