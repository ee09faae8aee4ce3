"""A raw TLS 1.3 server, scripted message by message, for a client under test: Server's twin.

    server = Server13(sock, identity, suite=CHAPOL13, group=Group.X25519)
    server.handshake()                         # or step by step:
    server.read_hello()                        #   the client's ClientHello, parsed strictly
    server.send_retry(Group.SECP384R1)         #   HelloRetryRequest, then read_hello() again
    server.send_hello(); server.send_extensions(); server.send_request(); server.send_certificate()
    server.send_verify(); server.send_finished()
    server.read_flight()                       #   what we asked for, and Finished, checked
    server.send_data(b"x"); server.read_data(1)

Any step may be left out, repeated, or replaced by other bytes; `secrets` has every secret. Records are protected from
send_hello on, and under application keys from send_finished and read_flight on, unless `switch` is off.
"""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Callable, Sequence

from tests.wire.client import Identity
from tests.wire.crypto import Ephemeral
from tests.wire.messages import Reader, message, u16, vec
from tests.wire.names import FATAL, MAX_PLAIN, TLS12, TLS13, Alert, Ext, Group, Msg, Record
from tests.wire.records import LIMIT_S, Ended, Frame, Received, Refused

from .schedule13 import CHAPOL13, SUITES13, Protection13, Secrets, Suite13, covered, scheme_of, sign13, verify13
from .server import ClientHello, Server

NEW_SESSION_TICKET, ENCRYPTED_EXTENSIONS, COOKIE = 4, 8, 44
RETRY_RANDOM = hashlib.sha256(b"HelloRetryRequest").digest()
Extensions = Sequence[tuple[int, bytes]]


def block(extensions: Extensions) -> bytes:
    return vec(2, b"".join(u16(kind) + vec(2, data) for kind, data in extensions))


