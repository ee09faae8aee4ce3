"""How long the records are that carry prog's output: one segment each at the start and after silence, then full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import Wrapped, needs_root
from tests.isolation.connection import Shape
from tests.isolation.memory import wait_rest
from tests.wire.client import Client
from tests.wire.names import TLS10, TLS11, TLS12, Ext, Group, Record

pytestmark = needs_root

FIRST = 40960  # bytes in small records
SMALL = 1280  # bytes of such a record...
BATCH = 16  # of them that are read at once
SEGMENT = 1400  # ...which with all that is around them fits a TCP segment, through a tunnel too
SIZE = 1 << 20
SHAPES = [
    Shape("p256", "CHACHA20_POLY1305_SHA256"),
    Shape("rsa2048", "AES_256_GCM_SHA384"),
    Shape("p256", "AES_256_CBC_SHA384", TLS12, Group.SECP256R1),
    Shape("rsa2048", "AES_128_CBC_SHA256"),
    Shape("p256", "AES_256_CBC_SHA", TLS11),
    Shape("rsa2048", "AES_128_CBC_SHA", TLS10),
]


def lengths(client: Client, count: int) -> list[tuple[int, int]]:
    """Of the records that bring the next `count` bytes: of the plaintext, and of all on the wire."""
    before = len(client.seen)
    client.read_data(count)
    return [(len(frame.plain), 5 + len(frame.raw)) for frame in client.seen[before:] if frame.kind == Record.DATA]


def small(found: list[tuple[int, int]]) -> int:
    """Check that the first records are small ones, for as long as they should be; how many they are."""
    count = next(at for at, (plain, _) in enumerate(found) if plain > SMALL)
    assert max(whole for _, whole in found[:count]) <= SEGMENT
    assert FIRST <= sum(plain for plain, _ in found[:count]) < FIRST + BATCH * SMALL
    return count


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_small_then_full_then_small_again(shape: Shape, certs: Certs, tmp_path: Path) -> None:
    """The bytes stay what they were; with TLS 1.0 a record is two, the first of one byte."""
    text = tmp_path / "text"
    text.write_bytes(os.urandom(SIZE))
    prog = ["sh", "-c", 'cat "$0"; read word; exec cat "$0"', str(text)]
    with Wrapped(shape.options(certs), prog) as wrapped:
        client = Client(wrapped.client)
        client.handshake(shape.hello())
        for again in (False, True):
            if again:
                found = wrapped.processes()
                assert found.key is not None
                wait_rest(found.net, found.key)
                client.send_data(b"go\n")
            records = lengths(client, SIZE)
            assert max(plain for plain, _ in records[small(records) :]) in (16384, 16383)
        assert b"".join(frame.plain for frame in client.seen if frame.kind == Record.DATA) == 2 * text.read_bytes()


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_a_peer_that_takes_less(code: int, certs: Certs, tmp_path: Path) -> None:
    """max_fragment_length (RFC 6066 section 4) bounds small records too."""
    text, most, shape = tmp_path / "text", 256 << code, SHAPES[0]
    text.write_bytes(os.urandom(SIZE))
    with Wrapped(shape.options(certs), ["cat", str(text)]) as wrapped:
        client = Client(wrapped.client)
        client.handshake(shape.hello().ext(Ext.MAX_FRAGMENT_LENGTH, bytes([code])))
        records = lengths(client, SIZE)
        if most > SMALL:
            assert max(plain for plain, _ in records[small(records) :]) == most
        else:
            assert max(plain for plain, _ in records) == most


def test_short_answers_are_one_record_each(certs: Certs) -> None:
    """What prog writes at once and fits is not cut."""
    with Wrapped(SHAPES[0].options(certs), ["cat"]) as wrapped:
        client = Client(wrapped.client)
        client.handshake(SHAPES[0].hello())
        for size in (1, 16, SMALL - 1, SMALL):
            client.send_data(bytes(size))
            assert [plain for plain, _ in lengths(client, size)] == [size]
