"""TLS clients on Python's ssl: permissive contexts, exact reading, how a connection ended."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import warnings
from pathlib import Path

from tests.waiting import LIMIT_S, Deadline


def client_context(
    *,
    ca: Path | None = None,
    ciphers: str | None = None,
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1,
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    certificate: Path | None = None,
    curve: str | None = None,
) -> ssl.SSLContext:
    """A permissive client context: any version and cipher OpenSSL has, unverified unless `ca` is given.

    `ciphers` is an OpenSSL cipher string, `certificate` a PEM file with key and chain, `curve` one name.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options &= (
        ~0x80
    )  # SSL_OP_IGNORE_UNEXPECTED_EOF, which some Pythons set: a bare end is no close_notify
    context.options |= 0x4  # SSL_OP_LEGACY_SERVER_CONNECT; the peer's flags are not what is tested
    context.set_ciphers((ciphers or "ALL") + ":@SECLEVEL=0")
    if minimum < ssl.TLSVersion.TLSv1_2:
        _allow_old_versions(context)
    context.minimum_version, context.maximum_version = minimum, maximum
    if ca:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    if certificate:
        context.load_cert_chain(certificate)
    if curve:
        context.set_ecdh_curve(curve)
    return context


def _allow_old_versions(context: ssl.SSLContext) -> None:
    warnings.filterwarnings("ignore", message=".*TLSVersion.*deprecated", category=DeprecationWarning)
    context.options &= ~(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1)


def start_tls(
    sock: socket.socket, context: ssl.SSLContext | None = None, sni: str | None = None
) -> ssl.SSLSocket:
    """Handshake as a client over `sock`; later a missing close_notify raises instead of passing as an end."""
    return (context or client_context()).wrap_socket(sock, server_hostname=sni, suppress_ragged_eofs=False)


def read_exactly(sock: socket.socket, count: int) -> bytes:
    """Read exactly `count` bytes, or what came before the end."""
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(min(65536, count - len(data)))
        if not piece:
            break
        data += piece
    return bytes(data)


def read_all(sock: socket.socket) -> bytes:
    """Read to the end (for TLS: to close_notify; a bare end raises ssl.SSLEOFError)."""
    data = bytearray()
    while piece := sock.recv(65536):
        data += piece
    return bytes(data)


def ending(sock: socket.socket, limit_s: float = 30.0) -> tuple[bytes, str]:
    """Read to the end and say how it ended: "close_notify" (for a plain socket "eof"), "eof" or "reset".

    TimeoutError when a peer goes on sending for `limit_s`.
    """
    data, deadline = bytearray(), Deadline(limit_s)
    try:
        while piece := sock.recv(65536):
            data += piece
            if deadline.over():
                raise TimeoutError(f"no end after {len(data)} bytes")
    except ssl.SSLError as error:  # of one class or the other, by the version of Python
        if isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING":
            return bytes(data), "eof"
        raise
    except (ConnectionResetError, BrokenPipeError):
        return bytes(data), "reset"
    return bytes(data), "close_notify" if isinstance(sock, ssl.SSLSocket) else "eof"


def duplex(sock: ssl.SSLSocket, payload: bytes, expect: int, limit_s: float = 60.0) -> bytes:
    """Send `payload` and read `expect` bytes at the same time over one TLS socket; give what was read."""
    deadline, sent, received = Deadline(limit_s), 0, bytearray()
    view = memoryview(payload)
    sock.settimeout(0)
    poller = select.poll()
    poller.register(sock, 0)
    try:
        while sent < len(view) or len(received) < expect:
            wanted = 0
            try:
                while len(received) < expect:
                    piece = sock.recv(65536)
                    if not piece:
                        return bytes(received)
                    received += piece
            except ssl.SSLWantReadError:
                wanted |= select.POLLIN
            except ssl.SSLWantWriteError:
                wanted |= select.POLLOUT
            try:
                if sent < len(view):
                    sent += sock.send(view[sent : sent + 65536])
                    wanted |= select.POLLOUT
            except ssl.SSLWantWriteError:
                wanted |= select.POLLOUT
            except ssl.SSLWantReadError:
                wanted |= select.POLLIN
            if sent < len(view) or len(received) < expect:
                poller.modify(sock, wanted)
                if not poller.poll(deadline.left_ms()) or deadline.over():
                    raise TimeoutError(f"sent {sent} of {len(view)}, received {len(received)} of {expect}")
        return bytes(received)
    finally:
        sock.settimeout(LIMIT_S)


def reset(sock: socket.socket) -> None:
    """Close a TCP socket with a reset instead of an orderly end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class RecordClient:
    """A TLS client that sees and controls its records: nothing is read or sent unless told so.

    `received` lists (type, length) of every record that came in. Works over any stream socket.
    """

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext | None = None, sni: str | None = None
    ) -> None:
        self.sock = sock
        self.received: list[tuple[int, int]] = []
        self._break = False
        self._in, self._out, self._raw = ssl.MemoryBIO(), ssl.MemoryBIO(), bytearray()
        self.tls = (context or client_context()).wrap_bio(self._in, self._out, server_hostname=sni)

    def client_hello(self) -> bytes:
        """The first flight as bytes, not sent."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._out.read()

    def handshake(self) -> None:
        """Do the whole handshake."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                self._pull()
            else:
                self.flush()
                return

    def next_flight(self) -> bytes:
        """Read the server's flight to its end and give our answer as bytes, not sent."""
        while not (flight := self.client_hello()):
            self._pull()
        return flight

    def flush(self) -> None:
        """Send what the engine made."""
        self.sock.sendall(self._out.read())

    def seal(self, data: bytes) -> bytes:
        """The records that carry `data`, not sent."""
        self.tls.write(data)
        return self._out.read()

    def send(self, data: bytes) -> None:
        self.sock.sendall(self.seal(data))

    def sealed_close_notify(self) -> bytes:
        """Our close_notify as a record, not sent; reading goes on to work."""
        with contextlib.suppress(ssl.SSLError):  # the peer's close_notify has not come, and need not
            self.tls.unwrap()
        return self._out.read()

    def close_notify(self) -> None:
        self.sock.sendall(self.sealed_close_notify())

    def recv(self, count: int = 65536) -> bytes:
        """Some application bytes; empty at close_notify. ConnectionError("eof") at a bare end."""
        while True:
            try:
                return self.tls.read(count)
            except ssl.SSLWantReadError:
                self._pull()
            except ssl.SSLZeroReturnError:
                return b""

    def read_exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count and (piece := self.recv(count - len(data))):
            data += piece
        return bytes(data)

    def ending(self) -> tuple[bytes, str]:
        """As the function `ending`: application bytes to the end, and how it ended."""
        data = bytearray()
        try:
            while piece := self.recv():
                data += piece
        except ConnectionResetError:
            return bytes(data), "reset"
        except ConnectionError:
            return bytes(data), "eof"
        return bytes(data), "close_notify"

    def break_next_record(self) -> None:
        """Flip a bit in what comes next: our side finds it bad and makes an alert, which `flush` sends."""
        self._break = True

    def _pull(self) -> None:
        piece = self.sock.recv(65536)
        if not piece:
            raise ConnectionError("eof")
        self._raw += piece
        if self._break:
            piece, self._break = piece[:-1] + bytes([piece[-1] ^ 1]), False
        self._in.write(piece)
        while len(self._raw) >= 5 and len(self._raw) >= (size := 5 + int.from_bytes(self._raw[3:5], "big")):
            self.received.append((self._raw[0], size - 5))
            del self._raw[:size]
