"""The P curves, ECDSA and RSA as key does them, against BearSSL's own, the `cryptography` package and RFC 6979.

They are nettle's where it is built in; what they give must not depend on that, to the byte.
"""

from __future__ import annotations

import functools
import hashlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from bearwrap import _bear

from .bearssl_cffi import load
from .curves import CURVES, IDS, ORDERS, PRIMES, SIZES

BEAR = load()
HASH_IDS = {"md5": 1, "sha1": 2, "sha224": 3, "sha256": 4, "sha384": 5, "sha512": 6}
curves = st.sampled_from(sorted(IDS))


def scalars(curve: str) -> st.SearchStrategy[bytes]:
    """Scalars in range, the ends and short ones among them."""
    order = ORDERS[curve]
    edges = st.sampled_from([1, 2, 3, order - 1, order - 2, order // 2, 1 << (order.bit_length() - 1)])
    return (st.integers(1, order - 1) | st.integers(1, 1 << 64) | edges).map(
        lambda number: number.to_bytes(SIZES[curve], "big")
    )


with_scalar = curves.flatmap(lambda curve: st.tuples(st.just(curve), scalars(curve)))
with_two = curves.flatmap(lambda curve: st.tuples(st.just(curve), scalars(curve), scalars(curve)))
digests = st.sampled_from(sorted(HASH_IDS)).flatmap(
    lambda name: st.tuples(st.just(name), st.binary(max_size=40).map(lambda text: hashlib.new(name, text).digest()))
)


def public(curve: str, scalar: bytes) -> bytes:
    found = _bear.curve_multiply(IDS[curve], scalar, None)
    assert found is not None
    return found


@given(with_scalar)
def test_base_point(given_: tuple[str, bytes]) -> None:
    curve, scalar = given_
    number = ec.derive_private_key(int.from_bytes(scalar, "big"), CURVES[curve])
    theirs = number.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    assert public(curve, scalar) == theirs == BEAR.public(curve, scalar)


def test_each_digit() -> None:
    """Of P-256, what a table of the base point's multiples has for seven bits, with and without others around them."""
    order = ORDERS["secp256r1"]
    for place in range(0, 256, 7):
        for digit in range(1, 128):
            for number in (digit << place, (digit << place) + order // 3, (digit << place) - 1):
                scalar = number % order
                if scalar:
                    key = ec.derive_private_key(scalar, CURVES["secp256r1"]).public_key().public_numbers()
                    awaited = b"\4" + key.x.to_bytes(32, "big") + key.y.to_bytes(32, "big")
                    assert public("secp256r1", scalar.to_bytes(32, "big")) == awaited


@given(with_two)
def test_a_point(given_: tuple[str, bytes, bytes]) -> None:
    """ECDH; a scalar that is longer by zeros or shorter by its zeros is the same."""
    curve, one, other = given_
    point = public(curve, other)
    product = _bear.curve_multiply(IDS[curve], one, point)
    theirs = ec.derive_private_key(int.from_bytes(one, "big"), CURVES[curve]).exchange(
        ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVES[curve], point)
    )
    assert product is not None and product[1 : 1 + SIZES[curve]] == theirs
    assert product == _bear.curve_multiply(IDS[curve], other, public(curve, one))
    assert product == BEAR.multiply(curve, point, one)
    assert product == _bear.curve_multiply(IDS[curve], b"\0\0\0" + one, point)
    assert product == _bear.curve_multiply(IDS[curve], one.lstrip(b"\0"), point)


@pytest.mark.parametrize("curve", IDS)
def test_refused_scalars(curve: str) -> None:
    """Zero, and the order or more: no point, no signature."""
    if not _bear.build_facts()["nettle"]:
        pytest.skip("BearSSL computes something")
    size, order, point = SIZES[curve], ORDERS[curve], public(curve, b"\1")
    for number in (0, order, order + 1, (1 << 8 * size) - 1, 1 << 8 * size):
        scalar = number.to_bytes(size + 1, "big")
        assert _bear.curve_multiply(IDS[curve], scalar, None) is None
        assert _bear.curve_multiply(IDS[curve], scalar, point) is None
        assert _bear.ecdsa_sign(IDS[curve], scalar, 4, bytes(32)) == b""


@pytest.mark.parametrize("curve", IDS)
def test_refused_points(curve: str) -> None:
    """Off the curve, a coordinate that is not reduced, compressed, infinity, of another length."""
    size, good = SIZES[curve], public(curve, b"\5")
    x = int.from_bytes(good[1 : 1 + size], "big")
    prime = PRIMES[curve]
    bad = [
        good[:-1] + bytes([good[-1] ^ 1]), b"\4" + bytes(2 * size), b"\4" + b"\xff" * 2 * size, b"\0", b"",
        b"\2" + good[1:], b"\6" + good[1:], good[: 1 + size], good + b"\0", good[:-1],
        b"\4" + prime.to_bytes(size, "big") + good[1 + size :],
    ]  # fmt: skip
    if x + prime < 1 << 8 * size:
        bad.append(b"\4" + (x + prime).to_bytes(size, "big") + good[1 + size :])
    for point in bad:
        assert _bear.curve_multiply(IDS[curve], b"\3", point) is None
        if len(point) == len(good):  # BearSSL writes beyond a shorter one
            assert not BEAR.multiply(curve, point, b"\3".rjust(size, b"\0"))
        assert not _bear.ecdsa_verify(IDS[curve], point, bytes(32), _bear.ecdsa_sign(IDS[curve], b"\5", 4, bytes(32)))


@given(with_scalar, digests)
@settings(max_examples=300)
def test_signatures_are_bearssls(given_: tuple[str, bytes], hashed: tuple[str, bytes]) -> None:
    """Deterministic (RFC 6979), so equal to the byte, for every hash with every curve; and good by another library."""
    (curve, scalar), (name, digest) = given_, hashed
    ours = _bear.ecdsa_sign(IDS[curve], scalar, HASH_IDS[name], digest)
    assert ours == BEAR.ecdsa_sign(curve, scalar, name, digest)
    point = public(curve, scalar)
    assert _bear.ecdsa_verify(IDS[curve], point, digest, ours)
    if name != "md5":
        prehashed = ec.ECDSA(utils.Prehashed(getattr(hashes, name.upper())()))
        ec.EllipticCurvePublicKey.from_encoded_point(CURVES[curve], point).verify(ours, digest, prehashed)


@given(with_scalar, st.integers(0, 1 << 16), st.integers(0, 7))
def test_turned_bits(given_: tuple[str, bytes], at: int, bit: int) -> None:
    """Both libraries say no to a signature, a digest or a key with one bit turned, or yes together."""
    curve, scalar = given_
    digest = hashlib.sha256(scalar).digest()
    signature = _bear.ecdsa_sign(IDS[curve], scalar, 4, digest)
    point = public(curve, scalar)

    def turned(text: bytes) -> bytes:
        place = at % len(text)
        return text[:place] + bytes([text[place] ^ 1 << bit]) + text[place + 1 :]

    for case in ((turned(point), digest, signature), (point, turned(digest), signature),
                 (point, digest, turned(signature))):  # fmt: skip
        assert _bear.ecdsa_verify(IDS[curve], *case) == BEAR.ecdsa_verify(curve, *case)
        assert not _bear.ecdsa_verify(IDS[curve], *case)


def asn1(r: int, s: int) -> bytes:
    return utils.encode_dss_signature(r, s)


@pytest.mark.parametrize("curve", IDS)
def test_refused_signatures(curve: str) -> None:
    """r or s zero, the order or more; cut; none."""
    digest, order = hashlib.sha256(b"message").digest(), ORDERS[curve]
    point, good = public(curve, b"\7"), _bear.ecdsa_sign(IDS[curve], b"\7", 4, digest)
    r, s = utils.decode_dss_signature(good)
    assert _bear.ecdsa_verify(IDS[curve], point, digest, good)
    assert _bear.ecdsa_verify(IDS[curve], point, digest, asn1(r, order - s))  # ECDSA's own other signature
    for bad in (asn1(0, s), asn1(r, 0), asn1(r + order, s), asn1(r, s + order), asn1(order, s), asn1(r, order),
                asn1(0, 0), asn1(1, 0), asn1(s, r), b"", good[:-1], good + b"\0", b"\x30\x00"):  # fmt: skip
        assert not _bear.ecdsa_verify(IDS[curve], point, digest, bad), bad.hex()
    assert not _bear.ecdsa_verify(22, point, digest, good)


# RFC 6979 sections A.2.5 to A.2.7: curve, key, then hash, message, r, s
RFC6979 = {
    "secp256r1": ("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721", [
        ("sha1", b"sample", "61340C88C3AAEBEB4F6D667F672CA9759A6CCAA9FA8811313039EE4A35471D32",
         "6D7F147DAC089441BB2E2FE8F7A3FA264B9C475098FDCF6E00D7C996E1B8B7EB"),
        ("sha224", b"sample", "53B2FFF5D1752B2C689DF257C04C40A587FABABB3F6FC2702F1343AF7CA9AA3F",
         "B9AFB64FDC03DC1A131C7D2386D11E349F070AA432A4ACC918BEA988BF75C74C"),
        ("sha256", b"sample", "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
         "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"),
        ("sha384", b"sample", "0EAFEA039B20E9B42309FB1D89E213057CBF973DC0CFC8F129EDDDC800EF7719",
         "4861F0491E6998B9455193E34E7B0D284DDD7149A74B95B9261F13ABDE940954"),
        ("sha512", b"sample", "8496A60B5E9B47C825488827E0495B0E3FA109EC4568FD3F8D1097678EB97F00",
         "2362AB1ADBE2B8ADF9CB9EDAB740EA6049C028114F2460F96554F61FAE3302FE"),
        ("sha256", b"test", "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
         "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"),
    ]),
    "secp384r1": ("6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5", [
        ("sha256", b"sample",
         "21B13D1E013C7FA1392D03C5F99AF8B30C570C6F98D4EA8E354B63A21D3DAA33BDE1E888E63355D92FA2B3C36D8FB2CD",
         "F3AA443FB107745BF4BD77CB3891674632068A10CA67E3D45DB2266FA7D1FEEBEFDC63ECCD1AC42EC0CB8668A4FA0AB0"),
        ("sha384", b"sample",
         "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46",
         "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8"),
    ]),
    "secp521r1": ("00FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75"
                  "CAA896EB32F1F47C70855836A6D16FCC1466F6D8FBEC67DB89EC0C08B0E996B83538", [
        ("sha256", b"sample",
         "01511BB4D675114FE266FC4372B87682BAECC01D3CC62CF2303C92B3526012659D16876E25C7C1E57648F23B73564D67F61C"
         "6F14D527D54972810421E7D87589E1A7",
         "004A171143A83163D6DF460AAF61522695F207A58B95C0644D87E52AA1A347916E4F7A72930B1BC06DBE22CE3F58264AFD23"
         "704CBB63B29B931F7DE6C9D949A7ECFC"),
        ("sha512", b"sample",
         "00C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E25A1EE9017B5D450606ADD152B534931"
         "D7D4E8455CC91F9B15BF05EC36E377FA",
         "00617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA209417308281B68AF282623EAA63E5B5C0723D8B8C37FF0777B1A"
         "20F8CCB1DCCC43997F1EE0E44DA4A67A"),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("curve", RFC6979)
def test_rfc6979(curve: str) -> None:
    key, rows = RFC6979[curve]
    for name, message, r, s in rows:
        made = _bear.ecdsa_sign(IDS[curve], bytes.fromhex(key), HASH_IDS[name], hashlib.new(name, message).digest())
        assert utils.decode_dss_signature(made) == (int(r, 16), int(s, 16)), name


# ---- RSA ----


@functools.cache
def rsa_key(bits: int) -> tuple[rsa.RSAPrivateNumbers, bytes]:
    key = rsa.generate_private_key(65537, bits)
    der = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return key.private_numbers(), der


@pytest.mark.parametrize("bits", [1024, 1031, 2048, 2050, 3072, 4096])
def test_rsa(bits: int) -> None:
    """Of numbers at random and at the ends."""
    numbers, der = rsa_key(bits)
    n, size = numbers.public_numbers.n, (bits + 7) // 8
    for seed in range(8):
        text = hashlib.shake_256(bytes([seed])).digest(size)
        for number in (int.from_bytes(text, "big") % n, seed, n - 1 - seed, numbers.p * (seed + 1), numbers.q):
            awaited = pow(number, numbers.d, n).to_bytes(size, "big")
            assert _bear.rsa_private(der, number.to_bytes(size, "big")) == awaited


@pytest.mark.parametrize("bits", [1024, 1031, 2048, 4096])
def test_rsa_public(bits: int) -> None:
    """Against Python's numbers; leading zeros of modulus and exponent do not count."""
    numbers, der = rsa_key(bits)
    n, size = numbers.public_numbers.n, (bits + 7) // 8
    for e in (65537, 3, 1, 0x10001_0001, numbers.d):
        exponent = e.to_bytes((e.bit_length() + 7) // 8, "big")
        for number in (0, 1, 2, n - 1, n // 3, numbers.p):
            text, awaited = number.to_bytes(size, "big"), pow(number, e, n).to_bytes(size, "big")
            assert _bear.rsa_public(n.to_bytes(size, "big"), exponent, text) == awaited
            assert _bear.rsa_public(n.to_bytes(size + 3, "big"), b"\0" + exponent, text) == awaited
    root = _bear.rsa_private(der, b"\0" + bytes(range(size - 1 & 0xFF)).rjust(size - 1, b"\7"))
    assert root and _bear.rsa_public(n.to_bytes(size, "big"), b"\1\0\1", root)


def test_rsa_public_refuses() -> None:
    """What BearSSL refuses, and by the same rules."""
    numbers, _der = rsa_key(1024)
    n = numbers.public_numbers.n.to_bytes(128, "big")
    even = n[:-1] + b"\0"
    big = b"\x80" + bytes(511) + b"\1"
    for modulus, number in ((n, n), (n, b"\xff" * 128), (n, bytes(127)), (n, bytes(129)), (n, b""), (even, bytes(128)),
                            (b"", b""), (bytes(8), bytes(8)), (big, bytes(513)), (bytes(600), b"")):  # fmt: skip
        assert _bear.rsa_public(modulus, b"\3", number) is None


def integer(number: int) -> bytes:
    text = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return b"\2" + length(len(text)) + text


def length(n: int) -> bytes:
    return bytes([n]) if n < 128 else b"\x82" + n.to_bytes(2, "big")


def test_rsa_keys_that_are_none() -> None:
    """Numbers that do not belong together, or none at all: no crash, and no answer where that can be told."""
    numbers, _der = rsa_key(1024)
    n, p, q = numbers.public_numbers.n, numbers.p, numbers.q
    whole = [0, n, 65537, numbers.d, p, q, numbers.dmp1, numbers.dmq1, numbers.iqmp]
    for at in (1, 4, 5, 6, 7, 8):
        for wrong in (0, 1, 2, whole[at] + 1, whole[at] << 64, whole[at] >> 64 | 1, n, n * n):
            fields = b"".join(map(integer, [*whole[:at], wrong, *whole[at + 1 :]]))
            try:
                got = _bear.rsa_private(b"\x30" + length(len(fields)) + fields, bytes(127) + b"\2")
            except ValueError:
                continue
            assert got is None or len(got) == 128
            if at in (4, 5) and wrong % 2 == 0:
                assert got is None
