"""The signature schemes of TLS 1.3: ours verified by the `cryptography` package and theirs by us, over random messages.

Wycheproof's vectors have a file of their own. An identity that cannot sign by a scheme says so; nothing else verifies.
"""

from __future__ import annotations

import functools

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from bearwrap import _bear

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
ECDSA = {
    0x0403: ("p256", hashes.SHA256()), 0x0503: ("p384", hashes.SHA384()), 0x0603: ("p521", hashes.SHA512()),
}  # fmt: skip
PSS = {0x0804: hashes.SHA256(), 0x0805: hashes.SHA384(), 0x0806: hashes.SHA512()}
ED25519 = 0x0807
UNKNOWN = [0, 0x0401, 0x0201, 0x0203, 0x0808, 0x0809, 0x080A, 0x080B, 0x081A, 0xFFFF]
HAS_ED25519 = bool(_bear.build_facts()["sodium"])
# whole bytes, one bit more (the encoding then has a byte less), one bit less; 1024 is too short for SHA-512
RSA = ["rsa1024", "rsa1025", "rsa1031", "rsa2048", "rsa2049", "rsa3072", "rsa4096"]
KINDS = [*RSA, "p256", "p384", "p521", *(["ed25519"] if HAS_ED25519 else [])]


@functools.cache
def key(kind: str) -> PrivateKey:
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}[kind])


def private(kind: str, form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8) -> bytes:
    return key(kind).private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())


def public(kind: str) -> bytes:
    return key(kind).public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def schemes_of(kind: str) -> list[int]:
    """What a key can sign by."""
    if kind.startswith("rsa"):
        room = (int(kind[3:]) + 6) // 8
        return [scheme for scheme, hash_ in PSS.items() if room >= 2 * hash_.digest_size + 2]
    return [ED25519] if kind == "ed25519" else [scheme for scheme, (name, _hash) in ECDSA.items() if name == kind]


def theirs(kind: str, scheme: int, message: bytes, salt: int | None = None) -> bytes:
    """A signature by the other library."""
    signer = key(kind)
    if isinstance(signer, rsa.RSAPrivateKey):
        hash_ = PSS[scheme]
        pad = padding.PSS(padding.MGF1(hash_), hash_.digest_size if salt is None else salt)
        return signer.sign(message, pad, hash_)
    if isinstance(signer, ec.EllipticCurvePrivateKey):
        return signer.sign(message, ec.ECDSA(ECDSA[scheme][1]))
    return signer.sign(message)


def judged(kind: str, scheme: int, message: bytes, signature: bytes) -> bool:
    """The other library's verdict."""
    judge = key(kind).public_key()
    try:
        if isinstance(judge, rsa.RSAPublicKey):
            hash_ = PSS[scheme]
            judge.verify(signature, message, padding.PSS(padding.MGF1(hash_), hash_.digest_size), hash_)
        elif isinstance(judge, ec.EllipticCurvePublicKey):
            judge.verify(signature, message, ec.ECDSA(ECDSA[scheme][1]))
        else:
            judge.verify(signature, message)
    except InvalidSignature:
        return False
    return True


PAIRS = [(kind, scheme) for kind in KINDS for scheme in schemes_of(kind)]


@pytest.mark.parametrize(("kind", "scheme"), PAIRS)
@given(message=st.binary(max_size=300))
@settings(max_examples=12)
def test_both_ways(kind: str, scheme: int, message: bytes) -> None:
    made = _bear.sign_scheme(private(kind), scheme, message)
    assert judged(kind, scheme, message, made)
    assert _bear.verify_scheme(public(kind), scheme, message, made)
    assert _bear.verify_scheme(public(kind), scheme, message, theirs(kind, scheme, message))


@pytest.mark.parametrize(("kind", "scheme"), PAIRS)
def test_each_turned_bit(kind: str, scheme: int) -> None:
    """Each byte of a signature, and the message."""
    message = b"message"
    made = theirs(kind, scheme, message)
    for at in range(len(made)):
        bad = made[:at] + bytes([made[at] ^ 1 << at % 8]) + made[at + 1 :]
        assert not _bear.verify_scheme(public(kind), scheme, message, bad), at
    for bad in (b"", made[:-1], made + b"\0", b"\0" + made, bytes(len(made)), b"\xff" * len(made)):
        assert not _bear.verify_scheme(public(kind), scheme, message, bad)
    assert not _bear.verify_scheme(public(kind), scheme, b"Message", made)


@pytest.mark.parametrize("kind", KINDS)
def test_only_its_schemes(kind: str) -> None:
    """The curve belongs to the scheme (RFC 8446 section 4.2.3); PKCS#1 and SHA-1 are no schemes of a handshake."""
    good = schemes_of(kind)
    signature = theirs(kind, good[0], b"message")
    for scheme in [*ECDSA, *PSS, ED25519, *UNKNOWN]:
        made = _bear.sign_scheme(private(kind), scheme, b"message")
        assert bool(made) == (scheme in good), hex(scheme)
        assert _bear.verify_scheme(public(kind), scheme, b"message", signature) == (scheme == good[0])


