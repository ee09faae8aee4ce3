"""Wycheproof's vectors for every primitive that a connection uses, as key uses it.

A file is one test that looks at all of its cases and names those where the verdict is another. `acceptable` cases are
settled here, each by its flag; what is not said is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from bearwrap import _bear

from .bearssl_cffi import load
from .curves import IDS, SIZES
from .wycheproof import Case, cases, raw

BEAR = load()
SCHEMES = {
    ("secp256r1", "SHA-256"): 0x0403, ("secp384r1", "SHA-384"): 0x0503, ("secp521r1", "SHA-512"): 0x0603,
}  # fmt: skip
PSS = {"SHA-256": 0x0804, "SHA-384": 0x0805, "SHA-512": 0x0806}
HASHES = {"SHA-224": ("sha224", 3), "SHA-256": ("sha256", 4), "SHA-384": ("sha384", 5), "SHA-512": ("sha512", 6)}
needs_ed25519 = pytest.mark.skipif(not _bear.build_facts()["sodium"], reason="Ed25519 is libsodium's")


def judge(folder: str, name: str, verdict: Callable[[Case, Case], bool], acceptable: set[str] | None = None) -> None:
    """Fail with the cases where the verdict is not Wycheproof's; flags in `acceptable` are accepted."""
    wrong, seen = [], 0
    for group, case in cases(folder, name):
        awaited = case["result"] == "valid"
        if case["result"] == "acceptable":
            awaited = bool(set(case["flags"]) & (acceptable or set()))
        seen += 1
        if verdict(group, case) != awaited:
            wrong.append((case["tcId"], case["result"], case["flags"], case["comment"]))
    assert seen and not wrong


def known(verify: Callable[[bytes], bool], group: Case) -> bool:
    """A key that is not understood verifies nothing."""
    try:
        return verify(raw(group, "publicKeyDer"))
    except ValueError:
        return False


ECDSA = [
    f"ecdsa_{curve}_{sha}"
    for curve in IDS
    for sha in ("sha224", "sha256", "sha384", "sha512")
    if (curve, sha) not in {("secp256r1", "sha224"), ("secp256r1", "sha384"), ("secp384r1", "sha224"),
                            ("secp521r1", "sha224"), ("secp521r1", "sha256"), ("secp521r1", "sha384")}
]  # fmt: skip


@pytest.mark.parametrize("name", ECDSA)
def test_ecdsa(name: str) -> None:
    """As TLS 1.3 binds curve to hash, strict DER; the other pairs as certificates have them, where BER may pass."""

    def verdict(group: Case, case: Case) -> bool:
        message, signature = raw(case, "msg"), raw(case, "sig")
        scheme = SCHEMES.get((group["publicKey"]["curve"], group["sha"]))
        if scheme:
            return known(lambda key: _bear.verify_scheme(key, scheme, message, signature), group)
        name, number = HASHES[group["sha"]]
        digest = hashlib.new(name, message).digest()
        good = known(lambda key: _bear.digest_verify(key, number, digest, signature), group)
        return good and not set(case["flags"]) & {"BerEncodedSignature", "MissingZero", "InvalidEncoding"}

    judge("Signature", name, verdict)


@pytest.mark.parametrize("name", ECDSA)
def test_what_bearssl_says_of_ecdsa(name: str) -> None:
    """Whoever makes the multiplications, the verdict is the same."""
    wrong = []
    for group, case in cases("Signature", name):
        curve, sha = group["publicKey"]["curve"], HASHES[group["sha"]][0]
        digest = hashlib.new(sha, raw(case, "msg")).digest()
        asked = (bytes.fromhex(group["publicKey"]["uncompressed"]), digest, raw(case, "sig"))
        if _bear.ecdsa_verify(IDS[curve], *asked) != BEAR.ecdsa_verify(curve, *asked):
            wrong.append((case["tcId"], case["comment"]))
    assert not wrong


@needs_ed25519
def test_ed25519() -> None:
    """A public key with a part of small order passes, as RFC 8032 leaves it open."""

    def verdict(group: Case, case: Case) -> bool:
        return known(lambda key: _bear.verify_scheme(key, 0x0807, raw(case, "msg"), raw(case, "sig")), group)

    judge("Signature", "ed25519", verdict, {"MixedOrderPublicKey"})


@needs_ed25519
def test_ed25519_signatures() -> None:
    """RFC 8032 section 7.1: seed, message, signature."""
    head = bytes.fromhex("302e020100300506032b657004220420")
    for seed, message, signature in (
        ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
         "655141438e7a100b"),
        ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
         "b00d291612bb0c00"),
        ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
         "c027beceea1ec40a"),
    ):  # fmt: skip
        made = _bear.sign_scheme(head + bytes.fromhex(seed), 0x0807, bytes.fromhex(message))
        assert made.hex() == signature


