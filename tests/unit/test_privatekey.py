"""Private keys as key reads them: against the `cryptography` package, and against BearSSL's decoder over mutations."""

from __future__ import annotations

import functools
import random

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from bearwrap import _bear

from .curves import CURVES, IDS, SIZES
from .dertree import Step, changed, steps_of

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
KINDS = ["rsa1024", "rsa1031", "rsa2048", "rsa4096", *CURVES]
FORMS = [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
OIDS = [b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x2b\x65\x70",
        b"\x2a\x86\x48\xce\x3d\x03\x01\x07", b"\x2b\x81\x04\x00\x22", b"\x2b\x81\x04\x00\x23"]  # fmt: skip
WORDS = [b"", b"\0", b"\1", b"\2", b"\0\0\0", b"\0\0\1", b"\0\2", b"\1\1", b"\x80", b"\xff", b"\x7f" * 16,
         b"\x7f" * 300, b"\x7f" * 521, b"\0" * 1561, b"\x7f" * 1536, b"\x7f" * 1561, *OIDS,
         *(b"\6" + bytes([len(oid)]) + oid for oid in OIDS)]  # fmt: skip
TAGS = [1, 2, 3, 4, 5, 6, 0x10, 0x1F, 0x22, 0x24, 0x30, 0x31, 0x41, 0x80, 0x81, 0xA0, 0xA1, 0xA2, 0xC0]
ROOM = 1536  # bytes of numbers
Found = tuple[int | bytes, ...]


@functools.cache
def key(kind: str) -> PrivateKey:
    if kind in CURVES:
        return ec.generate_private_key(CURVES[kind])
    return rsa.generate_private_key(65537, int(kind[3:]))


@functools.cache
def made(kind: str, form: serialization.PrivateFormat) -> bytes:
    return key(kind).private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())


@functools.cache
def seeds() -> list[bytes]:
    return [made(kind, form) for kind in KINDS for form in FORMS]


