"""Signatures of the handshake: checks the server's, makes the client's.

Before TLS 1.2 an RSA signature covers MD5 and SHA-1 with no DigestInfo (RFC 4346 7.4.3); signing so is done
with plain integers here, since no library offers it.
"""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from .names import PSS_SCHEMES, SCHEME_HASHES

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),
    "sha1": hashes.SHA1(),
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
RSA, ECDSA = 1, 3


def _old_digest(data: bytes) -> bytes:
    return hashlib.md5(data).digest() + hashlib.sha1(data).digest()


def verify(certificate: bytes, scheme: int | None, signature: bytes, data: bytes) -> None:
    """Check the server's signature over `data`; ValueError if it is wrong or of another kind than the key."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if scheme is None:
                found = key.recover_data_from_signature(signature, padding.PKCS1v15(), None)
                if found != _old_digest(data):
                    raise ValueError("MD5 and SHA-1 differ")
                return
            if scheme in PSS_SCHEMES:
                pss = _HASHES[SCHEME_HASHES[scheme & 0xFF]]
                key.verify(signature, data, padding.PSS(padding.MGF1(pss), pss.digest_size), pss)
                return
            if scheme & 0xFF != RSA:
                raise ValueError(f"scheme {scheme:#06x} with an RSA key")
            key.verify(signature, data, padding.PKCS1v15(), _HASHES[SCHEME_HASHES[scheme >> 8]])
        elif isinstance(key, ec.EllipticCurvePublicKey):
            if scheme is not None and scheme & 0xFF != ECDSA:
                raise ValueError(f"scheme {scheme:#06x} with an EC key")
            name = "sha1" if scheme is None else SCHEME_HASHES[scheme >> 8]
            digest = hashlib.new(name, data).digest()
            key.verify(signature, digest, ec.ECDSA(utils.Prehashed(_HASHES[name])))
        else:
            raise ValueError("a certificate with neither an RSA nor an EC key")
    except InvalidSignature as error:
        raise ValueError("the server's signature is wrong") from error


def sign(key: SigningKey, scheme: int | None, data: bytes) -> bytes:
    """Sign `data` as CertificateVerify does; `scheme` None is the form before TLS 1.2."""
    if isinstance(key, rsa.RSAPrivateKey):
        if scheme is None:
            return _rsa_raw(key, _old_digest(data))
        return key.sign(data, padding.PKCS1v15(), _HASHES[SCHEME_HASHES[scheme >> 8]])
    name = "sha1" if scheme is None else SCHEME_HASHES[scheme >> 8]
    digest = hashlib.new(name, data).digest()
    return key.sign(digest, ec.ECDSA(utils.Prehashed(_HASHES[name])))


def _rsa_raw(key: rsa.RSAPrivateKey, payload: bytes) -> bytes:
    """PKCS#1 v1.5 type 1 padding straight around `payload`."""
    size = key.key_size // 8
    block = b"\0\1" + b"\xff" * (size - 3 - len(payload)) + b"\0" + payload
    numbers = key.private_numbers()
    made = pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n)
    return made.to_bytes(size, "big")
