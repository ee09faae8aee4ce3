"""Key isolation, seen from outside: what each process has in its memory, read as root through /proc/PID/mem.

A search that finds nothing shows something only if it would have found it. So traffic keys are first found in key,
plaintext in key and prog, ciphertext in the ring; and each secret that must be gone is found in key before, where
the program with test hooks stops it just before it wipes ("sign": the private key, "derive": the rest).
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import Wrapped, needs_root
from tests.unit.bearssl_cffi import CURVES, Bear, load
from tests.wire.client import Client
from tests.wire.names import GROUP_OPTIONS, TLS10, TLS11, TLS12, Group

from . import needles
from .connection import OURS, Shape, has_aes, hooked, ready
from .frozen import Frozen, Tracer
from .memory import Image

pytestmark = needs_root

SHAPES = [
    Shape("p256", "CHACHA20_POLY1305_SHA256"),
    Shape("rsa2048", "CHACHA20_POLY1305_SHA256", TLS12, Group.SECP256R1),
    Shape("p384", "AES_256_GCM_SHA384", TLS12, Group.SECP384R1),
    Shape("rsa4096", "AES_256_GCM_SHA384"),
    Shape("p256", "AES_128_GCM_SHA256", TLS12, Group.SECP256R1),
    Shape("rsa2048", "AES_128_GCM_SHA256"),
    Shape("p521", "AES_256_CBC_SHA384", TLS12, Group.SECP521R1),
    Shape("rsa3072", "AES_128_CBC_SHA256"),
    Shape("p256", "AES_256_CBC_SHA", TLS11),
    Shape("rsa2048", "AES_128_CBC_SHA", TLS10, Group.SECP521R1),
]
FROM_PROG = 65536  # bytes prog says first
FROM_CLIENT = 524288  # bytes the client then sends, most of them still under way when memory is read
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


@pytest.fixture(scope="module")
def bear() -> Bear:
    """BearSSL bound apart, for the HMAC states that stand for a key."""
    return load()


def secrets_of(shape: Shape, certs: Certs) -> needles.Needles:
    """The private key as a number and as the text of its file."""
    return needles.private_key(certs.key(shape.kind)) | needles.key_text(certs.parts(shape.kind)[0])


def nothing(image: Image, wanted: needles.Needles, who: str) -> None:
    """Fail when any of it is there."""
    found = image.find(wanted)
    assert not found, f"{who} holds {needles.names(found)}"


def skip_without_aes(shape: Shape) -> None:
    if shape.cipher.startswith("AES") and not has_aes():
        pytest.skip("without AES instructions BearSSL keeps AES keys bit-sliced, so they cannot be searched for")


@shapes
def test_during_a_transfer(shape: Shape, certs: Certs, bear: Bear, tmp_path: Path) -> None:
    """Only key holds traffic keys; the other secrets are nowhere; net and the ring hold no plaintext."""
    skip_without_aes(shape)
    said, sent = os.urandom(32), os.urandom(32)
    text = tmp_path / "text"
    text.write_bytes(said * (FROM_PROG // 32))
    prog = ["sh", "-c", 'cat "$0"; exec cat', str(text)]
    with Wrapped(shape.options(certs), prog, program=OURS) as wrapped:
        client = Client(wrapped.client)
        client.handshake(shape.hello())
        assert client.read_data(FROM_PROG) == text.read_bytes()
        client.send_data(sent * (FROM_CLIENT // 32))
        assert client.read_data(16384) == sent * 512
        found = wrapped.processes()
        assert found.key is not None and found.prog is not None
        with Frozen(found.net, found.key, found.prog):
            net, key, prog_image = Image(found.net), Image(found.key), Image(found.prog)
        plaintext = {"prog's plaintext": said, "the client's plaintext": sent}
        long_lived = needles.traffic(client) | needles.traffic_more(client, bear)
        gone = secrets_of(shape, certs) | needles.premaster(client, bear) | needles.master(client, bear)

        assert {"client_key[0:]", "server_key[0:]"} <= key.find(needles.traffic(client)).keys(), "the search is broken"
        assert "the client's plaintext" in key.find(plaintext), "the search is broken"
        assert "the client's plaintext" in prog_image.find(plaintext), "the search is broken"
        records = [frame.raw[-64:] for frame in client.seen]
        assert any(record in net.shared() for record in records), "the ring is not where the search looks for it"
        assert any(record in key.shared() for record in records)

        nothing(net, long_lived | gone | plaintext, "net")
        nothing(prog_image, long_lived | gone, "prog")
        nothing(key, gone, "key")


@shapes
def test_private_key_is_wiped_after_signing(shape: Shape, certs: Certs) -> None:
    """It is in key, and nowhere else, until it has signed; then it is gone from there too."""
    secret = secrets_of(shape, certs)
    environment = {"BEARWRAP_TEST_STOP": "sign"}
    with Wrapped(["-vv", *shape.options(certs)], ["cat"], program=hooked(), extra_env=environment) as wrapped:
        net, key, prog = ready(wrapped)
        watch = Tracer(key)
        client = Client(wrapped.client)
        client.send_hello(shape.hello())
        watch.wait_stop()
        held = Image(key).find(secret)
        parts = ("p", "q", "dp", "dq", "qinv") if shape.auth == "rsa" else ("d",)
        assert {f"{part} big-endian[0:]" for part in parts} <= held.keys(), f"only {list(held)}"
        assert not any(name.startswith("PEM") for name in held), f"the file's text: {needles.names(held)}"
        nothing(Image(net), secret, "net")
        nothing(Image(prog), secret, "prog")
        watch.go_on()

        client.read_flight()
        if shape.auth != "rsa":
            secret |= needles.nonce(client, certs.key(shape.kind))
        client.send_key_exchange()
        finished_and_forgotten(client, key, secret)


def finished_and_forgotten(client: Client, key: int, secret: dict[str, bytes]) -> None:
    """Complete the handshake, move some data, and find nothing of a secret in key."""
    client.send_ccs()
    client.send_finished()
    client.read_finished()
    client.echo(b"x" * 100)
    with Frozen(key):
        nothing(Image(key), secret, "key")


def ephemeral(image: Image, curve: str, point: bytes, bear: Bear) -> bytes:
    """The private scalar behind key's public point, in the order of bytes in which it lies there.

    It is searched for where a br_ec_private_key (curve, pointer, length) in key's memory points to.
    """
    size = {"x25519": 32, "secp256r1": 32, "secp384r1": 48, "secp521r1": 66}[curve]
    head = struct.pack("=i", CURVES[curve])
    for mapping, start, data in image.parts:
        at = data.find(head) if "w" in mapping.flags else -1
        while at >= 0:
            if (start + at) % 8 == 0 and len(data) >= at + 24:
                pointer, length = struct.unpack_from("=QQ", data, at + 8)
                scalar = image.read(pointer, length) if 0 < length <= size else b""
                if scalar and bear.public(curve, scalar) == point:
                    return scalar
            at = data.find(head, at + 1)
    raise AssertionError("key's ephemeral private key was not found")


@shapes
def test_session_secrets_are_wiped(shape: Shape, certs: Certs, bear: Bear) -> None:
    """Ephemeral key, pre-master and master secret are in key when it derives, nowhere else, and gone with Finished."""
    environment = {"BEARWRAP_TEST_STOP": "derive"}
    curve = GROUP_OPTIONS[Group(shape.group)]
    with Wrapped(["-vv", *shape.options(certs)], ["cat"], program=hooked(), extra_env=environment) as wrapped:
        net, key, prog = ready(wrapped)
        watch = Tracer(key)
        client = Client(wrapped.client)
        client.start(shape.hello())
        client.send_key_exchange()
        watch.wait_stop()
        image = Image(key)
        scalar = ephemeral(image, curve, client.key_exchange.point, bear)
        secret = needles.number("ephemeral", int.from_bytes(scalar, "big"), len(scalar))
        secret |= needles.premaster(client, bear) | needles.master(client, bear)
        held = image.find(secret)
        order = "little" if curve == "x25519" else "big"  # of the shared secret's bytes (RFC 7748 section 5)
        for name in ("ephemeral big-endian[0:]", f"premaster {order}-endian[0:]", "master[0:]", "master[32:]"):
            assert name in held, f"{name} is not among {list(held)}"
        nothing(image, secrets_of(shape, certs), "key, which has signed,")
        nothing(Image(net), secret, "net")
        nothing(Image(prog), secret, "prog")
        watch.go_on()

        finished_and_forgotten(client, key, secret)


def test_keys_that_were_not_chosen_are_wiped(certs: Certs, tmp_path: Path) -> None:
    """Every candidate is read; what does not serve the client is gone before the one that does has signed."""
    broken = tmp_path / "mismatch.pem"
    broken.write_text(certs.parts("p384")[0] + certs.parts("p256", number=7)[1])
    unfinished = tmp_path / "unfinished.pem"
    unfinished.write_text(certs.parts("p521")[0].rpartition("-----END")[0])
    shape = Shape("rsa2048", "CHACHA20_POLY1305_SHA256")
    others = ["-f", str(certs.server("p256")), "-f", str(broken), "-f", str(unfinished)]
    options = ["-vv", *shape.options(certs)]
    options[-2:] = [*others, *options[-2:]]
    secret: needles.Needles = {}
    for kind in ("p256", "p384", "p521"):
        for name, needle in secrets_of(Shape(kind, ""), certs).items():
            secret[f"{kind} {name}"] = needle
    environment = {"BEARWRAP_TEST_STOP": "sign"}
    with Wrapped(options, ["cat"], program=hooked(), extra_env=environment) as wrapped:
        _, key, _ = ready(wrapped)
        watch = Tracer(key)
        client = Client(wrapped.client)
        client.send_hello(shape.hello())
        watch.wait_stop()
        assert "p big-endian[0:]" in Image(key).find(secrets_of(shape, certs)), "the search is broken"
        nothing(Image(key), secret, "key")
        watch.go_on()


def test_the_clear_phase_is_wiped(certs: Certs, tmp_path: Path) -> None:
    """-n: what net relayed in clear before STARTTLS is not in its memory, nor in key's, once TLS has begun."""
    said, sent = os.urandom(20).hex(), os.urandom(20).hex()
    text = tmp_path / "text"
    text.write_text(said + "\n")
    script = "cat \"$0\"; read line; echo ok; printf '\\0' >&5; head -c 1 <&6 >/dev/null; exec cat"
    options = ["-n", "-f", str(certs.server("p256"))]
    with Wrapped(options, ["sh", "-c", script, str(text)], program=OURS) as wrapped:
        assert wrapped.client.recv(41, socket.MSG_WAITALL).decode() == said + "\n"
        found = wrapped.processes()
        assert found.key is not None
        with Frozen(found.net):
            assert Image(found.net).find({"prog's": said.encode()}), "the search is broken"
        wrapped.client.sendall(f"EHLO {sent}\n".encode())
        assert wrapped.client.recv(3, socket.MSG_WAITALL) == b"ok\n"
        client = Client(wrapped.client)
        client.handshake()
        client.echo(b"x" * 100)
        with Frozen(found.net, found.key):
            for pid, who in ((found.net, "net"), (found.key, "key")):
                nothing(Image(pid), {"prog's": said.encode(), "the client's": sent.encode()}, who)
