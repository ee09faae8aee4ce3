"""The key process of a TLS client alone, its port in the test's hands, which speaks for net and for the server.

    with ClientKeySide(certs, CERTIFIED) as key:
        key.reach("agreed")            # a good handshake up to a state of the table
        key.ask("client-sign", ...)    # as KeySide does, see there
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.certs import Certs, certificate_pem, key_pem
from tests.wire.client import Identity
from tests.wire.crypto import Ephemeral, KeyBlock, prf, transcript_hash
from tests.wire.identities import Identities
from tests.wire.messages import message, u16, vec
from tests.wire.names import ALL_SUITES, TLS12, Group, Msg, Record
from tests.wire.signatures import sign, verify

from .keyside import KeyProcess

FRAGMENT = 16384
NAME = "test.example"

# What the child runs: real option parser, real settings, then key's own main function.
CHILD = """
import mmap, sys
sys.path.insert(0, sys.argv[1])
from bearwrap import _bear
from bearwrap.programs import s6_tlsc
from bearwrap.s6options import parse
memory, port, go, wake_net, wake_key, prog_in, prog_out = map(int, sys.argv[2].split(","))
settings = s6_tlsc.Settings()
variables = dict(word.encode().split(b"=", 1) for word in sys.argv[3].split(","))
settings.prog = parse([word.encode() for word in sys.argv[4:]], s6_tlsc.OPTIONS, settings.take)
settings.check()
settings.environment(variables, True)
_bear.log_setup(b"s6-tlsc", 2, b"", True)
_bear.serve_client_key(settings, port, go, mmap.mmap(memory, 0), wake_net, wake_key, prog_in, prog_out)
"""


@dataclass(frozen=True)
class Shape:
    """One handshake: the server's key, suite, version, group of ECDHE, the kind of our own certificate ("": none)."""

    kind: str = "p256"
    suite: int = 0xCCA9
    version: int = TLS12
    group: int = Group.X25519
    client: str = ""

    def __str__(self) -> str:
        exchange = ALL_SUITES[self.suite].openssl
        return f"{self.kind}-{exchange}-{self.version:04x}-{self.group}" + (f"-{self.client}" if self.client else "")


PLAIN = Shape()  # ECDHE, no certificate of ours
CERTIFIED = Shape(client="p256")
STATIC = Shape("rsa2048", 0x009C)  # RSA key exchange: no ServerKeyExchange
STATIC_ECDH = Shape("p256", 0xC02D)


@dataclass
class Flight:
    """What the transcript says of the server's flight: any of it can be another handshake's."""

    client_random: bytes
    server_random: bytes
    certificates: tuple[bytes, ...]
    params: bytes  # the body of ServerKeyExchange, empty without one
    kinds: tuple[int, ...] = field(default=(1, 2, 11, 12, 13, 14))

    def __bytes__(self) -> bytes:
        bodies = {
            Msg.CLIENT_HELLO: u16(TLS12) + self.client_random + bytes(10),
            Msg.SERVER_HELLO: u16(TLS12) + self.server_random + bytes(10),
            Msg.CERTIFICATE: vec(3, b"".join(vec(3, der) for der in self.certificates)),
            Msg.SERVER_KEY_EXCHANGE: self.params,
            Msg.CERTIFICATE_REQUEST: vec(1, b"\x01\x40") + vec(2, b"\4\3\4\1") + vec(2, b""),
            Msg.SERVER_HELLO_DONE: b"",
        }
        without = () if self.params else (Msg.SERVER_KEY_EXCHANGE,)
        return b"".join(message(kind, bodies[Msg(kind)]) for kind in self.kinds if kind not in without)


def identity_file(certs: Certs, kind: str) -> tuple[str, Identity]:
    """Our own certificate and its key: the file that has both, and as the tests verify with it."""
    found = Identities(certs).get("rsa" if kind.startswith("rsa") else kind)
    assert found is not None
    path = certs.folder / f"own-{kind}.pem"
    leaf = x509.load_der_x509_certificate(found.chain[0])
    path.write_text(key_pem(found.key) + certificate_pem(leaf))
    return str(path), found