@pytest.mark.parametrize("kind", KINDS)
def test_keys_of_another(kind: str) -> None:
    """A signature of one key is none of another."""
    for other in KINDS:
        for scheme in schemes_of(other) if other != kind else []:
            assert not _bear.verify_scheme(public(kind), scheme, b"message", theirs(other, scheme, b"message"))


@pytest.mark.parametrize("salt", [0, 1, 20, 31, 33, 64])
def test_a_salt_of_another_length(salt: int) -> None:
    """Well padded, and refused: the salt is as long as the hash (RFC 8446 section 4.2.3)."""
    assert not _bear.verify_scheme(public("rsa2048"), 0x0804, b"message", theirs("rsa2048", 0x0804, b"message", salt))


def test_salts_differ() -> None:
    """Ed25519 and ECDSA are deterministic, RSA-PSS is not."""
    for kind in ("p256", "ed25519", "rsa2048"):
        if kind in KINDS:
            made = {_bear.sign_scheme(private(kind), schemes_of(kind)[0], b"message") for _ in range(4)}
            assert len(made) == (4 if kind == "rsa2048" else 1)


def encoded(kind: str, scheme: int, change: dict[int, int]) -> bytes:
    """An RSA-PSS signature whose encoding has bytes xored, at offsets from its start or end."""
    signer = key(kind)
    assert isinstance(signer, rsa.RSAPrivateKey)
    numbers = signer.private_numbers()
    n = numbers.public_numbers.n
    size = (n.bit_length() + 7) // 8
    message = bytearray(
        pow(int.from_bytes(theirs(kind, scheme, b"message"), "big"), 65537, n).to_bytes(size, "big")
    )
    for at, bits in change.items():
        message[at] ^= bits
    return pow(int.from_bytes(message, "big"), numbers.d, n).to_bytes(size, "big")


@pytest.mark.parametrize(("kind", "change"), [
    ("rsa2048", {-1: 0x01}), ("rsa2048", {-1: 0x80}),                           # not 0xBC
    ("rsa2048", {1: 0x01}), ("rsa2048", {100: 0x40}),                           # the padding's zeros
    ("rsa2048", {-33 - 33: 0x01}), ("rsa2048", {-33 - 33: 0x02}),               # its one
    ("rsa2048", {-33 - 1: 0x01}), ("rsa2048", {-33 - 32: 0x80}),                # the salt
    ("rsa2048", {-2: 0x01}), ("rsa2048", {-33: 0x01}),                          # the hash
    ("rsa1025", {0: 0x01}), ("rsa2049", {0: 0x01}),                             # the byte before the encoding
    ("rsa1031", {0: 0x40}),                                                     # the unused bits
])  # fmt: skip
def test_bad_encodings(kind: str, change: dict[int, int]) -> None:
    """Each check of EMSA-PSS-VERIFY by itself (RFC 8017 section 9.1.2), behind a right exponentiation."""
    assert _bear.verify_scheme(public(kind), 0x0804, b"message", encoded(kind, 0x0804, {}))
    assert not _bear.verify_scheme(public(kind), 0x0804, b"message", encoded(kind, 0x0804, change))


@pytest.mark.skipif(not HAS_ED25519, reason="Ed25519 is libsodium's")
def test_forms_of_an_ed25519_key() -> None:
    """RFC 8410 section 7: version 1, version 2 with the public key behind; nothing cut, added or of another kind."""
    plain = private("ed25519")
    seed = plain[-32:]
    public_half = public("ed25519")[-32:]
    assert plain.hex().startswith("302e020100300506032b657004220420")
    with_public = bytes.fromhex("3051020101300506032b657004220420") + seed + bytes.fromhex("812100") + public_half
    with_attributes = bytes.fromhex("3030020100300506032b657004220420") + seed + bytes.fromhex("a000")
    made = _bear.sign_scheme(plain, ED25519, b"message")
    for form in (with_public, with_attributes):
        assert _bear.sign_scheme(form, ED25519, b"message") == made
    changed = [(b"\x2b\x65\x70", b"\x2b\x65\x71"), (b"\2\1\0", b"\2\1\2"), (b"\4\x22\4\x20", b"\4\x22\4\x1f")]
    cut = [plain[:-1], plain + b"\0", b"\x30\x2d" + plain[2:-1], b""]
    for bad in cut + [plain.replace(old, new, 1) for old, new in changed]:
        with pytest.raises(ValueError, match="BearSSL error"):
            _bear.sign_scheme(bad, ED25519, b"message")


@pytest.mark.parametrize("kind", ["rsa2048", "p256", "p384", "p521"])
def test_forms_of_the_others(kind: str) -> None:
    """PKCS#1 and SEC 1 as well as PKCS#8."""
    form = serialization.PrivateFormat.TraditionalOpenSSL
    scheme = schemes_of(kind)[0]
    assert judged(kind, scheme, b"message", _bear.sign_scheme(private(kind, form), scheme, b"message"))
