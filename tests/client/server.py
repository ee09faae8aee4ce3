"""A raw TLS 1.0-1.2 server, scripted message by message, for a client under test.

    server = Server(sock, identity)            # Identity of tests.wire.client: chain and key
    server.handshake()                         # or step by step:
    server.read_hello()                        #   the client's ClientHello, parsed strictly
    server.send_hello(); server.send_certificate(); server.send_key_exchange(); server.send_done()
    server.read_flight()                       #   ClientKeyExchange; the keys are known from here on
    server.read_finished()                     #   ChangeCipherSpec and Finished, checked
    server.send_ccs(); server.send_finished()
    server.send_data(b"x"); server.read_data(1)

Any step may be left out, repeated, or replaced by other bytes. All secrets stay readable: `premaster`, `master`,
`keys`. Records and alerts that came are in `seen` and `alerts` of Wire.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import ECDH, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.wire.client import Identity
from tests.wire.crypto import Ephemeral, KeyBlock, prf, transcript_hash
from tests.wire.messages import Reader, message, parse_certificates, u16, vec
from tests.wire.names import (
    FATAL,
    MAX_PLAIN,
    SUITES,
    TLS10,
    TLS12,
    WARNING,
    Alert,
    Ext,
    Group,
    Msg,
    Record,
    Suite,
)
from tests.wire.records import LIMIT_S, Ended, Refused, Wire
from tests.wire.signatures import ECDSA, RSA, sign, verify

# key exchange by the server's RSA key, and static ECDH (RFC 5246 appendix A.5, RFC 5289 section 3)
STATIC = {
    suite.code: suite
    for suite in (
        Suite(0x009C, "", "static-rsa", "gcm", 16, 4, "", "sha256", "", "AES128-GCM-SHA256"),
        Suite(0x003C, "", "static-rsa", "cbc", 16, 16, "sha256", "sha256", "", "AES128-SHA256"),
        Suite(0x002F, "", "static-rsa", "cbc", 16, 16, "sha1", "sha256", "", "AES128-SHA"),
        Suite(0xC02D, "", "static-ecdh", "gcm", 16, 4, "", "sha256", "", "ECDH-ECDSA-AES128-GCM-SHA256"),
    )
}
CHAPOL, GCM, CBC, RSA_GCM = 0xCCA9, 0xC02B, 0xC009, 0xC02F  # by ECDHE with ECDSA; the last with RSA
_CURVES = {"secp256r1": Group.SECP256R1, "secp384r1": Group.SECP384R1, "secp521r1": Group.SECP521R1}


@dataclass(frozen=True)
class ClientHello:
    """A ClientHello, parsed; ValueError on anything that a correct client would not send."""

    version: int
    random: bytes
    session_id: bytes
    suites: tuple[int, ...]
    compressions: bytes
    extensions: dict[int, bytes]

    @classmethod
    def parse(cls, body: bytes) -> ClientHello:
        r = Reader(body)
        version, random, session = r.number(2), r.take(32), r.vector(1)
        raw, compressions = r.vector(2), r.vector(1)
        suites = tuple(int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2))
        extensions: dict[int, bytes] = {}
        if r.more():
            block = Reader(r.vector(2))
            while block.more():
                kind = block.number(2)
                if kind in extensions:
                    raise ValueError(f"extension {kind} twice in ClientHello")
                extensions[kind] = block.vector(2)
        r.end()
        return cls(version, random, session, suites, compressions, extensions)

    def numbers(self, kind: int) -> list[int]:
        """The 16-bit numbers of an extension that is a list of them."""
        r = Reader(self.extensions[kind])
        raw = r.vector(2)
        r.end()
        return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


class Server(Wire):
    """See the module. `version`, `suite` and `group` are what it will choose; fields of any message may be wrong."""

    hello: ClientHello
    premaster: bytes
    master: bytes
    keys: KeyBlock

    def __init__(
        self,
        sock: socket.socket,
        identity: Identity,
        *,
        version: int = TLS12,
        suite: int = CHAPOL,
        group: int = Group.X25519,
        limit_s: float = LIMIT_S,
    ) -> None:
        super().__init__(sock, limit_s)
        self.identity = identity
        self.chosen, self.suite, self.group = version, {**SUITES, **STATIC}[suite], group
        self.random = os.urandom(32)
        self.transcript = bytearray()
        self.asked = False
        self.client_chain: list[bytes] = []
        self.data = bytearray()
        self._messages = bytearray()

    def reads_sealed(self) -> bool:
        """Whether the client's records are protected by now."""
        return self.reader is not None

    # messages out and in

    def send_message(self, whole: bytes, sizes: int | None = None) -> None:
        """Send a whole handshake message, counted in the transcript; `sizes` splits it over records."""
        self.transcript += whole
        self.send_pieces(whole, sizes)

    def send_pieces(self, data: bytes, size: int | None = None) -> None:
        """Send handshake bytes in records of `size` bytes, outside the transcript."""
        size = size or MAX_PLAIN
        self.send_raw(b"".join(self.seal(Record.HANDSHAKE, data[at : at + size]) for at in range(0, len(data), size)))

    def read_message(self) -> tuple[int, bytes]:
        """The next handshake message, counted in the transcript. Refused on a fatal alert or close_notify."""
        while True:
            size = 4 + int.from_bytes(self._messages[1:4], "big")
            if len(self._messages) >= max(4, size):
                whole = bytes(self._messages[:size])
                del self._messages[:size]
                self.transcript += whole
                return whole[0], whole[4:]
            self._pump(Record.HANDSHAKE)

    def _pump(self, wanted: int) -> None:
        frame = self.read()
        if frame.kind == Record.HANDSHAKE:
            self._messages += frame.plain
        elif frame.kind == Record.DATA:
            self.data += frame.plain
        elif frame.kind == Record.ALERT:
            alert = self.alerts[-1]
            if alert.level == FATAL or alert.description == Alert.CLOSE_NOTIFY:
                raise Refused(alert)
        elif frame.kind != wanted:
            raise ValueError(f"record type {frame.kind} from the client, awaited {wanted}")

    def expect(self, kind: int) -> bytes:
        """The body of the next message, which must be of this type."""
        found, body = self.read_message()
        if found != kind:
            raise ValueError(f"message type {found} from the client, awaited {kind}")
        return body

    # the hellos

    def read_hello(self) -> ClientHello:
        """The ClientHello."""
        self.hello = ClientHello.parse(self.expect(Msg.CLIENT_HELLO))
        return self.hello

    def default_extensions(self) -> list[tuple[int, bytes]]:
        """An empty renegotiation_info if the client can take one (RFC 5746 section 3.6)."""
        able = Ext.RENEGOTIATION_INFO in self.hello.extensions or 0x00FF in self.hello.suites
        return [(Ext.RENEGOTIATION_INFO, b"\0")] if able else []

    def hello_body(
        self,
        *,
        version: int | None = None,
        session_id: bytes = b"",
        suite: int | None = None,
        compression: int = 0,
        extensions: Sequence[tuple[int, bytes]] | None = None,
    ) -> bytes:
        """The body of ServerHello."""
        found = self.default_extensions() if extensions is None else extensions
        body = u16(self.chosen if version is None else version) + self.random + vec(1, session_id)
        body += u16(self.suite.code if suite is None else suite) + bytes([compression])
        return body + (vec(2, b"".join(u16(kind) + vec(2, data) for kind, data in found)) if found else b"")

    def send_hello(self, **fields: object) -> None:
        """ServerHello, with other fields when given; records have its version from here on."""
        self.version = self.chosen
        self.send_message(message(Msg.SERVER_HELLO, self.hello_body(**fields)))  # type: ignore[arg-type]

    # the rest of the server's flight

    def certificate_message(self, chain: Sequence[bytes] | None = None) -> bytes:
        """Certificate, with our chain unless another is given."""
        found = self.identity.chain if chain is None else chain
        return message(Msg.CERTIFICATE, vec(3, b"".join(vec(3, der) for der in found)))

    def send_certificate(self, chain: Sequence[bytes] | None = None) -> None:
        self.send_message(self.certificate_message(chain))

    def key_exchange_body(
        self,
        *,
        tamper: Callable[[bytes], bytes] = lambda signature: signature,
        point: Callable[[bytes], bytes] = lambda point: point,
        group: int | None = None,
        scheme: int | None = None,
        randoms: bytes | None = None,
    ) -> bytes:
        """ServerKeyExchange's body: fresh key, signed; `tamper` changes the signature, `point` the point."""
        self.ephemeral = Ephemeral(self.group)
        public = vec(1, point(self.ephemeral.public))
        params = b"\3" + u16(self.group if group is None else group) + public
        covered = (self.hello.random + self.random if randoms is None else randoms) + params
        default = 0x0400 + (RSA if isinstance(self.identity.key, RSAPrivateKey) else ECDSA)
        scheme = (default if scheme is None else scheme) if self.version >= TLS12 else None
        signed = scheme if scheme is None or (scheme >> 8) in range(1, 7) else default
        signature = tamper(sign(self.identity.key, signed, covered))
        return params + (u16(scheme) if scheme is not None else b"") + vec(2, signature)

    def send_key_exchange(self, **fields: object) -> None:
        """ServerKeyExchange; nothing for a suite that has none."""
        if not self.suite.auth.startswith("static"):
            self.send_message(message(Msg.SERVER_KEY_EXCHANGE, self.key_exchange_body(**fields)))  # type: ignore[arg-type]

    def send_request(self, body: bytes | None = None) -> None:
        """CertificateRequest for RSA and ECDSA keys of any authority."""
        if body is None:
            schemes = vec(2, b"\4\1\4\3\2\1\2\3") if self.version >= TLS12 else b""
            body = b"\2\1\x40" + schemes + b"\0\0"
        self.asked = True
        self.send_message(message(Msg.CERTIFICATE_REQUEST, body))

    def send_done(self, body: bytes = b"") -> None:
        self.send_message(message(Msg.SERVER_HELLO_DONE, body))

    def send_flight(self, *, request: bool = False, **exchange: object) -> None:
        """ServerHello to ServerHelloDone."""
        self.send_hello()
        self.send_certificate()
        self.send_key_exchange(**exchange)
        if request:
            self.send_request()
        self.send_done()

    # the client's flight

    def read_flight(self) -> None:
        """Certificate if we asked, ClientKeyExchange, CertificateVerify if there was a certificate; the keys."""
        if self.asked:
            self.client_chain = parse_certificates(self.expect(Msg.CERTIFICATE))
        self.premaster = self._premaster(self.expect(Msg.CLIENT_KEY_EXCHANGE))
        randoms = self.hello.random + self.random
        self.master = prf(self.version, self.suite.prf, self.premaster, b"master secret", randoms, length=48)
        self.keys = KeyBlock(self.suite, self.version, self.master, self.hello.random, self.random)
        if self.client_chain:
            covered = bytes(self.transcript)
            r = Reader(self.expect(Msg.CERTIFICATE_VERIFY))
            scheme = r.number(2) if self.version >= TLS12 else None
            verify(self.client_chain[0], scheme, r.vector(2), covered)
            r.end()

    def _premaster(self, body: bytes) -> bytes:
        r = Reader(body)
        if self.suite.auth == "static-rsa":
            assert isinstance(self.identity.key, RSAPrivateKey)
            made = self.identity.key.decrypt(r.vector(2), padding.PKCS1v15())
            r.end()
            if len(made) != 48 or made[:2] != u16(self.hello.version):
                raise ValueError("the pre-master secret does not begin with the version that was offered")
            return made
        point = r.vector(1)
        r.end()
        if self.suite.auth == "static-ecdh":
            key = self.identity.key
            assert isinstance(key, EllipticCurvePrivateKey)
            return key.exchange(ECDH(), EllipticCurvePublicKey.from_encoded_point(key.curve, point))
        return self.ephemeral.shared(point)

    def verify_data(self, label: bytes = b"server finished") -> bytes:
        """The 12 bytes of Finished over the transcript so far."""
        digest = transcript_hash(self.version, self.suite.prf, bytes(self.transcript))
        return prf(self.version, self.suite.prf, self.master, label, digest, length=12)

    def read_finished(self) -> None:
        """The client's ChangeCipherSpec and Finished, checked."""
        awaited = self.verify_data(b"client finished")
        while self.seen[-1].kind != Record.CCS:
            self._pump(Record.CCS)
        if self.seen[-1].plain != b"\1" or self._messages:
            raise ValueError("bad ChangeCipherSpec from the client")
        self.start_reading(self.keys.client_side())
        if self.expect(Msg.FINISHED) != awaited:
            raise ValueError("the client's Finished is wrong")

    # the end of the handshake, and after it

    def send_ccs(self, body: bytes = b"\1", switch: bool = True) -> None:
        """ChangeCipherSpec; what follows is sealed unless `switch` is off."""
        self.send(Record.CCS, body)
        if switch:
            self.start_writing(self.keys.server_side())

    def send_finished(self, tamper: Callable[[bytes], bytes] = lambda data: data) -> None:
        self.send_message(message(Msg.FINISHED, tamper(self.verify_data())))

    def to_finished(self, *, request: bool = False) -> None:
        """A whole correct handshake but for our ChangeCipherSpec and Finished."""
        self.read_hello()
        self.send_flight(request=request)
        self.read_flight()
        self.read_finished()

    def handshake(self, *, request: bool = False) -> None:
        """A whole correct handshake."""
        self.to_finished(request=request)
        self.send_ccs()
        self.send_finished()

    def send_data(self, data: bytes, size: int = MAX_PLAIN) -> None:
        """Application data in records of at most `size` bytes."""
        self.send_raw(b"".join(self.seal(Record.DATA, data[at : at + size]) for at in range(0, len(data), size)))

    def read_data(self, count: int) -> bytes:
        """`count` bytes of application data. Refused on a fatal alert or close_notify."""
        while len(self.data) < count:
            self._pump(Record.DATA)
        out = bytes(self.data[:count])
        del self.data[:count]
        return out

    def close(self) -> str:
        """close_notify, and read to the end; gives how it ended ("eof" is the good way)."""
        try:
            self.send_alert(Alert.CLOSE_NOTIFY, WARNING)
        except Ended as ended:
            return ended.how
        return self.drain()


__all__ = ["CBC", "CHAPOL", "GCM", "RSA_GCM", "STATIC", "TLS10", "ClientHello", "Server"]
