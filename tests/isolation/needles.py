"""What a secret may look like in memory, as byte strings to search for.

A number is looked for as bytes, big end and little end first (nettle's limbs), and as the limbs of BearSSL's big
integers: 31-bit limbs in 32-bit words (i31), 62-bit limbs in 64-bit words (i62), 30-bit limbs in 32-bit words (its
P-256 and Curve25519 code), and in Montgomery form: 31-bit limbs for the P-384 and P-521 field, nettle's for P-256. A
secret that has been an HMAC key is also looked for as the two padded keys and the two hash states that stand for it
(RFC 2104 section 2): who has the states can do with them what the key can do.

Every form is cut into pieces of 16 bytes, so that the remains of a value that was partly overwritten are found too:
a run of 31 bytes or more that has stayed holds a whole piece.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.unit.bearssl_cffi import Bear
from tests.unit.curves import ORDERS, PRIMES
from tests.wire.client import Client
from tests.wire.names import TLS12, Group

PIECE = 16
Needles = dict[str, bytes]

_FIELDS = {group: PRIMES[group.name.lower()] for group in (Group.SECP256R1, Group.SECP384R1, Group.SECP521R1)}


def pieces(name: str, data: bytes) -> Needles:
    """Consecutive pieces of 16 bytes; the last one overlaps its neighbour, and a shorter value is one piece."""
    starts = [*range(0, len(data) - PIECE + 1, PIECE)] or [0]
    if starts[-1] + PIECE < len(data):
        starts.append(len(data) - PIECE)
    return {f"{name}[{at}:]": data[at : at + PIECE] for at in starts}


def limbs(value: int, bits: int, word: int, count: int) -> bytes:
    """`count` limbs of `bits` bits, least significant first, in little-endian words of `word` bytes."""
    mask = (1 << bits) - 1
    return b"".join((value >> bits * at & mask).to_bytes(word, "little") for at in range(count))


def number(name: str, value: int, size: int) -> Needles:
    """All plain forms of a number of `size` bytes."""
    big = value.to_bytes(size, "big")
    forms = {
        "big-endian": big,
        "little-endian": big[::-1],
        "i31": limbs(value, 31, 4, size * 8 // 31),
        "i62": limbs(value, 62, 8, size * 8 // 62),
        "i30": limbs(value, 30, 4, size * 8 // 30),
    }
    found: Needles = {}
    for form, data in forms.items():
        found |= pieces(f"{name} {form}", data)
    return found


def montgomery(name: str, value: int, prime: int) -> Needles:
    """A field element times R, R being 2 to the bits of all limbs (BearSSL's i31; nettle's P-256)."""
    if prime.bit_length() == 256:
        return pieces(f"{name} montgomery", ((value << 256) % prime).to_bytes(32, "little"))
    count = (prime.bit_length() + 30) // 31
    return pieces(f"{name} montgomery", limbs((value << 31 * count) % prime, 31, 4, count - 1))


def hmac_key(name: str, secret: bytes, hash_names: tuple[str, ...], bear: Bear) -> Needles:
    """What an HMAC key leaves behind: both padded forms, and both states as bytes and as machine words."""
    found: Needles = {}
    for pad in (0x36, 0x5C):
        found |= pieces(f"{name} xor {pad:#x}", bytes(byte ^ pad for byte in secret))
    for hash_name in hash_names:
        half = (len(secret) + 1) // 2
        key = {"md5": secret[:half], "sha1": secret[-half:]}.get(hash_name, secret)
        word = 8 if hash_name == "sha384" else 4
        for side, state in zip(("inner", "outer"), bear.hmac_states(hash_name, key), strict=True):
            words = b"".join(state[at : at + word][::-1] for at in range(0, len(state), word))
            found |= pieces(f"{name} {hash_name} {side} state", state) | pieces(
                f"{name} {hash_name} {side} state words", words
            )
    return found


def private_key(key: object) -> Needles:
    """The secret parts of an RSA, EC or Ed25519 private key."""
    if isinstance(key, RSAPrivateKey):
        numbers, half = key.private_numbers(), key.key_size // 16
        parts = {"p": numbers.p, "q": numbers.q, "dp": numbers.dmp1, "dq": numbers.dmq1, "qinv": numbers.iqmp}
        found = number("d", numbers.d, 2 * half)
        for name, value in parts.items():
            found |= number(name, value, half)
        return found
    if isinstance(key, Ed25519PrivateKey):
        seed = key.private_bytes_raw()
        return pieces("seed", seed) | pieces("expanded", hashlib.sha512(seed).digest())
    assert isinstance(key, EllipticCurvePrivateKey)
    return number("d", key.private_numbers().private_value, (key.key_size + 7) // 8)


def nonce(client: Client, key: EllipticCurvePrivateKey) -> Needles:
    """The k of the signature that the server made, which with the signature is as good as the key; and its inverse."""
    exchange, secret = client.key_exchange, key.private_numbers().private_value
    order, size = ORDERS[key.curve.name], (key.key_size + 7) // 8
    hash_name = {2: "sha1", 4: "sha256", 5: "sha384", 6: "sha512"}[(exchange.scheme or 0x200) >> 8]
    covered = client.hello.random + client.server.random + exchange.params
    digest = hashlib.new(hash_name, covered).digest()[:size]
    r, s = decode_dss_signature(exchange.signature)
    k = (int.from_bytes(digest, "big") + r * secret) * pow(s, -1, order) % order
    return number("nonce", k, size) | number("inverted nonce", pow(k, -1, order), size)


def key_text(pem: str) -> Needles:
    """The base64 text of a private key, but for its beginning, which is the same in every key of a kind."""
    lines = [line for line in pem.splitlines() if not line.startswith("-----")]
    return pieces("PEM", "".join(lines[1:]).encode()) | pieces("PEM line", "\n".join(lines[1:]).encode())


def premaster(client: Client, bear: Bear) -> Needles:
    """The pre-master secret of a connection."""
    secret, group = client.premaster, client.key_exchange.group
    order = "little" if group == Group.X25519 else "big"
    value = int.from_bytes(secret, order)  # type: ignore[arg-type]
    found = number("premaster", value, len(secret)) | hmac_key("premaster", secret, hashes(client), bear)
    return found | (montgomery("premaster", value, _FIELDS[group]) if group in _FIELDS else {})


def master(client: Client, bear: Bear) -> Needles:
    """The master secret of a connection."""
    return pieces("master", client.master) | hmac_key("master", client.master, hashes(client), bear)


def hashes(client: Client) -> tuple[str, ...]:
    """The hash functions of the connection's PRF."""
    return (client.suite.prf,) if client.version >= TLS12 else ("md5", "sha1")


def traffic(client: Client) -> Needles:
    """The traffic keys; of an AES-256 key the two halves, as they stand in a key schedule."""
    found: Needles = {}
    for name in ("client_key", "server_key"):
        found |= pieces(name, getattr(client.keys, name))
    return found


def traffic_more(client: Client, bear: Bear) -> Needles:
    """What else only key may hold: IVs long enough to tell, MAC keys and their HMAC states, the key block."""
    keys = client.keys
    found = pieces("key block", keys.whole)
    for name in ("client_iv", "server_iv"):
        if len(getattr(keys, name)) >= 12:
            found[name] = getattr(keys, name)
    for name in ("client_mac", "server_mac"):
        if secret := getattr(keys, name):
            found |= pieces(name, secret)
            if client.suite.mac != "sha1":
                found |= hmac_key(name, secret, (client.suite.mac,), bear)
    return found


def names(found: Mapping[str, object]) -> str:
    """What was found, readable in a failure."""
    return "; ".join(f"{name} at {', '.join(map(str, hits))}" for name, hits in found.items())  # type: ignore[call-overload]
