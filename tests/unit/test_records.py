"""Record protection against one that is not ours: the wire client's, which is the `cryptography` package and hashlib.

Every suite, every version, both directions; then what must be refused, and that a library's cipher and BearSSL's agree.
"""

from __future__ import annotations

import os
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearwrap import _bear
from tests.unit.bearssl_cffi import load
from tests.wire.crypto import KeyBlock, Protection
from tests.wire.names import ALL_SUITES, TLS10, TLS11, TLS12, Suite

HEADER = 5
MOST = 16384
DATA, HANDSHAKE = 23, 22
MASTER, CLIENT_RANDOM, SERVER_RANDOM = (bytes([fill]) * n for fill, n in ((1, 48), (2, 32), (3, 32)))
SIZES = (1, 2, 0, 15, 16, 17, 31, 32, 255, 256, 1460, MOST - 1, MOST)

CODES = [code for code, *_ in _bear.audit_tables()["suites"]]
suites = pytest.mark.parametrize("suite", [ALL_SUITES[code] for code in CODES], ids=lambda suite: f"{suite.code:04x}")
versions = pytest.mark.parametrize("version", [TLS10, TLS11, TLS12], ids=["tls10", "tls11", "tls12"])
sides = pytest.mark.parametrize("is_client", [True, False], ids=["client", "server"])
CHACHA = 0xCCA9
GCM = 0xC02B
CBC = 0xC009
CCM8 = 0xC0AE
TRIPLE_DES = 0xC008


def ours(version: int, code: int, is_client: bool, quick: bool = True) -> _bear.Records:
    return _bear.Records(version, code, MASTER, CLIENT_RANDOM, SERVER_RANDOM, is_client, quick)


def theirs(version: int, suite: Suite, is_client: bool) -> Protection:
    """What seals as the client does, or as the server; it opens what the same side sealed."""
    block = KeyBlock(suite, version, MASTER, CLIENT_RANDOM, SERVER_RANDOM)
    return block.client_side() if is_client else block.server_side()


def framed(kind: int, version: int, fragment: bytes) -> bytes:
    return struct.pack(">BHH", kind, version, len(fragment)) + fragment


def fragments(records: bytes, kind: int, version: int) -> list[bytes]:
    """The records of a byte string, each header checked."""
    found = []
    while records:
        seen_kind, seen_version, n = struct.unpack(">BHH", records[:HEADER])
        assert (seen_kind, seen_version) == (kind, version)
        assert 0 < n <= len(records) - HEADER
        found.append(records[HEADER : HEADER + n])
        records = records[HEADER + n :]
    return found


def test_there_are_suites_to_test() -> None:
    assert sorted(CODES) == sorted(ALL_SUITES)


@suites
@versions
@sides
def test_what_we_seal_opens_elsewhere(suite: Suite, version: int, is_client: bool) -> None:
    """With the right sequence numbers, chained IVs and headers; TLS 1.0 application data is cut 1 to n-1 (BEAST)."""
    seal, other, seq = ours(version, suite.code, is_client), theirs(version, suite, is_client), 0
    for kind in (HANDSHAKE, DATA):
        for size in SIZES:
            plain = random.Random(size).randbytes(size)
            parts = fragments(seal.seal(kind, plain), kind, version)
            split = suite.is_cbc and version == TLS10 and kind == DATA and size > 1
            assert len(parts) == 1 + split
            opened = []
            for part in parts:
                opened.append(other.open(seq, kind, version, part))
                seq += 1
            assert b"".join(opened) == plain
            assert len(opened[0]) == 1 or not split


@suites
@versions
@sides
def test_what_is_sealed_elsewhere_opens_here(suite: Suite, version: int, is_client: bool) -> None:
    opener, other = ours(version, suite.code, not is_client), theirs(version, suite, is_client)
    for seq, size in enumerate(SIZES):
        plain = os.urandom(size)
        assert opener.open(framed(DATA, version, other.seal(seq, DATA, version, plain))) == plain


