"""The life of a TLS client's secrets in its key process, read from outside: there while they are needed, then gone.

What is looked for is gone before key answers; the master secret before it answers what comes next.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import cast

import pytest

from tests.certs import Certs, key_pem
from tests.harness import needs_root
from tests.unit.bearssl_cffi import Bear, load
from tests.wire.client import Client
from tests.wire.names import TLS10, Group, Record

from . import needles
from .clientkeyside import ClientKeySide, Shape
from .connection import has_aes
from .frozen import Frozen
from .memory import Image
from .test_memory import nothing

pytestmark = needs_root

SHAPES = [
    Shape(client="p256"),
    Shape("rsa2048", 0x009C, client="rsa2048"),
    Shape("p384", 0xC024, group=Group.SECP384R1, client="p521"),
    Shape("rsa2048", 0xC013, TLS10, Group.SECP256R1, client="rsa2048"),
    Shape("p256", 0xC02D, client="p256"),
]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


@pytest.fixture(scope="module")
def bear() -> Bear:
    """BearSSL bound apart, for the HMAC states that stand for a key."""
    return load()


def own_secret(key: ClientKeySide) -> needles.Needles:
    """Our private key as a number and as the text of its file, which is CERTFILE and KEYFILE at once."""
    assert key.identity is not None
    return needles.private_key(key.identity.key) | needles.key_text(key_pem(key.identity.key))


def session(key: ClientKeySide) -> Client:
    """What the needles of a connection are made from."""
    group = Group.SECP256R1 if key.suite.exchange == "ecdh" else key.shape.group
    return cast(Client, SimpleNamespace(
        premaster=key.premaster, master=key.master, keys=key.keys, suite=key.suite, version=key.version,
        key_exchange=SimpleNamespace(group=group),
    ))  # fmt: skip


def memory(key: ClientKeySide) -> Image:
    """Key's memory between two messages."""
    with Frozen(key.process.pid):
        return Image(key.process.pid)


@shapes
def test_our_private_key_is_wiped_after_signing(certs: Certs, shape: Shape) -> None:
    """The file's text is gone with `trust`, the key with its one signature."""
    with ClientKeySide(certs, shape) as key:
        secret = own_secret(key)
        key.reach("agreed")
        held = memory(key).find(secret)
        wanted = ("p", "q", "dp", "dq", "qinv") if shape.client.startswith("rsa") else ("d",)
        assert {f"{part} big-endian[16:]" for part in wanted} <= held.keys(), f"only {list(held)}"
        assert not any(name.startswith("PEM") for name in held), f"the file's text: {needles.names(held)}"
        key.reach("signed")
        nothing(memory(key), secret, "key, which has signed,")
        key.reach("running")
        nothing(memory(key), secret, "key")


def test_our_private_key_is_wiped_when_the_server_does_not_ask(certs: Certs) -> None:
    with ClientKeySide(certs, SHAPES[0]) as key:
        secret = own_secret(key)
        key.reach("agreed")
        assert memory(key).find(secret)
        key.good("send-finished", key.digest())
        nothing(memory(key), secret, "key")


@shapes
def test_session_secrets_are_wiped(certs: Certs, bear: Bear, shape: Shape) -> None:
    """The pre-master secret ends with `agree`, the master secret with `await-finished`, the record keys with key."""
    if shape.suite != 0xCCA9 and not has_aes():
        pytest.skip("without AES instructions BearSSL keeps AES keys bit-sliced, so they cannot be searched for")
    with ClientKeySide(certs, shape) as key:
        key.reach("agreed")
        image = memory(key)
        client = session(key)
        nothing(image, needles.premaster(client, bear), "key, which has agreed,")
        assert "master[0:]" in image.find(needles.master(client, bear)), "the search is broken"
        key.reach("finished-opened")
        nothing(memory(key), needles.master(client, bear), "key")
        key.reach("running")
        text = os.urandom(32)
        key.produce(key.seal(Record.DATA, text))
        assert os.read(key.prog_in, 100) == text
        image = memory(key)
        assert {"client_key[0:]", "server_key[0:]"} <= image.find(needles.traffic(client)).keys()
        nothing(image, needles.premaster(client, bear) | needles.master(client, bear), "key")
