"""A raw TLS 1.3 client, scripted message by message; what the server sends is checked strictly.

    client = Client13(sock)
    client.handshake()                         # or step by step:
    client.start(hello13())                    #   ClientHello, then the server's flight to Finished
    client.send_finished()
    client.send_data(b"x"); client.read_data(1)

Any step may be left out, repeated, or replaced (`send_message`, `send`, `send_inner`, `send_raw`). `shares` are our
ephemeral keys by group, `schedule` has every secret, `tickets` what came of NewSessionTicket.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from tests.wire.client import Identity
from tests.wire.crypto import Ephemeral
from tests.wire.messages import Hello, Reader, message, server_name, u16, u16s, vec
from tests.wire.names import FATAL, TLS13, WARNING, Alert, Ext, Group, Msg, Record
from tests.wire.records import LIMIT_S, Ended, Frame, Received, Refused, Wire

from .crypto import AES128, AES256, CHACHA, HASHES, Protection13, Schedule, digest

RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
SCHEMES = (0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806)
SCHEME_HASH = {
    0x0403: "SHA256",
    0x0503: "SHA384",
    0x0603: "SHA512",
    0x0804: "SHA256",
    0x0805: "SHA384",
    0x0806: "SHA512",
}
ENCRYPTED_EXTENSIONS, NEW_SESSION_TICKET = 8, 4
PRE_SHARED_KEY, EARLY_DATA, COOKIE, CERTIFICATE_AUTHORITIES = 41, 42, 44, 47


@dataclass(frozen=True)
class Ticket:
    """One NewSessionTicket and the PSK that it stands for."""

    lifetime: int
    age_add: int
    nonce: bytes
    ticket: bytes
    psk: bytes
    suite: int


def hello13(
    groups: Sequence[int] = (Group.X25519, Group.SECP256R1), suites: Sequence[int] = (CHACHA, AES256, AES128)
) -> Hello:
    """A ClientHello for TLS 1.3, its key_share left to the client that sends it."""
    return Hello(
        session_id=os.urandom(32),
        suites=tuple(suites),
        extensions=[
            (Ext.SERVER_NAME, server_name(b"localhost")),
            (Ext.SUPPORTED_VERSIONS, vec(1, u16(TLS13))),
            (Ext.SUPPORTED_GROUPS, vec(2, u16s(groups))),
            (Ext.SIGNATURE_ALGORITHMS, vec(2, u16s(SCHEMES))),
            (Ext.PSK_KEY_EXCHANGE_MODES, b"\1\1"),
            (Ext.KEY_SHARE, b""),  # filled in by Client13.shared_hello
        ],
    )


def share(group: int, point: bytes) -> bytes:
    """One KeyShareEntry."""
    return u16(group) + vec(2, point)


class Client13(Wire):
    """See the module."""

    schedule: Schedule

    def __init__(self, sock: socket.socket, limit_s: float = LIMIT_S) -> None:
        super().__init__(sock, limit_s)
        self.version = 0x0303
        self.hello = Hello()
        self.transcript = b""
        self.shares: dict[int, Ephemeral] = {}
        self.suite = self.group = 0
        self.retry: bytes | None = None
        self.ticket: Ticket | None = None
        self.resumed = False
        self.chain: list[bytes] = []
        self.request: bytes | None = None
        self.identity: Identity | None = None
        self.encrypted: dict[int, bytes] = {}
        self.tickets: list[Ticket] = []
        self.updates: list[bytes] = []
        self.data = bytearray()
        self.established = False
        self._messages = bytearray()
        self._sealing: Protection13 | None = None
        self._opening: Protection13 | None = None

    # records

    def seal(self, kind: int, plain: bytes, version: int | None = None) -> bytes:
        """A record that carries `plain`, sealed if keys are on."""
        if self._sealing is None:
            return self.frame(kind, plain, version)
        return self.inner(plain + bytes([kind]))

    def inner(self, inner: bytes) -> bytes:
        """A sealed record of any TLSInnerPlaintext."""
        assert self._sealing is not None
        sealed = self._sealing.seal(self.write_seq, inner)
        self.write_seq += 1
        return self.frame(Record.DATA, sealed)

    def write_with(self, secret: bytes) -> None:
        """Seal under a traffic secret from the next record on."""
        self._sealing, self.write_seq, self.write_secret = self.schedule.protection(secret), 0, secret

    def read_with(self, secret: bytes) -> None:
        """Open under a traffic secret from the next record on."""
        if self._messages:
            raise ValueError("a handshake message over a change of keys")
        self._opening, self.read_seq, self.read_secret = self.schedule.protection(secret), 0, secret

    def read(self) -> Frame:
        """The next record, opened."""
        header = self._take(5, True)
        kind, version, length = struct.unpack(">BHH", header)
        raw = self._take(length, False)
        plain, sealed = raw, False
        if self._opening is not None and kind == Record.DATA:
            kind, plain = self._opening.open(self.read_seq, header, raw)
            self.read_seq += 1
            sealed = True
        elif self._opening is not None and not (kind == Record.CCS and raw == b"\1" and not self.established):
            raise ValueError(f"record type {kind} in clear from the server")
        elif kind == Record.DATA:
            raise ValueError("a sealed record before there are keys")
        frame = Frame(kind, version, raw, plain, sealed)
        self.seen.append(frame)
        if kind == Record.ALERT:
            if len(plain) != 2:
                raise ValueError(f"alert record of {len(plain)} bytes from the server")
            self.alerts.append(Received(plain[0], plain[1], sealed))
        return frame

    # handshake messages

    def send_message(self, whole: bytes, sizes: int = 1 << 14) -> None:
        """Send a whole handshake message, counted in the transcript, in records of at most `sizes` bytes."""
        self.transcript += whole
        self.send_raw(
            b"".join(self.seal(Record.HANDSHAKE, whole[at : at + sizes]) for at in range(0, len(whole), sizes))
        )

    def pump(self) -> None:
        """Read one record into its place; Refused on an alert that ends the connection."""
        frame = self.read()
        if frame.kind == Record.HANDSHAKE:
            self._messages += frame.plain
            if self.established:
                self._after()
        elif frame.kind == Record.DATA:
            self.data += frame.plain
        elif frame.kind == Record.ALERT:
            raise Refused(self.alerts[-1])

    def _take_message(self) -> bytes | None:
        if len(self._messages) >= 4:
            size = 4 + int.from_bytes(self._messages[1:4], "big")
            if len(self._messages) >= size:
                whole = bytes(self._messages[:size])
                del self._messages[:size]
                return whole
        return None

    def read_message(self) -> tuple[int, bytes]:
        """The next handshake message, not yet in the transcript."""
        while (whole := self._take_message()) is None:
            self.pump()
        self._last = whole
        return whole[0], whole[4:]

    def expect(self, kind: int) -> bytes:
        """The body of the next message, which must be of this type; it joins the transcript."""
        found, body = self.read_message()
        if found != kind:
            raise ValueError(f"message type {found} from the server, awaited {kind}")
        self.transcript += self._last
        return body

    # hello

    def shared_hello(self, hello: Hello, groups: Sequence[int]) -> Hello:
        """The hello with our shares for these groups."""
        for group in groups:
            self.shares.setdefault(group, Ephemeral(group))
        entries = b"".join(share(group, self.shares[group].public) for group in groups)
        return hello.ext(Ext.KEY_SHARE, vec(2, entries))

    def bound_hello(
        self, hello: Hello, ticket: Ticket, age_ms: int = 0, tamper: Callable[[bytes], bytes] = bytes
    ) -> Hello:
        """The hello with a ticket and its binder at the end."""
        self.ticket = ticket
        schedule = Schedule(ticket.suite, ticket.psk)
        identities = vec(2, vec(2, ticket.ticket) + ((age_ms + ticket.age_add) & 0xFFFFFFFF).to_bytes(4, "big"))
        rest = vec(2, vec(1, bytes(schedule.size)))
        whole = hello.more(PRE_SHARED_KEY, identities + rest).message()
        binder = schedule.binder(self.transcript + whole[: -len(rest)])
        return hello.more(PRE_SHARED_KEY, identities + vec(2, vec(1, tamper(binder))))

    def send_hello(self, hello: Hello, sizes: int = 1 << 14) -> None:
        """Send a ClientHello."""
        self.hello = hello
        self.send_message(hello.message(), sizes)

    def start(
        self, hello: Hello | None = None, groups: Sequence[int] = (Group.X25519,), ticket: Ticket | None = None
    ) -> None:
        """ClientHello, and again if the server asks for it, and the server's flight to Finished."""
        hello = self.shared_hello(hello or hello13(), groups)
        self.send_hello(self.bound_hello(hello, ticket) if ticket else hello)
        self.read_hello()
        if self.retry is not None:
            hello = self.shared_hello(hello, [self.group])
            self.send_hello(self.bound_hello(hello, ticket) if ticket else hello)
            self.read_hello()
        self.read_flight()

    def read_hello(self) -> None:
        """ServerHello or HelloRetryRequest, checked (section 4.1.3)."""
        kind, body = self.read_message()
        if kind != Msg.SERVER_HELLO:
            raise ValueError(f"message type {kind} from the server, awaited a ServerHello")
        r = Reader(body)
        version, random, session, suite, compression = r.number(2), r.take(32), r.vector(1), r.number(2), r.number(1)
        extensions, e = {}, Reader(r.vector(2))
        while e.more():
            kind, data = e.number(2), e.vector(2)
            if kind in extensions:
                raise ValueError("an extension twice")
            extensions[kind] = data
        r.end()
        if (
            version != 0x0303
            or session != self.hello.session_id
            or compression
            or extensions[Ext.SUPPORTED_VERSIONS] != u16(TLS13)
        ):
            raise ValueError("not the ServerHello of TLS 1.3 for this ClientHello")
        if suite not in self.hello.suites or (self.retry is not None and suite != self.suite):
            raise ValueError("suite not offered, or not that of the HelloRetryRequest")
        self.suite = suite
        entry = extensions[Ext.KEY_SHARE]
        if random == RETRY:
            if self.retry is not None or set(extensions) != {Ext.SUPPORTED_VERSIONS, Ext.KEY_SHARE}:
                raise ValueError("a second HelloRetryRequest, or a strange one")
            self.retry, self.group = body, int.from_bytes(entry, "big")
            if self.group in self.shares:
                raise ValueError("HelloRetryRequest for a share that was sent")
            name = HASHES[suite]
            first = digest(name, self.transcript)
            self.transcript = b"\xfe\0\0" + bytes([len(first)]) + first + self._last
            return
        r = Reader(entry)
        self.group, self.point = r.number(2), r.vector(2)
        self.resumed = PRE_SHARED_KEY in extensions
        if self.resumed and (self.ticket is None or extensions[PRE_SHARED_KEY] != b"\0\0"):
            raise ValueError("a PSK that was not offered")
        self.transcript += self._last
        self.schedule = Schedule(suite, self.ticket.psk if self.resumed and self.ticket else b"")
        self.schedule.handshake(self.shares[self.group].shared(self.point), self.transcript)
        self.read_with(self.schedule.server_handshake)
        self.write_with(self.schedule.client_handshake)

    def read_flight(self) -> None:
        """EncryptedExtensions ... Finished, checked; application keys for what the server sends next."""
        e = Reader(Reader(self.expect(ENCRYPTED_EXTENSIONS)).vector(2))
        while e.more():
            kind = e.number(2)
            self.encrypted[kind] = e.vector(2)
        offered = dict(self.hello.extensions or ())  # type: ignore[arg-type]
        if set(self.encrypted) - set(offered):
            raise ValueError("an extension that was not offered")
        if not self.resumed:
            kind, body = self.read_message()
            if kind == Msg.CERTIFICATE_REQUEST:
                self.request = body
                self.transcript += self._last
                kind, body = self.read_message()
            if kind != Msg.CERTIFICATE:
                raise ValueError(f"message type {kind} from the server, awaited Certificate")
            self.transcript += self._last
            r = Reader(body)
            if r.vector(1):
                raise ValueError("a context in the handshake")
            entries = Reader(r.vector(3))
            while entries.more():
                self.chain.append(entries.vector(3))
                entries.vector(2)
            covered = self._covered(b"server")
            r = Reader(self.expect(Msg.CERTIFICATE_VERIFY))
            self.scheme = r.number(2)
            self._verify(self.scheme, r.vector(2), covered)
        awaited = self.schedule.finished(self.schedule.server_handshake, self.transcript)
        if self.expect(Msg.FINISHED) != awaited:
            raise ValueError("the server's Finished is wrong")
        self.schedule.application(self.transcript)
        self.read_with(self.schedule.server_application)

    def _covered(self, side: bytes) -> bytes:
        return b" " * 64 + b"TLS 1.3, " + side + b" CertificateVerify\0" + digest(self.schedule.name, self.transcript)

    def _verify(self, scheme: int, signature: bytes, covered: bytes) -> None:
        key = x509.load_der_x509_certificate(self.chain[0]).public_key()
        try:
            if isinstance(key, ed25519.Ed25519PublicKey) and scheme == 0x0807:
                key.verify(signature, covered)
                return
            algorithm = getattr(hashes, SCHEME_HASH[scheme])()
            if isinstance(key, rsa.RSAPublicKey) and scheme >= 0x0804:
                key.verify(
                    signature, covered, padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH), algorithm
                )
            elif isinstance(key, ec.EllipticCurvePublicKey) and scheme < 0x0804:
                key.verify(signature, covered, ec.ECDSA(algorithm))
            else:
                raise ValueError(f"scheme {scheme:#06x} does not fit the certificate")
        except InvalidSignature as error:
            raise ValueError("the server's signature is wrong") from error

    # the client's flight

    def send_certificates(self, chain: Sequence[bytes], context: bytes = b"", extensions: bytes = b"") -> None:
        """A client's Certificate message."""
        entries = b"".join(vec(3, der) + vec(2, extensions) for der in chain)
        self.send_message(message(Msg.CERTIFICATE, vec(1, context) + vec(3, entries)))

    def send_certificate_verify(
        self, scheme: int | None = None, side: bytes = b"client", tamper: Callable[[bytes], bytes] = bytes
    ) -> None:
        """CertificateVerify with the identity's key."""
        assert self.identity is not None
        key = self.identity.key
        natural = {"secp256r1": 0x0403, "secp384r1": 0x0503, "secp521r1": 0x0603}
        own = 0x0804 if isinstance(key, rsa.RSAPrivateKey) else natural[key.curve.name]
        algorithm = getattr(hashes, SCHEME_HASH[own])()
        covered = self._covered(side)
        if isinstance(key, rsa.RSAPrivateKey):
            signature = key.sign(covered, padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH), algorithm)
        else:
            signature = key.sign(covered, ec.ECDSA(algorithm))
        self.send_message(
            message(Msg.CERTIFICATE_VERIFY, u16(own if scheme is None else scheme) + vec(2, tamper(signature)))
        )

    def verify_data(self) -> bytes:
        """Of our Finished over the transcript so far."""
        return self.schedule.finished(self.schedule.client_handshake, self.transcript)

    def send_finished(self, tamper: Callable[[bytes], bytes] = bytes, sizes: int = 1 << 14) -> None:
        """Finished; application keys for what we send next."""
        self.send_message(message(Msg.FINISHED, tamper(self.verify_data())), sizes)
        self.schedule.resumption(self.transcript)
        self.write_with(self.schedule.client_application)
        self.established = True

    def handshake(
        self, hello: Hello | None = None, groups: Sequence[int] = (Group.X25519,), ticket: Ticket | None = None
    ) -> None:
        """A whole correct handshake; `identity` is shown if the server asks for a certificate."""
        self.start(hello, groups, ticket)
        if self.request is not None:
            self.send_certificates(self.identity.chain if self.identity else ())
            if self.identity:
                self.send_certificate_verify()
        self.send_finished()

    # after it

    def _after(self) -> None:
        while (whole := self._take_message()) is not None:
            if whole[0] == NEW_SESSION_TICKET:
                r = Reader(whole[4:])
                lifetime, age_add, nonce, ticket = r.number(4), r.number(4), r.vector(1), r.vector(2)
                r.vector(2)
                r.end()
                self.tickets.append(Ticket(lifetime, age_add, nonce, ticket, self.schedule.ticket(nonce), self.suite))
            elif whole[0] == Msg.KEY_UPDATE:
                self.updates.append(whole[4:])
                self.read_with(self.schedule.next(self.read_secret))
            else:
                raise ValueError(f"message type {whole[0]} after the handshake")

    def send_key_update(self, requested: int = 0) -> None:
        """KeyUpdate, and seal under the next keys."""
        self.send(Record.HANDSHAKE, message(Msg.KEY_UPDATE, bytes([requested])))
        self.write_with(self.schedule.next(self.write_secret))

    def send_data(self, data: bytes, size: int = 1 << 14) -> None:
        """Application data in records of at most `size` bytes."""
        self.send_raw(b"".join(self.seal(Record.DATA, data[at : at + size]) for at in range(0, len(data), size)))

    def read_data(self, count: int) -> bytes:
        """`count` bytes of application data."""
        while len(self.data) < count:
            self.pump()
        out = bytes(self.data[:count])
        del self.data[:count]
        return out

    def echo(self, data: bytes) -> None:
        """Send, and read the same back."""
        self.send_data(data)
        if self.read_data(len(data)) != data:
            raise ValueError("the echo differs")

    def close(self) -> str:
        """close_notify, and read to the end; gives how it ended ("eof" is the good way)."""
        try:
            self.send_alert(Alert.CLOSE_NOTIFY, WARNING)
        except Ended as ended:
            return ended.how
        return self.drain()

    @property
    def fatals(self) -> list[int]:
        """The descriptions of the fatal alerts that came."""
        return [alert.description for alert in self.alerts if alert.level == FATAL]