@suites
@versions
def test_longer_padding_is_good(suite: Suite, version: int) -> None:
    """RFC 5246 section 6.2.3.2: up to 255 bytes of it."""
    if not suite.is_cbc:
        return
    opener, other = ours(version, suite.code, False), theirs(version, suite, True)
    for seq, more in enumerate((0, 1, 7, 14, 240 // suite.block - 1)):
        plain = b"x" * 33
        body = other.pad(plain + other.mac(seq, DATA, version, plain), more)
        assert opener.open(framed(DATA, version, other.encrypt(body))) == plain


@suites
@versions
def test_each_bit_counts(suite: Suite, version: int) -> None:
    """One bit of type, IV, text, MAC or padding: refused. The length is the record's, so it is no field of its own."""
    plain = b"The quick brown fox jumps over the lazy dog"
    good = framed(HANDSHAKE, version, theirs(version, suite, True).seal(0, HANDSHAKE, version, plain))
    chosen = random.Random(suite.code * version)
    places = [0, HEADER, len(good) - 1, *(chosen.randrange(HEADER, len(good)) for _ in range(12))]
    for place in places:
        bad = bytearray(good)
        bad[place] ^= 1 << chosen.randrange(8)
        with pytest.raises(ValueError, match=r"^bad MAC$"):
            ours(version, suite.code, False).open(bytes(bad))
    assert ours(version, suite.code, False).open(good) == plain


@suites
def test_a_record_opens_once_and_in_order(suite: Suite) -> None:
    client = ours(TLS12, suite.code, True)
    first, second = client.seal(DATA, b"first"), client.seal(DATA, b"second")
    again = ours(TLS12, suite.code, False)
    assert again.open(first) == b"first"
    with pytest.raises(ValueError, match=r"^bad MAC$"):
        again.open(first)
    with pytest.raises(ValueError, match=r"^bad MAC$"):
        ours(TLS12, suite.code, False).open(second)
    with pytest.raises(ValueError, match=r"^bad MAC$"):
        ours(TLS12, suite.code, True).open(first)


@suites
@versions
def test_no_other_size_is_a_record(suite: Suite, version: int) -> None:
    """Each size: refused at once, or as a bad MAC where it could be a record. Never opened, never a crash.

    BearSSL's own check lets halves of blocks pass, and its 3DES would then write past the record's end.
    """
    overhead = len(theirs(version, suite, True).seal(0, DATA, version, b""))
    most = len(theirs(version, suite, True).seal(0, DATA, version, bytes(MOST)))
    for n in {0, 1, 7, 8, 15, overhead - 1}:
        with pytest.raises(ValueError, match=r"^bad length$"):
            ours(version, suite.code, False).open(framed(DATA, version, bytes(n)))
    for n in (overhead, most, most + 1, 16384 + 2048):
        with pytest.raises(ValueError, match=r"^bad (MAC|length)$"):
            ours(version, suite.code, False).open(framed(DATA, version, bytes(n)))
    if suite.is_cbc:
        for n in (*range(overhead + 1, overhead + suite.block), most + 1, most - 1, most - suite.block // 2):
            with pytest.raises(ValueError, match=r"^bad length$"):
                ours(version, suite.code, False).open(framed(DATA, version, bytes(n)))
    too_long = theirs(version, suite, True).seal(0, DATA, version, bytes(MOST + 256))
    with pytest.raises(ValueError, match=r"^bad (MAC|length)$"):
        ours(version, suite.code, False).open(framed(DATA, version, too_long))


def test_what_is_no_record() -> None:
    opener = ours(TLS12, CHACHA, False)
    for n in (0, 4, 16384 + 2048 + 5 + 107 + 1, 1 << 20):
        with pytest.raises(ValueError, match=r"^no record$"):
            opener.open(bytes(n))


@pytest.mark.parametrize("code", [CHACHA, GCM, CBC, CCM8, TRIPLE_DES], ids=hex)
def test_too_much_plaintext(code: int) -> None:
    with pytest.raises(ValueError, match="plaintext of more than 16384 bytes"):
        ours(TLS12, code, True).seal(DATA, bytes(MOST + 1))


@pytest.mark.parametrize(
    ("version", "code", "sizes"),
    [(TLS12, 0x1301, (48, 32, 32)), (0x0300, CHACHA, (48, 32, 32)), (0x0304, CHACHA, (48, 32, 32)),
     (TLS12, CHACHA, (47, 32, 32)), (TLS12, CHACHA, (48, 31, 32)), (TLS12, CHACHA, (48, 32, 33)),
     (TLS12, CHACHA, (0, 0, 0))],
)  # fmt: skip
def test_bad_arguments(version: int, code: int, sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError):
        _bear.Records(version, code, *(bytes(n) for n in sizes), True)


@pytest.mark.parametrize("change", [0, 1, 2])
def test_all_three_inputs_make_the_keys(change: int) -> None:
    inputs = [MASTER, CLIENT_RANDOM, SERVER_RANDOM]
    inputs[change] = inputs[change][:-1] + b"\xff"
    record = ours(TLS12, CHACHA, True).seal(DATA, b"x")
    with pytest.raises(ValueError, match=r"^bad MAC$"):
        _bear.Records(TLS12, CHACHA, *inputs, False).open(record)


def test_both_chacha20_poly1305_agree() -> None:
    """A library's (where one was built in) and BearSSL's make the same bytes and open each other's."""
    a, b = ours(TLS12, CHACHA, True), ours(TLS12, CHACHA, True, quick=False)
    into_a, into_b = ours(TLS12, CHACHA, False), ours(TLS12, CHACHA, False, quick=False)
    for size in (*range(130), *SIZES, 4095, 4096, 4097):
        plain = os.urandom(size)
        record = a.seal(DATA, plain)
        assert record == b.seal(DATA, plain)
        assert into_a.open(record) == into_b.open(record) == plain


@pytest.mark.parametrize("quick", [True, False])
def test_a_broken_chacha20_poly1305_tag(quick: bool) -> None:
    record = ours(TLS12, CHACHA, True).seal(DATA, bytes(100))
    for place in range(HEADER, len(record)):
        bad = record[:place] + bytes([record[place] ^ 1]) + record[place + 1 :]
        with pytest.raises(ValueError, match=r"^bad MAC$"):
            ours(TLS12, CHACHA, False, quick).open(bad)


def test_a_record_is_what_the_other_binding_computes() -> None:
    """RFC 7905: nonce from IV and sequence number, header as additional data; keys by RFC 5246 section 6.3."""
    bear = load()
    block = bear.prf("sha256", MASTER, b"key expansion", [SERVER_RANDOM, CLIENT_RANDOM], 88)
    key, iv = block[:32], block[64:76]
    client = ours(TLS12, CHACHA, True)
    for seq in range(3):
        nonce = bytes(x ^ y for x, y in zip(iv, seq.to_bytes(12, "big"), strict=True))
        aad = struct.pack(">QBHH", seq, DATA, TLS12, 5)
        text, tag = bear.chacha20_poly1305(key, nonce, aad, b"plain", True)
        assert client.seal(DATA, b"plain") == framed(DATA, TLS12, text + tag)


@settings(max_examples=60, deadline=None)
@given(
    code=st.sampled_from(CODES), version=st.sampled_from([TLS10, TLS11, TLS12]),
    stream=st.lists(st.tuples(st.sampled_from([DATA, HANDSHAKE]), st.binary(max_size=400)), max_size=6),
)  # fmt: skip
def test_any_stream_comes_back(code: int, version: int, stream: list[tuple[int, bytes]]) -> None:
    client, server = ours(version, code, True), ours(version, code, False)
    for kind, plain in stream:
        got = b""
        for part in fragments(client.seal(kind, plain), kind, version):
            got += server.open(framed(kind, version, part))
        assert got == plain


@settings(max_examples=100, deadline=None)
@given(code=st.sampled_from(CODES), version=st.sampled_from([TLS10, TLS11, TLS12]), junk=st.binary(max_size=600))
def test_no_junk_opens(code: int, version: int, junk: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(no record|bad length|bad MAC)$"):
        ours(version, code, False).open(junk)