def expected(kind: str) -> Found:
    """By the other library's numbers; BearSSL leaves a curve's number as long as it is written."""
    secret = key(kind)
    if isinstance(secret, ec.EllipticCurvePrivateKey):
        return IDS[kind], secret.private_numbers().private_value.to_bytes(SIZES[kind], "big")
    of = secret.private_numbers()
    numbers = (of.p, of.q, of.dmp1, of.dmq1, of.iqmp)
    return secret.key_size, *(one.to_bytes((one.bit_length() + 7) // 8, "big") for one in numbers)


def both(der: bytes) -> Found | None:
    """What the walk finds; BearSSL's decoder finds the same, or refuses too."""
    found, reference = _bear.read_private_key(der), _bear.read_private_key(der, True)
    if reference and sum(len(one) for one in reference if isinstance(one, bytes)) > ROOM:
        reference = None  # it wrote beyond its context
    assert found == reference, der.hex()
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(kind: str, form: serialization.PrivateFormat) -> None:
    assert both(made(kind, form)) == expected(kind)


def test_every_prefix_and_more() -> None:
    for der in seeds():
        for n in range(len(der)):
            assert both(der[:n]) is None
        assert both(der + b"\0") is None
        assert both(der + der) is None


def test_each_byte_changed() -> None:
    chosen = random.Random(1)
    for kind in ("rsa1024", "secp256r1", "secp521r1"):
        for der in (made(kind, form) for form in FORMS):
            for at in range(len(der)):
                for value in {0, 1, 0x30, 0x7F, 0x80, 0x81, 0xFF, der[at] ^ 1, der[at] ^ 0x20, chosen.randrange(256)}:
                    both(der[:at] + bytes([value]) + der[at + 1 :])


@settings(max_examples=2000, deadline=None)
@given(st.integers(0, len(KINDS) * len(FORMS) - 1), steps_of(TAGS, WORDS))
def test_structure_changed(which: int, steps: list[Step]) -> None:
    """Elements of other kinds, contents and places with right lengths, where byte changes seldom come."""
    both(changed(seeds()[which], steps))


def element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


RSA_OID, EC_OID, ED25519_OID, P256, P384, P521 = (element(6, oid) for oid in OIDS)
ZERO, ONE, TWO, NUMBER = element(2, b"\0"), element(2, b"\1"), element(2, b"\2"), element(4, b"\xab\xcd")
INSIDE, PUBLIC, NONE = element(0xA0, P256), element(0xA1, element(3, b"\0\4")), b""
RSA_NUMBERS = [element(2, bytes([n])) for n in (0x7F, 3, 5, 7, 11, 13, 17, 19)]
SEC1 = element(0x30, ONE, NUMBER, INSIDE)
PKCS1 = element(0x30, ZERO, *RSA_NUMBERS)
EC_FOUND, RSA_FOUND = (23, b"\xab\xcd"), (7, b"\7", b"\x0b", b"\x0d", b"\x11", b"\x13")


def pkcs8(version: bytes, oid: bytes, parameters: bytes, inner: bytes, *more: bytes) -> bytes:
    return element(0x30, version, element(0x30, oid, parameters), element(4, inner), *more)


@pytest.mark.parametrize(("der", "found"), [
    (SEC1, EC_FOUND),
    (element(0x30, ZERO, NUMBER, INSIDE), EC_FOUND),                                # the outer version may be either
    (element(0x30, ONE, NUMBER, INSIDE, PUBLIC), EC_FOUND),
    (element(0x30, ONE, NUMBER), None),                                             # no curve
    (element(0x30, ONE, NUMBER, PUBLIC), None),
    (element(0x30, ONE, NUMBER, element(0xA0, P256, b"\5\0")), None),
    (element(0x30, ONE, NUMBER, element(0xA0, EC_OID)), None),
    (element(0x30, ONE, NUMBER, element(0x80, P256)), None),
    (element(0x30, TWO, NUMBER, INSIDE), None),
    (element(0x30, ONE, element(4), INSIDE), (23, b"")),
    (pkcs8(ZERO, EC_OID, P256, element(0x30, ONE, NUMBER)), EC_FOUND),
    (pkcs8(ONE, EC_OID, P256, element(0x30, ONE, NUMBER, PUBLIC), element(0x81, b"\0")), EC_FOUND),
    (pkcs8(ZERO, EC_OID, NONE, SEC1), EC_FOUND),
    (pkcs8(ZERO, EC_OID, P256, SEC1), EC_FOUND),
    (pkcs8(ZERO, EC_OID, P384, SEC1), None),                                        # two curves
    (pkcs8(ZERO, EC_OID, NONE, element(0x30, ONE, NUMBER)), None),
    (pkcs8(ZERO, EC_OID, P256 + b"\5\0", SEC1), None),
    (pkcs8(ZERO, EC_OID, P256, element(0x30, ZERO, NUMBER)), None),                 # the inner version may not
    (pkcs8(ZERO, EC_OID, P256, PKCS1), None),
    (pkcs8(ZERO, ED25519_OID, NONE, element(4, bytes(32))), None),
    (pkcs8(TWO, EC_OID, P256, SEC1), None),
    (PKCS1, RSA_FOUND),
    (pkcs8(ZERO, RSA_OID, b"\5\0", PKCS1), RSA_FOUND),
    (pkcs8(ZERO, RSA_OID, NONE, PKCS1), RSA_FOUND),
    (pkcs8(ZERO, RSA_OID, b"\5\0", element(0x30, ONE, *RSA_NUMBERS)), None),        # more than two primes
    (element(0x30, ZERO, *RSA_NUMBERS, ONE), None),
    (element(0x30, ZERO, *RSA_NUMBERS[:-1]), None),
    (element(0x30, ZERO, ZERO, *RSA_NUMBERS[1:]), None),
    (element(0x30, ZERO, element(2, b"\0\0\1\0"), *RSA_NUMBERS[1:]), (9, *RSA_FOUND[1:])),
    (element(0x30, ZERO, *RSA_NUMBERS[:7], element(2, b"\x80")), None),
    (element(0x30, ZERO, *RSA_NUMBERS[:7], element(2)), None),
    (element(0x31, ONE, NUMBER, INSIDE), None),
    (b"", None),
])  # fmt: skip
def test_forms(der: bytes, found: Found | None) -> None:
    assert both(der) == found


def number(n: int) -> bytes:
    """An INTEGER of this many bytes, longer than `element` makes."""
    return b"\2\x82" + n.to_bytes(2, "big") + b"\7" * n


@pytest.mark.parametrize(("sizes", "good"), [
    ((1536, 1536, 1536, 1532, 1, 1, 1, 1), True), ((1561, 1, 1, 1, 1, 1, 1, 1), False),
    ((1, 1561, 1, 1, 1, 1, 1, 1), False), ((1, 1, 1561, 1, 1, 1, 1, 1), False), ((1, 1, 1, 1561, 1, 1, 1, 1), False),
    ((1, 1, 1, 307, 307, 307, 307, 308), True), ((1, 1, 1, 307, 307, 307, 307, 309), False),
    ((1, 1, 1, 1533, 1, 1, 1, 1), False), ((1, 1, 1, 1, 1533, 1, 1, 1), False), ((1, 1, 1, 1, 1, 1, 1, 1532), True),
])  # fmt: skip
def test_room(sizes: tuple[int, ...], good: bool) -> None:
    """Each number by itself, and those that are kept together."""
    fields = ZERO + b"".join(map(number, sizes))
    found = both(b"\x30\x82" + len(fields).to_bytes(2, "big") + fields)
    assert (found is not None) == good
