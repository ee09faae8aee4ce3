"""BearSSL itself, bound by cffi, against hashlib and the `cryptography` package, and against the RFCs' own examples.

It is the other leg of the Cython binding's tests: what both bindings agree on with a third party is bound right.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from bearwrap import _bear
from tests.wire.crypto import p_hash, prf
from tests.wire.names import TLS10, TLS12

from .bearssl_cffi import HASHES, load

BEAR = load()
CURVES = {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1(), "secp521r1": ec.SECP521R1()}
texts = st.binary(max_size=300)


@given(texts)
def test_hashes(text: bytes) -> None:
    """Every hash function of a handshake."""
    for name in HASHES:
        assert BEAR.digest(name, text) == hashlib.new(name, text).digest()


# FIPS 180-4's examples, as the Secure Hash Standard's validation publishes them
SHA2 = [
    ("sha224", b"abc", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
    ("sha256", b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("sha256", b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("sha256", b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
    ("sha256", b"a" * 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "awaited"), SHA2)
def test_sha2_vectors(name: str, text: bytes, awaited: str) -> None:
    assert _bear.hash_pieces(HASHES[name], [text], False).hex() == awaited


@given(st.lists(st.binary(max_size=150) | st.sampled_from([64, 128, 192]).map(bytes), max_size=8), st.booleans())
def test_hashes_of_net_and_key_are_bearssls(pieces: list[bytes], carried: bool) -> None:
    """In pieces, and with the state handed on where it stands for all so far."""
    for name, number in HASHES.items():
        assert _bear.hash_pieces(number, pieces, carried) == BEAR.digest(name, b"".join(pieces))


def test_libcrypto_has_the_rounds_of_sha256() -> None:
    """A weak symbol that nothing takes the place of is no error of the linker."""
    facts = _bear.build_facts()
    linked = b"sha256_block_data_order_shaext" in Path(_bear.__file__).read_bytes()
    assert linked == bool(facts["libcrypto"] and facts["vendored"])


@given(texts, texts)
def test_hmac(key: bytes, text: bytes) -> None:
    """Keys shorter and longer than a block."""
    for name in ("md5", "sha1", "sha256", "sha384", "sha512"):
        assert BEAR.hmac(name, key, text) == hmac.digest(key, text, name)


def test_hmac_states_stand_for_the_key() -> None:
    """The inner state is the hash state after the padded key, which the isolation tests search memory for."""
    pad = bytes(byte ^ 0x36 for byte in b"key".ljust(64, b"\0"))
    inner, outer = BEAR.hmac_states("sha256", b"key")
    assert inner != outer and len(inner) == len(outer) == 32
    # the state after one block is what a hash of exactly that block starts its padding block from
    assert inner != hashlib.sha256(pad).digest()
    assert BEAR.hmac_states("sha256", b"key".ljust(64, b"\0")) == (inner, outer)


@given(texts, st.binary(min_size=1, max_size=80), st.lists(st.binary(max_size=40), max_size=3), st.integers(1, 200))
def test_prf(secret: bytes, label: bytes, seeds: list[bytes], length: int) -> None:
    """RFC 5246 section 5 and RFC 2246 section 5, the seed in one piece or in several."""
    label = label.replace(b"\0", b"x")
    seed = b"".join(seeds)
    for name in ("sha256", "sha384"):
        assert BEAR.prf(name, secret, label, seeds, length) == prf(TLS12, name, secret, label, seed, length=length)
    assert BEAR.prf("tls10", secret, label, seeds, length) == prf(TLS10, "", secret, label, seed, length=length)


def test_prf_vector() -> None:
    """The P_SHA256 example that the TLS working group's list circulated for RFC 5246."""
    secret = bytes.fromhex("9bbe436ba940f017b17652849a71db35")
    seed = bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c")
    awaited = "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a"
    assert BEAR.prf("sha256", secret, b"test label", [seed], 32).hex() == awaited
    assert p_hash("sha256", secret, b"test label" + seed, 32).hex() == awaited


@given(st.sampled_from([16, 24, 32]).flatmap(lambda n: st.binary(min_size=n, max_size=n)),
       st.binary(min_size=12, max_size=12), texts, texts)  # fmt: skip
def test_gcm(key: bytes, nonce: bytes, aad: bytes, text: bytes) -> None:
    """AES-GCM in each implementation that this processor runs, both ways."""
    whole = AESGCM(key).encrypt(nonce, text, aad)
    for name in BEAR.gcm_implementations():
        assert b"".join(BEAR.gcm(key, nonce, aad, text, True, name)) == whole
        assert BEAR.gcm(key, nonce, aad, whole[:-16], False, name) == (text, whole[-16:])


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=12, max_size=12), texts, texts)
def test_chacha20_poly1305(key: bytes, nonce: bytes, aad: bytes, text: bytes) -> None:
    """BearSSL's own, both ways."""
    whole = ChaCha20Poly1305(key).encrypt(nonce, text, aad)
    assert b"".join(BEAR.chacha20_poly1305(key, nonce, aad, text, True)) == whole
    assert BEAR.chacha20_poly1305(key, nonce, aad, whole[:-16], False) == (text, whole[-16:])