class ClientKeySide(KeyProcess):
    """See the module. server: what the server shows, by default the certificate of shape.kind for NAME."""

    start = "client-start"

    def __init__(self, certs: Certs, shape: Shape = PLAIN, *options: str, server: Identity | None = None) -> None:
        self.shape, self.suite = shape, ALL_SUITES[shape.suite]
        self.version = shape.version
        variables = [f"CAFILE={certs.ca}"]
        self.identity: Identity | None = None
        more = ["-k", NAME, *options]
        if shape.client:
            path, self.identity = identity_file(certs, shape.client)
            variables += [f"CERTFILE={path}", f"KEYFILE={path}"]
            more.append("-y")
        super().__init__(CHILD, [",".join(variables), *more, "prog"])
        if server is None:
            leaf = certs.leaf(shape.kind).public_bytes(Encoding.DER)
            server = Identity((leaf,), certs.key(shape.kind))  # type: ignore[arg-type]
        self.server = server
        self.has_params = self.suite.exchange == "ecdhe"
        self.ephemeral = Ephemeral(shape.group)
        self.params = self.params_body() if self.has_params else b""

    # what net and the server say

    def chain(self) -> bytes:
        """The payload of `server-chain`."""
        return b"".join(vec(3, der) for der in self.server.chain)

    def scheme(self) -> int | None:
        """The signature of the server's key; none is named before TLS 1.2."""
        if self.version < TLS12:
            return None
        return 0x0401 if isinstance(self.server.key, rsa.RSAPrivateKey) else 0x0403

    def params_body(
        self, point: bytes | None = None, group: int | None = None, randoms: bytes | None = None, curve_type: int = 3
    ) -> bytes:
        """A ServerKeyExchange whose signature is good for these parameters."""
        point = self.ephemeral.public if point is None else point
        group = self.shape.group if group is None else group
        randoms = self.client_random + self.server_random if randoms is None else randoms
        params = bytes([curve_type]) + u16(group) + vec(1, point)
        scheme = self.scheme()
        signature = sign(self.server.key, scheme, randoms + params)
        return params + (b"" if scheme is None else u16(scheme)) + vec(2, signature)

    def params_request(self, body: bytes | None = None, version: int | None = None, randoms: bytes = b"") -> bytes:
        """The payload of `server-params`."""
        version = self.version if version is None else version
        randoms = randoms or self.client_random + self.server_random
        return u16(version) + randoms + (self.params if body is None else body)

    def agree_request(
        self, suite: int | None = None, fragment: int = FRAGMENT, version: int | None = None, randoms: bytes = b""
    ) -> bytes:
        """The payload of `agree`."""
        version = self.version if version is None else version
        randoms = randoms or self.client_random + self.server_random
        return u16(self.suite.code if suite is None else suite) + u16(fragment) + u16(version) + randoms

    def agree(self) -> None:
        """Do `agree`, and make the server's keys of key's answer."""
        reply = self.good("agree", self.agree_request())
        self.answer = reply
        if self.suite.exchange == "rsa":
            assert isinstance(self.server.key, rsa.RSAPrivateKey)
            secret = self.server.key.decrypt(reply, padding.PKCS1v15())
            assert len(secret) == 48 and secret[:2] == u16(TLS12)
        elif self.suite.exchange == "ecdh":
            assert isinstance(self.server.key, ec.EllipticCurvePrivateKey)
            point = ec.EllipticCurvePublicKey.from_encoded_point(self.server.key.curve, reply)
            secret = self.server.key.exchange(ec.ECDH(), point)
        else:
            secret = self.ephemeral.shared(reply)
        self.premaster = secret
        randoms = self.client_random + self.server_random
        self.master = prf(self.version, self.suite.prf, secret, b"master secret", randoms, length=48)
        self.keys = KeyBlock(self.suite, self.version, self.master, self.client_random, self.server_random)
        self.server_side = self.keys.server_side()

    def flight(self) -> Flight:
        """The server's flight as it was."""
        return Flight(self.client_random, self.server_random, self.server.chain, self.params)

    def own_messages(self) -> bytes:
        """Certificate and ClientKeyExchange, as key must have covered them."""
        assert self.identity is not None
        certificates = vec(3, b"".join(vec(3, der) for der in self.identity.chain))
        exchange = vec(2 if self.suite.exchange == "rsa" else 1, self.answer)
        return message(Msg.CERTIFICATE, certificates) + message(Msg.CLIENT_KEY_EXCHANGE, exchange)

    def own_scheme(self) -> int | None:
        """What our certificate's key signs as here; None before TLS 1.2."""
        assert self.identity is not None
        if self.version < TLS12:
            return None
        return 0x0401 if isinstance(self.identity.key, rsa.RSAPrivateKey) else 0x0403

    def sign_request(self) -> bytes:
        """The payload of `client-sign`: the hash, 0 for MD5 and SHA-1 together."""
        assert self.identity is not None
        if self.version < TLS12:
            return b"\0" if isinstance(self.identity.key, rsa.RSAPrivateKey) else b"\2"
        return b"\4"

    def check_signature(self, signature: bytes, scheme: int | None) -> None:
        """It must be good over this very handshake."""
        assert self.identity is not None
        verify(self.identity.chain[0], scheme, signature, bytes(self.flight()) + self.own_messages())

    def digest(self, more: bytes = b"") -> bytes:
        """A transcript hash to ask verify data for."""
        return transcript_hash(self.version, self.suite.prf, b"a handshake" + more)

    def verify_data(self, label: bytes, digest: bytes) -> bytes:
        return prf(self.version, self.suite.prf, self.master, label, digest, length=12)

    def seal(self, kind: int, plain: bytes) -> bytes:
        """A record of the server."""
        sealed = self.server_side.seal(self.records, kind, self.version, plain)
        self.records += 1
        return bytes([kind]) + u16(self.version) + vec(2, sealed)

    def opened(self) -> list[tuple[int, bytes]]:
        """What key has sealed so far, as the server opens it: types and texts."""
        side, rest, found = self.keys.client_side(), self.sealed(), list[tuple[int, bytes]]()
        while rest:
            n = int.from_bytes(rest[3:5], "big")
            assert rest[1:3] == u16(self.version)
            found.append((rest[0], side.open(len(found), rest[0], self.version, rest[5 : 5 + n])))
            rest = rest[5 + n :]
        return found

    # a good handshake

    def step(self) -> None:
        """The next good operation on the way to application data."""
        if self.state == "client-start":
            reply = self.good("trust")
            shown = self.identity.chain if self.identity else ()
            assert reply[1] == len(shown) and reply[2:] == b"".join(vec(3, der) for der in shown)
        elif self.state == "trusting":
            self.good("server-chain", self.chain())
        elif self.state == "chain-good" and self.has_params:
            assert self.good("server-params", self.params_request()) == b""
        elif self.state in ("chain-good", "params-good"):
            self.agree()
        elif self.state == "agreed" and self.identity:
            self.good("transcript", bytes(self.flight()))
            self.check_signature(self.good("client-sign", self.sign_request()), self.own_scheme())
        elif self.state in ("agreed", "signed"):
            reply = self.good("send-finished", self.digest())
            assert hmac.compare_digest(reply, self.verify_data(b"client finished", self.digest()))
        elif self.state == "finished-sent":
            digest = self.digest(b" and our Finished")
            self.finished = message(Msg.FINISHED, self.verify_data(b"server finished", digest))
            assert self.good("await-finished", digest) == self.finished[4:]
        elif self.state == "finished-due":
            self.produce(self.seal(Record.HANDSHAKE, self.finished))
            assert self.good("open-finished") == bytes([Record.HANDSHAKE]) + self.finished
        else:
            assert self.state == "finished-opened", self.state
            self.good("begin")
