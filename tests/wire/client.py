"""A raw TLS 1.0-1.2 ECDHE client, scripted message by message.

    client = Client(sock)
    client.handshake()                         # or step by step:
    client.start(Hello())                      #   ClientHello, then the server's flight to ServerHelloDone
    client.send_key_exchange()                 #   ClientKeyExchange; the keys are known from here on
    client.send_ccs(); client.send_finished()
    client.read_finished()
    client.send_data(b"x"); client.read_data(1)

Any step may be left out, repeated, or replaced by other bytes (`send_message`, `send`, `send_raw`). What the
server sends is checked strictly: order, encoding, signature, Finished, renegotiation_info. All secrets stay
readable: `premaster`, `master`, `keys` (a KeyBlock: `whole` and its parts), `hello.random`, `server.random`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from .crypto import Ephemeral, KeyBlock, prf, transcript_hash
from .messages import (
    CertificateRequest,
    Hello,
    KeyExchange,
    ServerHello,
    message,
    parse_certificates,
    u16,
    vec,
)
from .names import FATAL, MAX_PLAIN, RENEGOTIATION_SCSV, SUITES, TLS12, WARNING, Alert, Ext, Msg, Record
from .records import LIMIT_S, Ended, Refused, Wire
from .signatures import ECDSA, RSA, SigningKey, sign, verify


@dataclass(frozen=True)
class Identity:
    """What a client shows when asked: DER certificates, its own first, and the key that signs."""

    chain: tuple[bytes, ...]
    key: SigningKey


class Client(Wire):
    """See the module. `hello` and `server` are the two hellos once they have passed."""

    server: ServerHello
    key_exchange: KeyExchange
    ephemeral: Ephemeral
    premaster: bytes
    master: bytes
    keys: KeyBlock

    def __init__(self, sock: socket.socket, limit_s: float = LIMIT_S) -> None:
        super().__init__(sock, limit_s)
        self.hello = Hello()  # stands in until one is sent
        self.transcript = bytearray()
        self.chain: list[bytes] = []
        self.request: CertificateRequest | None = None
        self.identity: Identity | None = None
        self.data = bytearray()
        self._messages = bytearray()

    # handshake messages out and in

    def send_message(self, whole: bytes, sizes: Sequence[int] | int | None = None) -> None:
        """Send a whole handshake message and count it in the transcript.

        `sizes` splits it over records: a number for all, or the size of each but the last; else full ones.
        """
        self.transcript += whole
        self.send_pieces(whole, sizes)

    def send_pieces(self, data: bytes, sizes: Sequence[int] | int | None = None) -> None:
        """Send handshake bytes split over records, outside the transcript."""
        if sizes is None:
            sizes = MAX_PLAIN
        if isinstance(sizes, int):
            sizes = [sizes] * (len(data) // sizes)
        out, at = [], 0
        for size in sizes:
            out.append(self.seal(Record.HANDSHAKE, data[at : at + size]))
            at += size
        if at < len(data):
            out.append(self.seal(Record.HANDSHAKE, data[at:]))
        self.send_raw(b"".join(out))

    def read_message(self) -> tuple[int, bytes]:
        """The next handshake message, counted in the transcript. Refused on a fatal alert or close_notify."""
        while True:
            if len(self._messages) >= 4:
                size = 4 + int.from_bytes(self._messages[1:4], "big")
                if len(self._messages) >= size:
                    whole = bytes(self._messages[:size])
                    del self._messages[:size]
                    self.transcript += whole
                    return whole[0], whole[4:]
            self._pump(Record.HANDSHAKE)

    def _pump(self, wanted: int) -> None:
        """Read one record into its place; Refused on an alert that ends the connection."""
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
            raise ValueError(f"record type {frame.kind} from the server, awaited {wanted}")

    def expect(self, kind: int) -> bytes:
        """The body of the next message, which must be of this type."""
        found, body = self.read_message()
        if found != kind:
            raise ValueError(f"message type {found} from the server, awaited {kind}")
        return body

    # the server's first flight

    def send_hello(self, hello: Hello, sizes: Sequence[int] | int | None = None) -> None:
        """Send a ClientHello."""
        self.hello = hello
        self.send_message(hello.message(), sizes)

    def start(self, hello: Hello | None = None) -> None:
        """ClientHello, and the server's flight to ServerHelloDone."""
        self.send_hello(hello or Hello())
        self.read_flight()

    def read_flight(self) -> None:
        """ServerHello ... ServerHelloDone, checked."""
        self.server = server = ServerHello.parse(self.expect(Msg.SERVER_HELLO))
        self.version = server.version
        self._check_hello()
        self.suite = SUITES[server.suite]
        self.chain = parse_certificates(self.expect(Msg.CERTIFICATE))
        body = self.expect(Msg.SERVER_KEY_EXCHANGE)
        self.key_exchange = exchange = KeyExchange.parse(body, server.version)
        covered = self.hello.random + server.random + exchange.params
        verify(self.chain[0], exchange.scheme, exchange.signature, covered)
        kind, body = self.read_message()
        if kind == Msg.CERTIFICATE_REQUEST:
            self.request = CertificateRequest.parse(body, server.version)
            kind, body = self.read_message()
        if (kind, body) != (Msg.SERVER_HELLO_DONE, b""):
            raise ValueError(f"message type {kind} with {len(body)} bytes, awaited an empty ServerHelloDone")

    def _check_hello(self) -> None:
        """What RFC 5246 7.4.1.3 and 7.4.1.4 and RFC 5746 3.6 ask of any ServerHello."""
        hello, server = self.hello, self.server
        offered = [] if isinstance(hello.suites, bytes) else list(hello.suites)
        if offered and server.suite not in offered:
            raise ValueError(f"suite {server.suite:#06x} was not offered")
        if server.version > hello.version or server.compression != 0:
            raise ValueError("version or compression was not offered")
        kinds = (
            set()
            if hello.extensions is None or isinstance(hello.extensions, bytes)
            else dict(hello.extensions)
        )
        asked = set(kinds) | ({Ext.RENEGOTIATION_INFO} if RENEGOTIATION_SCSV in offered else set())
        if not isinstance(hello.extensions, bytes) and set(server.extensions) - asked:
            raise ValueError(f"extensions {set(server.extensions) - asked} were not offered")
        if Ext.RENEGOTIATION_INFO in asked and server.extensions.get(Ext.RENEGOTIATION_INFO) != b"\0":
            raise ValueError("no empty renegotiation_info in ServerHello")

    # the client's flight

    def compute_premaster(self) -> bytes:
        """Make our ephemeral key for the server's group and the pre-master secret; gives our point."""
        self.ephemeral = Ephemeral(self.key_exchange.group)
        self.premaster = self.ephemeral.shared(self.key_exchange.point)
        return self.ephemeral.public

    def compute_keys(self) -> None:
        """Master secret and key block from `premaster` (RFC 5246 8.1 and 6.3)."""
        randoms = self.hello.random + self.server.random
        hash_name = self.suite.prf
        self.master = prf(self.version, hash_name, self.premaster, b"master secret", randoms, length=48)
        self.keys = KeyBlock(self.suite, self.version, self.master, self.hello.random, self.server.random)

    def send_key_exchange(
        self,
        tamper: Callable[[bytes], bytes] = lambda point: point,
        sizes: Sequence[int] | int | None = None,
        body: bytes | None = None,
    ) -> None:
        """ClientKeyExchange with our point as `tamper` changes it, or with another `body`; then the keys."""
        point = tamper(self.compute_premaster())
        body = vec(1, point) if body is None else body
        self.send_message(message(Msg.CLIENT_KEY_EXCHANGE, body), sizes)
        self.compute_keys()

    def send_certificates(self, chain: Sequence[bytes]) -> None:
        """A client's Certificate message; an empty chain is the polite no."""
        self.send_message(message(Msg.CERTIFICATE, vec(3, b"".join(vec(3, der) for der in chain))))

    def send_certificate_verify(
        self, key: SigningKey, scheme: int | None = None, signed: bytes | None = None
    ) -> None:
        """CertificateVerify over the transcript (or over `signed`), SHA-256 unless told otherwise."""
        if self.version >= TLS12 and scheme is None:
            scheme = 0x0400 + (RSA if isinstance(key, RSAPrivateKey) else ECDSA)
        data = bytes(self.transcript) if signed is None else signed
        signature = sign(key, scheme if self.version >= TLS12 else None, data)
        body = (u16(scheme or 0) if self.version >= TLS12 else b"") + vec(2, signature)
        self.send_message(message(Msg.CERTIFICATE_VERIFY, body))

    def send_ccs(self, body: bytes = b"\1", switch: bool = True) -> None:
        """ChangeCipherSpec; what follows is sealed unless `switch` is off."""
        self.send(Record.CCS, body)
        if switch:
            self.start_writing(self.keys.client_side())

    def verify_data(self, label: bytes = b"client finished") -> bytes:
        """The 12 bytes of Finished over the transcript so far."""
        digest = transcript_hash(self.version, self.suite.prf, bytes(self.transcript))
        return prf(self.version, self.suite.prf, self.master, label, digest, length=12)

    def send_finished(
        self,
        tamper: Callable[[bytes], bytes] = lambda data: data,
        sizes: Sequence[int] | int | None = None,
    ) -> None:
        """Finished, with its verify_data as `tamper` changes it."""
        self.send_message(message(Msg.FINISHED, tamper(self.verify_data())), sizes)

    def read_finished(self) -> None:
        """The server's ChangeCipherSpec and Finished, checked."""
        awaited = self.verify_data(b"server finished")
        while not self.seen or self.seen[-1].kind != Record.CCS:
            self._pump(Record.CCS)
        if self.seen[-1].plain != b"\1" or self._messages:
            raise ValueError("bad ChangeCipherSpec from the server")
        self.start_reading(self.keys.server_side())
        if self.expect(Msg.FINISHED) != awaited:
            raise ValueError("the server's Finished is wrong")

    def handshake(self, hello: Hello | None = None) -> None:
        """A whole correct handshake; `identity` is shown if the server asks for a certificate."""
        self.start(hello)
        if self.request is not None:
            self.send_certificates(self.identity.chain if self.identity else ())
        self.send_key_exchange()
        if self.request is not None and self.identity:
            self.send_certificate_verify(self.identity.key)
        self.send_ccs()
        self.send_finished()
        self.read_finished()

    # after it

    def send_data(self, data: bytes, size: int = 1 << 14) -> None:
        """Application data in records of at most `size` bytes."""
        out = [self.seal(Record.DATA, data[at : at + size]) for at in range(0, len(data), size)]
        self.send_raw(b"".join(out))

    def read_data(self, count: int) -> bytes:
        """`count` bytes of application data. Refused on a fatal alert or close_notify."""
        while len(self.data) < count:
            self._pump(Record.DATA)
        out = bytes(self.data[:count])
        del self.data[:count]
        return out

    def echo(self, data: bytes) -> None:
        """Send, and read the same back."""
        self.send_data(data)
        if self.read_data(len(data)) != data:
            raise ValueError("the echo differs")

    def read_alert(self) -> None:
        """Read records up to the next alert, whatever its level."""
        have = len(self.alerts)
        while len(self.alerts) == have:
            self.read()

    def close(self) -> str:
        """close_notify, and read to the end; gives how it ended ("eof" is the good way)."""
        try:
            self.send_alert(Alert.CLOSE_NOTIFY, WARNING)
        except Ended as ended:
            return ended.how
        return self.drain()