def test_chacha20_poly1305_vector() -> None:
    """RFC 8439 section 2.8.2."""
    key = bytes(range(0x80, 0xA0))
    nonce = bytes.fromhex("070000004041424344454647")
    aad = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    text = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
            b"sunscreen would be it.")  # fmt: skip
    sealed, tag = BEAR.chacha20_poly1305(key, nonce, aad, text, True)
    assert sealed[:16].hex() == "d31a8d34648e60db7b86afbc53ef7ec2"
    assert tag.hex() == "1ae10b594f09e26a7e902ecbd0600691"


X25519 = [
    ("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
     "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
     "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"),
    ("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
     "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
     "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"),
]  # fmt: skip


@pytest.mark.parametrize(("scalar", "point", "awaited"), X25519)
def test_x25519_vectors(scalar: str, point: str, awaited: str) -> None:
    """RFC 7748 section 5.2."""
    got = BEAR.multiply("x25519", bytes.fromhex(point), bytes.fromhex(scalar))
    assert got is not None and got.hex() == awaited


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_x25519(scalar: bytes, other: bytes) -> None:
    """Public keys and shared secrets, as the other library has them."""
    theirs = x25519.X25519PrivateKey.from_private_bytes(other)
    ours = x25519.X25519PrivateKey.from_private_bytes(scalar)
    public = theirs.public_key().public_bytes_raw()
    assert BEAR.public("x25519", scalar) == ours.public_key().public_bytes_raw()
    assert BEAR.multiply("x25519", public, scalar) == ours.exchange(theirs.public_key())


@pytest.mark.parametrize(("scalar", "point", "awaited"), X25519)
def test_x25519_of_key_vectors(scalar: str, point: str, awaited: str) -> None:
    """RFC 7748 section 5.2, by what key uses: libsodium's where it is built in."""
    assert _bear.x25519(bytes.fromhex(scalar), bytes.fromhex(point)).hex() == awaited


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_x25519_of_key_is_bearssls(scalar: bytes, point: bytes) -> None:
    """Points on the curve and on its twist, with the high bit set and not, reduced and not."""
    assert _bear.x25519(scalar, point) == BEAR.multiply("x25519", point, scalar)
    assert _bear.x25519(scalar, None) == BEAR.public("x25519", scalar)


# all points of small order, in the forms that 255 bits allow (RFC 7748 section 7; Bernstein's list)
SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_point_of_small_order_gives_zeros(point: str) -> None:
    """key refuses a shared secret of zeros, so both libraries must give it."""
    assert _bear.x25519(bytes(range(32)), bytes.fromhex(point)) == bytes(32)
    assert BEAR.multiply("x25519", bytes.fromhex(point), bytes(range(32))) == bytes(32)


@pytest.mark.parametrize("curve", CURVES)
def test_ecdh(curve: str) -> None:
    """The P curves: public point and shared x coordinate; a point off the curve is refused."""
    ours, theirs = ec.generate_private_key(CURVES[curve]), ec.generate_private_key(CURVES[curve])
    size = (CURVES[curve].key_size + 7) // 8
    scalar = ours.private_numbers().private_value.to_bytes(size, "big")
    numbers = theirs.public_key().public_numbers()
    point = b"\4" + numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
    product = BEAR.multiply(curve, point, scalar)
    assert product is not None and product[1 : 1 + size] == ours.exchange(ec.ECDH(), theirs.public_key())
    assert BEAR.multiply(curve, point[:-1] + bytes([point[-1] ^ 1]), scalar) is None


@pytest.mark.parametrize("curve", CURVES)
def test_ecdsa(curve: str) -> None:
    """Signatures cross both ways; a turned bit in digest or signature does not verify."""
    key = ec.generate_private_key(CURVES[curve])
    size = (CURVES[curve].key_size + 7) // 8
    numbers = key.private_numbers()
    public = numbers.public_numbers
    point = b"\4" + public.x.to_bytes(size, "big") + public.y.to_bytes(size, "big")
    assert BEAR.public(curve, numbers.private_value.to_bytes(size, "big")) == point
    digest = hashlib.sha256(b"message").digest()
    prehashed = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
    signature = key.sign(digest, prehashed)
    assert BEAR.ecdsa_verify(curve, point, digest, signature)
    for at in range(len(digest)):
        turned = digest[:at] + bytes([digest[at] ^ 1]) + digest[at + 1 :]
        assert not BEAR.ecdsa_verify(curve, point, turned, signature)
    own = BEAR.ecdsa_sign(curve, numbers.private_value.to_bytes(size, "big"), "sha256", digest)
    key.public_key().verify(own, digest, prehashed)
    with pytest.raises(InvalidSignature):
        key.public_key().verify(own, hashlib.sha256(b"another").digest(), prehashed)