class Server13(Server):
    """See the module."""

    def __init__(
        self,
        sock: socket.socket,
        identity: Identity,
        *,
        version: int = TLS13,
        suite: int = CHAPOL13,
        group: int = Group.X25519,
        limit_s: float = LIMIT_S,
    ) -> None:
        super().__init__(sock, identity, group=group, limit_s=limit_s)
        self.version, self.suite13 = TLS12, SUITES13[suite]
        self.hellos: list[ClientHello] = []
        self.specs = 0  # change_cipher_spec records of the client
        self.secrets: Secrets
        self.writer13: Protection13 | None = None
        self.reader13: Protection13 | None = None
        self.client_scheme = 0

    # records

    def seal_inner(self, inner: bytes) -> bytes:
        """A protected record around this TLSInnerPlaintext."""
        assert self.writer13 is not None
        self.write_seq += 1
        return self.writer13.seal_inner(self.write_seq - 1, inner)

    def seal(self, kind: int, plain: bytes, version: int | None = None) -> bytes:
        if self.writer13 is None:
            return self.frame(kind, plain, version)
        return self.seal_inner(plain + bytes([kind]))

    def write_under(self, secret: bytes) -> None:
        self.writer13, self.write_seq = Protection13(self.suite13, secret), 0

    def read_under(self, secret: bytes) -> None:
        self.reader13, self.read_seq = Protection13(self.suite13, secret), 0

    def reads_sealed(self) -> bool:
        return self.reader13 is not None

    def read(self) -> Frame:
        kind, version, length = struct.unpack(">BHH", self._take(5, True))
        fragment = self._take(length, False)
        if kind == Record.CCS:
            if fragment != b"\1" or self.specs:
                raise ValueError("bad ChangeCipherSpec from the client, or a second one")
            self.specs += 1
            frame = Frame(kind, version, fragment, fragment, False)
            self.seen.append(frame)
            return frame
        sealed = self.reader13 is not None
        plain = fragment
        if self.reader13 is not None:
            if kind != Record.DATA or version != TLS12:
                raise ValueError(f"record of type {kind}, version {version:#06x} from the client")
            header = struct.pack(">BHH", kind, version, length)
            kind, plain = self.reader13.open_inner(self.read_seq, header, fragment)
            self.read_seq += 1
        frame = Frame(kind, version, fragment, plain, sealed)
        self.seen.append(frame)
        if kind == Record.ALERT:
            if len(plain) != 2:
                raise ValueError(f"alert record of {len(plain)} bytes from the client")
            self.alerts.append(Received(plain[0], plain[1], sealed))
        return frame

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
        elif frame.kind != Record.CCS:
            raise ValueError(f"record type {frame.kind} from the client, awaited {wanted}")

    # the hellos

    def read_hello(self) -> ClientHello:
        """A ClientHello: all that TLS 1.3 asks of it, and after a retry the same one with what was asked for."""
        hello = super().read_hello()
        if hello.version != TLS12 or len(hello.session_id) != 32 or hello.compressions != b"\0":
            raise ValueError("not a ClientHello of TLS 1.3 in compatibility mode")
        versions = Reader(hello.extensions[Ext.SUPPORTED_VERSIONS]).vector(1)
        if versions[:2] != u16(TLS13):
            raise ValueError("TLS 1.3 is not the first of its versions")
        r = Reader(Reader(hello.extensions[Ext.KEY_SHARE]).vector(2))
        self.shares = {}
        while r.more():
            group = r.number(2)
            self.shares[group] = r.vector(2)
        if self.hellos and self._without(hello) != self._without(self.hellos[0]):
            raise ValueError("the second ClientHello differs in what must stay")
        self.hellos.append(hello)
        return hello

    @staticmethod
    def _without(hello: ClientHello) -> tuple[object, ...]:
        kept = {k: v for k, v in hello.extensions.items() if k not in (Ext.KEY_SHARE, COOKIE)}
        return hello.random, hello.session_id, hello.suites, kept

    def hello13_body(
        self,
        *,
        legacy: int = TLS12,
        random: bytes | None = None,
        session_id: bytes | None = None,
        suite: int | None = None,
        compression: int = 0,
        extensions: Extensions = (),
    ) -> bytes:
        """The body of ServerHello or HelloRetryRequest."""
        session = self.hello.session_id if session_id is None else session_id
        body = u16(legacy) + (self.random if random is None else random) + vec(1, session)
        body += u16(self.suite13.code if suite is None else suite) + bytes([compression])
        return body + block(extensions)

    def hello_extensions(self, *, point: bytes | None = None, group: int | None = None) -> list[tuple[int, bytes]]:
        """supported_versions and key_share."""
        self.ephemeral = Ephemeral(self.group)
        share = u16(self.group if group is None else group) + vec(2, self.ephemeral.public if point is None else point)
        return [(Ext.SUPPORTED_VERSIONS, u16(TLS13)), (Ext.KEY_SHARE, share)]

    def send_retry(self, group: int = 0, *, cookie: bytes = b"", **fields: object) -> None:
        """HelloRetryRequest for a share of this group, or with a cookie."""
        found = [(int(Ext.SUPPORTED_VERSIONS), u16(TLS13))]
        if group:
            found.append((Ext.KEY_SHARE, u16(group)))
            self.group = group
        if cookie:
            found.append((COOKIE, vec(2, cookie)))
        fields = {"random": RETRY_RANDOM, "extensions": found, **fields}
        digest = hashlib.new(self.suite13.prf, bytes(self.transcript)).digest()
        self.transcript = bytearray(message(254, digest))
        self.send_message(message(Msg.SERVER_HELLO, self.hello13_body(**fields)))  # type: ignore[arg-type]

    def send_hello(self, *, switch: bool = True, point: bytes | None = None, group: int | None = None,
                   more: Extensions = (), **fields: object) -> None:  # fmt: skip
        """ServerHello; then both directions are protected, unless `switch` is off."""
        fields = {"extensions": [*self.hello_extensions(point=point, group=group), *more], **fields}
        self.send_message(message(Msg.SERVER_HELLO, self.hello13_body(**fields)))  # type: ignore[arg-type]
        if switch:
            self.protect()

    def protect(self) -> None:
        """Handshake keys for both directions."""
        shared = self.ephemeral.shared(self.shares[self.group])
        self.secrets = Secrets(self.suite13, shared, bytes(self.transcript))
        self.write_under(self.secrets.server_handshake)
        self.read_under(self.secrets.client_handshake)

    # the server's flight

    def send_extensions(self, extensions: Extensions = ()) -> None:
        self.send_message(message(ENCRYPTED_EXTENSIONS, block(extensions)))

    def send_request(self, body: bytes | None = None) -> None:
        """CertificateRequest for every scheme that we can verify."""
        if body is None:
            schemes = b"".join(map(u16, (0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806)))
            body = b"\0" + block([(Ext.SIGNATURE_ALGORITHMS, vec(2, schemes))])
        self.asked = True
        self.send_message(message(Msg.CERTIFICATE_REQUEST, body))

    def certificate_message(self, chain: Sequence[bytes] | None = None, context: bytes = b"") -> bytes:
        found = self.identity.chain if chain is None else chain
        return message(Msg.CERTIFICATE, vec(1, context) + vec(3, b"".join(vec(3, der) + b"\0\0" for der in found)))

    def digest(self) -> bytes:
        """The transcript hash."""
        return hashlib.new(self.suite13.prf, bytes(self.transcript)).digest()

    def verify_body(
        self,
        *,
        scheme: int | None = None,
        named: int | None = None,
        tamper: Callable[[bytes], bytes] = lambda signature: signature,
        content: bytes | None = None,
    ) -> bytes:
        """CertificateVerify's body; `named` is the scheme it says, `scheme` the one it is signed with."""
        scheme = scheme_of(self.identity.key) if scheme is None else scheme
        signed = sign13(self.identity.key, scheme, covered(True, self.digest()) if content is None else content)
        return u16(scheme if named is None else named) + vec(2, tamper(signed))

    def send_verify(self, **fields: object) -> None:
        self.send_message(message(Msg.CERTIFICATE_VERIFY, self.verify_body(**fields)))  # type: ignore[arg-type]

    def finished_body(self) -> bytes:
        return self.secrets.verify_data(self.secrets.server_handshake, bytes(self.transcript))

    def send_finished(self, tamper: Callable[[bytes], bytes] = lambda data: data) -> None:
        """Finished; then application keys for what we send."""
        self.send_message(message(Msg.FINISHED, tamper(self.finished_body())))
        self.secrets.finish(bytes(self.transcript))
        self.write_under(self.secrets.server_application)

    def send_flight(self, *, request: bool = False, extensions: Extensions = (), **verify: object) -> None:
        """ServerHello to Finished."""
        self.send_hello()
        self.send_extensions(extensions)
        if request:
            self.send_request()
        self.send_certificate()
        self.send_verify(**verify)
        self.send_finished()

    # the client's flight

    def read_flight(self) -> None:
        """Certificate and CertificateVerify as we asked for them, and Finished; then application keys for reading."""
        if self.asked:
            r = Reader(self.expect(Msg.CERTIFICATE))
            if r.vector(1):
                raise ValueError("a context in the client's Certificate")
            entries = Reader(r.vector(3))
            r.end()
            while entries.more():
                self.client_chain.append(entries.vector(3))
                if entries.vector(2):
                    raise ValueError("extensions in the client's Certificate")
        if self.client_chain:
            content = covered(False, self.digest())
            r = Reader(self.expect(Msg.CERTIFICATE_VERIFY))
            self.client_scheme = r.number(2)
            verify13(self.client_chain[0], self.client_scheme, r.vector(2), content)
            r.end()
        awaited = self.secrets.verify_data(self.secrets.client_handshake, bytes(self.transcript))
        if self.expect(Msg.FINISHED) != awaited:
            raise ValueError("the client's Finished is wrong")
        if self._messages or not self.specs:
            raise ValueError("something behind the client's Finished, or no ChangeCipherSpec before it")
        self.read_under(self.secrets.client_application)

    def handshake(self, *, request: bool = False, **more: object) -> None:
        self.read_hello()
        self.send_flight(request=request, **more)  # type: ignore[arg-type]
        self.read_flight()

    # after it

    def send_update(self, requested: int | None = 0, body: bytes | None = None) -> None:
        """KeyUpdate, and the next keys for what we send."""
        body = bytes([requested or 0]) if body is None else body
        self.send(Record.HANDSHAKE, message(Msg.KEY_UPDATE, body))
        assert self.writer13 is not None
        self.write_under(self.secrets.next(self.writer13.secret))

    def read_update(self) -> None:
        """The client's KeyUpdate, which asks for none, and the next keys for reading."""
        if self.expect(Msg.KEY_UPDATE) != b"\0" or self._messages:
            raise ValueError("the client's KeyUpdate is wrong")
        assert self.reader13 is not None
        self.read_under(self.secrets.next(self.reader13.secret))

    def ticket(self, ticket: bytes = b"ticket", lifetime: int = 3600, extensions: Extensions = ()) -> bytes:
        """A NewSessionTicket message."""
        body = lifetime.to_bytes(4, "big") + b"\1\2\3\4" + vec(1, b"n") + vec(2, ticket) + block(extensions)
        return message(NEW_SESSION_TICKET, body)


__all__ = ["MAX_PLAIN", "NEW_SESSION_TICKET", "Ended", "Server13", "Suite13", "block"]