PSS_FILES = [
    "rsa_pss_2048_sha256_mgf1_32", "rsa_pss_2048_sha384_mgf1_48", "rsa_pss_3072_sha256_mgf1_32",
    "rsa_pss_4096_sha256_mgf1_32", "rsa_pss_4096_sha384_mgf1_48", "rsa_pss_4096_sha512_mgf1_64",
    "rsa_pss_2048_sha256_mgf1_0", "rsa_pss_4096_sha512_mgf1_32", "rsa_pss_2048_sha256_mgf1sha1_20", "rsa_pss_misc",
]  # fmt: skip


@pytest.mark.parametrize("name", PSS_FILES)
def test_rsa_pss(name: str) -> None:
    """The last four files have salts of other lengths and other hashes, which TLS 1.3 does not allow."""
    wrong, good = [], 0
    for group, case in cases("Signature", name):
        size = int(group["sha"].split("-")[1].split("/")[0]) // 8
        ours = group["mgfSha"] == group["sha"] and group["sha"] in PSS
        salted = case["result"] == "valid" and group["sLen"] == size
        awaited = ours and (salted or case["comment"] == f"s_len changed to {size}")
        good += awaited
        for sha, scheme in PSS.items():
            asked = (scheme, raw(case, "msg"), raw(case, "sig"))
            got = known(lambda key, asked=asked: _bear.verify_scheme(key, *asked), group)  # type: ignore[misc]
            if got != (awaited and sha == group["sha"]):
                wrong.append((case["tcId"], case["result"], sha, case["flags"], case["comment"]))
    assert not wrong
    assert good or name in PSS_FILES[6:]


PKCS1 = [f"rsa_signature_{bits}_{sha}" for bits in (2048, 3072, 4096) for sha in ("sha256", "sha384", "sha512")]


@pytest.mark.parametrize("name", PKCS1)
def test_rsa_pkcs1(name: str) -> None:
    """As TLS 1.2 and certificates have it; a missing NULL in the padding is read as RFC 8017 appendix A.2.4 allows."""

    def verdict(group: Case, case: Case) -> bool:
        name, number = HASHES[group["sha"]]
        digest = hashlib.new(name, raw(case, "msg")).digest()
        return known(lambda key: _bear.digest_verify(key, number, digest, raw(case, "sig")), group)

    judge("Signature", name, verdict, {"MissingNull"})


@pytest.mark.parametrize("multiply", [_bear.x25519, None], ids=["key's", "BearSSL's"])
def test_x25519(multiply: Callable[[bytes, bytes], bytes] | None) -> None:
    """All are computed; a shared secret of zeros is given as such, and refused where it is used."""

    def verdict(_group: Case, case: Case) -> bool:
        private, public, shared = (raw(case, field) for field in ("private", "public", "shared"))
        got = multiply(private, public) if multiply else BEAR.multiply("x25519", public, private)
        return got == shared

    flags = {flag for _group, case in cases("Protocol", "x25519") for flag in case["flags"]}
    judge("Protocol", "x25519", verdict, flags)


@pytest.mark.parametrize("curve", IDS)
def test_ecdh(curve: str) -> None:
    """Points as TLS sends them; compressed ones are refused (RFC 8446 section 4.2.8.2)."""
    size = SIZES[curve]

    def verdict(_group: Case, case: Case) -> bool:
        point, scalar = raw(case, "public"), raw(case, "private")
        product = _bear.curve_multiply(IDS[curve], scalar, point) if len(point) <= 192 else None
        return product is not None and product[1 : 1 + size] == raw(case, "shared")

    judge("Protocol", f"ecdh_{curve}_ecpoint", verdict)


def test_chacha20_poly1305() -> None:
    """Both ways, by what key uses and by BearSSL's own; nonces of another size than 12 bytes are not for TLS."""

    def verdict(_group: Case, case: Case) -> bool:
        key, nonce, aad, text, sealed, tag = (raw(case, at) for at in ("key", "iv", "aad", "msg", "ct", "tag"))
        if len(nonce) != 12:
            return False
        for function in (_bear.chacha20_poly1305, BEAR.chacha20_poly1305):
            if function(key, nonce, aad, sealed, False)[1] != tag:
                return False
            assert function(key, nonce, aad, text, True) == (sealed, tag)
            assert function(key, nonce, aad, sealed, False) == (text, tag)
        return True

    judge("Cipher", "chacha20_poly1305", verdict)


def test_aes_gcm() -> None:
    """Each implementation that this processor has; the empty nonce, which GCM does not know, is not asked for."""

    def verdict(_group: Case, case: Case) -> bool:
        key, nonce, aad, text, sealed, tag = (raw(case, at) for at in ("key", "iv", "aad", "msg", "ct", "tag"))
        if not nonce:
            return False
        for name in BEAR.gcm_implementations():
            if BEAR.gcm(key, nonce, aad, sealed, False, name)[1] != tag:
                return False
            assert BEAR.gcm(key, nonce, aad, text, True, name) == (sealed, tag)
            assert BEAR.gcm(key, nonce, aad, sealed, False, name) == (text, tag)
        return True

    judge("Cipher", "aes_gcm", verdict)
