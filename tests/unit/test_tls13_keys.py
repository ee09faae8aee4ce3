"""TLS 1.3's key schedule and record protection: RFC 5869 byte for byte, and an independent oracle."""

from __future__ import annotations

import hashlib
import hmac
import random
import struct

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given, settings
from hypothesis import strategies as st

from bearwrap import _bear
from tests.wire.names import Alert

CHACHA, AES256, AES128 = 0x1303, 0x1302, 0x1301
SUITES = {CHACHA: (256, 32), AES256: (384, 32), AES128: (256, 16)}  # bits of the hash, bytes of the key
HASHES = {256: (hashes.SHA256(), hashlib.sha256), 384: (hashes.SHA384(), hashlib.sha384)}
ALERT, HANDSHAKE, DATA = 21, 22, 23
MOST = 16384


RFC5869 = [  # appendix A: IKM, salt, info, L, PRK, OKM
    (b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42,
     "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"),
    (bytes(range(0x50)), bytes(range(0x60, 0xB0)), bytes(range(0xB0, 0x100)), 82,
     "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
     "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"),
    (b"\x0b" * 22, b"", b"", 42,
     "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
]  # fmt: skip


@pytest.mark.parametrize(("ikm", "salt", "info", "n", "prk", "okm"), RFC5869, ids=range(1, 4))
def test_rfc_5869(ikm: bytes, salt: bytes, info: bytes, n: int, prk: str, okm: str) -> None:
    assert _bear.hkdf13_extract(256, salt, ikm).hex() == prk
    assert _bear.hkdf13_expand(256, bytes.fromhex(prk), info, n).hex() == okm


bits_of = st.sampled_from([256, 384])


@settings(deadline=None)
@given(bits=bits_of, salt=st.binary(max_size=150), ikm=st.binary(max_size=150), info=st.binary(max_size=90),
       n=st.integers(0, 500))  # fmt: skip
def test_hkdf_against_cryptography(bits: int, salt: bytes, ikm: bytes, info: bytes, n: int) -> None:
    algorithm, plain = HASHES[bits]
    prk = _bear.hkdf13_extract(bits, salt, ikm)
    assert prk == hmac.digest(salt, ikm, plain)
    expected = HKDFExpand(algorithm, n, info).derive(prk) if n else b""
    assert _bear.hkdf13_expand(bits, prk, info, n) == expected


def label(bits: int, secret: bytes, name: bytes, context: bytes, n: int) -> bytes:
    """HKDF-Expand-Label by the other library."""
    name = b"tls13 " + name
    info = struct.pack(">HB", n, len(name)) + name + bytes([len(context)]) + context
    return HKDFExpand(HASHES[bits][0], n, info).derive(secret)


@settings(deadline=None)
@given(bits=bits_of, data=st.data())
def test_a_whole_schedule(bits: int, data: st.DataObject) -> None:
    """With and without a PSK, every secret that a connection has, by the other library."""
    plain = HASHES[bits][1]
    n = bits // 8
    some = st.binary(min_size=n, max_size=n)
    psk, shared = data.draw(st.none() | some), data.draw(st.binary(min_size=32, max_size=66))
    first, second, third = (data.draw(some) for _ in range(3))
    nonce = data.draw(st.binary(max_size=255))
    nothing = plain(b"").digest()
    schedule = _bear.Schedule13(bits, psk)
    present = hmac.digest(b"", psk or bytes(n), plain)
    assert schedule.secret(b"present") == present
    for external, name in ((True, b"ext binder"), (False, b"res binder")):
        key = label(bits, label(bits, present, name, nothing, n), b"finished", b"", n)
        assert schedule.binder(first, external) == hmac.digest(key, first, plain)
    schedule.handshake(shared, first)
    present = hmac.digest(label(bits, present, b"derived", nothing, n), shared, plain)
    assert schedule.secret(b"present") == present
    for who in (b"client", b"server"):
        secret = label(bits, present, who[:1] + b" hs traffic", first, n)
        assert schedule.secret(who + b" handshake") == secret
        verify = hmac.digest(label(bits, secret, b"finished", b"", n), second, plain)
        assert schedule.finished(who + b" handshake", second) == verify
    schedule.master(second)
    present = hmac.digest(label(bits, present, b"derived", nothing, n), bytes(n), plain)
    for who in (b"client", b"server"):
        assert schedule.secret(who + b" application") == label(bits, present, who[:1] + b" ap traffic", second, n)
    schedule.resume(third)
    resumption = label(bits, present, b"res master", third, n)
    assert schedule.secret(b"resumption") == resumption
    assert schedule.secret(b"present") == bytes(n), "the master secret is gone"
    assert schedule.ticket(nonce) == label(bits, resumption, b"resumption", nonce, n)


@given(bits=bits_of, messages=st.lists(st.binary(max_size=300), max_size=5), data=st.data())
def test_transcripts(bits: int, messages: list[bytes], data: st.DataObject) -> None:
    """With a HelloRetryRequest all before it gives way to message_hash (RFC 8446 section 4.4.1)."""
    plain = HASHES[bits][1]
    assert _bear.transcript13(bits, messages) == plain(b"".join(messages)).digest()
    if messages:
        at = data.draw(st.integers(0, len(messages) - 1))
        first = plain(b"".join(messages[:at])).digest()
        synthetic = b"\xfe\0\0" + bytes([len(first)]) + first
        assert _bear.transcript13(bits, messages, at) == plain(synthetic + b"".join(messages[at:])).digest()


# records


class Oracle:
    """The record protection of RFC 8446 section 5.2 by the other library."""

    def __init__(self, suite: int, secret: bytes) -> None:
        bits, size = SUITES[suite]
        self.key, self.iv = label(bits, secret, b"key", b"", size), label(bits, secret, b"iv", b"", 12)
        self.aead = (ChaCha20Poly1305 if suite == CHACHA else AESGCM)(self.key)
        self.seq = 0

    def nonce(self) -> bytes:
        seq = self.seq.to_bytes(12, "big")
        self.seq += 1
        return bytes(x ^ y for x, y in zip(self.iv, seq, strict=True))

    def seal(self, inner: bytes, version: int = 0x0303) -> bytes:
        header = struct.pack(">BHH", 23, version, len(inner) + 16)
        return header + self.aead.encrypt(self.nonce(), inner, header)

    def open(self, record: bytes) -> bytes:
        return self.aead.decrypt(self.nonce(), record[5:], record[:5])


def secret_for(suite: int) -> bytes:
    return random.Random(suite).randbytes(SUITES[suite][0] // 8)


def pair(suite: int, quick: bool = True) -> tuple[_bear.Traffic13, Oracle]:
    return _bear.Traffic13(suite, secret_for(suite), quick), Oracle(suite, secret_for(suite))


every_suite = pytest.mark.parametrize("suite", SUITES, ids=hex)


@every_suite
@pytest.mark.parametrize("quick", [True, False])
def test_records_against_cryptography(suite: int, quick: bool) -> None:
    (ours, oracle), (opener, sealer) = pair(suite, quick), pair(suite, quick)
    assert ours.keys() == (oracle.key, oracle.iv)
    draw = random.Random(1)
    for size in (*range(70), 255, 256, 257, 1000, 4095, 4096, 4097, MOST - 1, MOST):
        kind, text = (draw.choice([ALERT, HANDSHAKE, DATA]) if size else DATA), draw.randbytes(size)
        record = ours.seal(kind, text)
        assert oracle.open(record) == text + bytes([kind]), "no padding is made"
        padding = bytes(draw.randrange(1 + min(300, MOST - size)))
        record = sealer.seal(text + bytes([kind]) + padding, draw.choice([0x0303, 0x0301]))
        assert opener.open(record) == (0, (kind, text))


@settings(max_examples=60, deadline=None)
@given(suite=st.sampled_from(sorted(SUITES)), stream=st.lists(st.tuples(st.sampled_from([21, 22, 23]),
       st.binary(min_size=1, max_size=200), st.integers(0, 40), st.booleans()), max_size=6))  # fmt: skip
def test_any_stream(suite: int, stream: list[tuple[int, bytes, int, bool]]) -> None:
    """KeyUpdates among the records: both ends step on, with fresh sequence numbers."""
    (ours, _), (theirs, _) = pair(suite), pair(suite)
    secret = secret_for(suite)
    for kind, text, _, update in stream:
        if update:
            ours.next_generation()
            theirs.next_generation()
            secret = label(SUITES[suite][0], secret, b"traffic upd", b"", len(secret))
            assert ours.keys() == (Oracle(suite, secret).key, Oracle(suite, secret).iv)
        assert theirs.open(ours.seal(kind, text)) == (0, (kind, text))


@every_suite
@pytest.mark.parametrize(
    ("inner", "alert"),
    [
        (b"", Alert.BAD_RECORD_MAC),  # no room for a type: it cannot be a record of TLS 1.3
        (b"\0", Alert.UNEXPECTED_MESSAGE),
        (bytes(300), Alert.UNEXPECTED_MESSAGE),
        (bytes(MOST + 1), Alert.UNEXPECTED_MESSAGE),
        (bytes(MOST + 2), Alert.RECORD_OVERFLOW),
        (b"x" * (MOST + 1) + b"\x17", Alert.RECORD_OVERFLOW),
        (b"x" * MOST + b"\x17" + b"\0", Alert.RECORD_OVERFLOW),
        (b"x" * MOST + b"\x17" + bytes(239), Alert.RECORD_OVERFLOW),
        (b"x" * MOST + b"\x17" + bytes(240), Alert.RECORD_OVERFLOW),  # more than 2^14 + 256 with its tag
        (b"\x15", Alert.UNEXPECTED_MESSAGE),  # empty alert
        (b"\x16", Alert.UNEXPECTED_MESSAGE),  # empty handshake message
        (b"\x01\x14", Alert.UNEXPECTED_MESSAGE),  # change_cipher_spec
        (b"x\x18", Alert.UNEXPECTED_MESSAGE),
        (b"x\xff\0", Alert.UNEXPECTED_MESSAGE),
    ],
    ids=range(14),
)
def test_bad_records(suite: int, inner: bytes, alert: int) -> None:
    ours, oracle = pair(suite)
    assert ours.open(oracle.seal(inner)) == (alert, None)


@every_suite
def test_an_empty_record_of_data_is_good(suite: int) -> None:
    ours, oracle = pair(suite)
    assert ours.open(oracle.seal(b"\x17")) == (0, (DATA, b""))
    assert ours.open(oracle.seal(b"\x17" + bytes(MOST))) == (0, (DATA, b""))


@every_suite
@pytest.mark.parametrize("quick", [True, False])
def test_a_changed_byte_is_a_bad_mac(suite: int, quick: bool) -> None:
    """Header, text and tag are all under it; so is the place in the stream."""
    _, oracle = pair(suite)
    record = oracle.seal(b"plain text\x17")
    for place in range(1, len(record)):
        bad = bytearray(record)
        bad[place] ^= 1 << place % 8
        assert _bear.Traffic13(suite, secret_for(suite), quick).open(bytes(bad)) == (Alert.BAD_RECORD_MAC, None)
    ours = _bear.Traffic13(suite, secret_for(suite), quick)
    assert ours.open(record)[0] == 0
    assert ours.open(record) == (Alert.BAD_RECORD_MAC, None), "a second time"
    for n in range(17):
        assert pair(suite)[0].open(b"\x17\3\3\0" + bytes([n]) + bytes(n)) == (Alert.BAD_RECORD_MAC, None)


@every_suite
def test_sequence_numbers(suite: int) -> None:
    for seq in (0, 255, 256, 0xFFFF, 1 << 23, (1 << 24) - 1):
        ours, oracle = pair(suite)
        ours.at(seq)
        oracle.seq = seq
        assert oracle.open(ours.seal(DATA, b"x")) == b"x\x17"
    ours, oracle = pair(suite)
    ours.at((1 << 63) + 5)
    oracle.seq = (1 << 63) + 5
    assert ours.open(oracle.seal(b"x\x17")) == (0, (DATA, b"x")), "what the peer seals is bound by the peer"


@every_suite
def test_a_key_has_an_end(suite: int) -> None:
    """RFC 8446 section 5.5; a new generation begins anew."""
    most = 1 << (30 if suite == CHACHA else 24)
    ours, _ = pair(suite)
    assert not ours.tired()
    ours.at(most - 65)
    assert not ours.tired()
    ours.seal(DATA, b"")
    assert ours.tired()
    ours.at(most - 1)
    ours.seal(DATA, b"")
    with pytest.raises(ValueError, match="spent"):
        ours.seal(DATA, b"")
    ours.next_generation()
    assert not ours.tired()
    ours.seal(DATA, b"")


def test_bad_arguments() -> None:
    for suite, n in ((0xC02B, 32), (0x1304, 32), (AES128, 48), (AES256, 32), (CHACHA, 0)):
        with pytest.raises(ValueError):
            _bear.Traffic13(suite, bytes(n))
    with pytest.raises(ValueError):
        _bear.Schedule13(512)
    with pytest.raises(ValueError):
        _bear.Traffic13(AES128, bytes(32)).seal(DATA, bytes(MOST + 1))
    for n in (0, 4, 20000):
        with pytest.raises(ValueError, match="no record"):
            _bear.Traffic13(AES128, bytes(32)).open(bytes(n))
