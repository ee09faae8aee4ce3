"""Rows: the client's Finished (RFC 5246 7.4.9)."""

from __future__ import annotations

from collections.abc import Callable

from .client import Client
from .messages import Hello
from .names import CIPHER_OPTIONS, TLS10, TLS11, Alert, Record
from .row import ALL_CIPHERS, OLD_VERSIONS, RSA, Act, Ends, Row, fatal

DECODE = fatal(Alert.DECODE_ERROR)
DECRYPT = fatal(Alert.DECRYPT_ERROR)
BAD_MAC = fatal(Alert.BAD_RECORD_MAC)
_BOTH = RSA + ALL_CIPHERS + OLD_VERSIONS


def tampered(tamper: Callable[[bytes], bytes], hello: Callable[[Hello], Hello] = lambda h: h) -> Act:
    """A handshake whose verify_data is changed; record and message are well formed."""

    def act(c: Client) -> None:
        c.start(hello(Hello()))
        c.send_key_exchange()
        c.send_ccs()
        c.send_finished(tamper)
        c.read_finished()

    return act


def flipped(index: int) -> Callable[[bytes], bytes]:
    """One bit of one byte turned."""
    return lambda data: data[:index] + bytes([data[index] ^ 0x10]) + data[index + 1 :]


def broken_record(c: Client) -> None:
    """Finished in a record whose last byte is turned."""
    c.start()
    c.send_key_exchange()
    c.send_ccs()
    whole = bytearray(c.seal(Record.HANDSHAKE, b"\x14\0\0\x0c" + c.verify_data()))
    whole[-1] ^= 1
    c.send_raw(bytes(whole))
    c.read_finished()


def with_server_label(c: Client) -> None:
    """verify_data made with the server's label."""
    tampered(lambda _: c.verify_data(b"server finished"))(c)


_CITE = "RFC 5246 7.4.9, 7.2.2: decrypt_error when a Finished cannot be validated"

ROWS: list[Row] = [
    *(Row(f"byte-{index}", tampered(flipped(index)), Ends.REFUSED, DECRYPT, _CITE) for index in range(12)),
    Row("all-zero", tampered(lambda _: bytes(12)), Ends.REFUSED, DECRYPT, _CITE),
    Row("with-server-label", with_server_label, Ends.REFUSED, DECRYPT, _CITE),
    *(Row(f"length-{size}", tampered(lambda d, n=size: (d + bytes(40))[:n]), Ends.REFUSED, DECODE,
          "RFC 5246 7.4.9: 12 bytes; 7.2.2: the length of the message is incorrect")
      for size in (0, 1, 11, 13, 16, 36)),
    *(Row(f"byte-0-{option}", tampered(flipped(0)), Ends.REFUSED, DECRYPT, _CITE, RSA + f" -c {option}")
      for option in CIPHER_OPTIONS),
    *(Row(f"byte-0-{label}", tampered(flipped(0), lambda h, v=version: h.but(version=v)), Ends.REFUSED,
        DECRYPT,
          _CITE, _BOTH) for label, version in (("tls10", TLS10), ("tls11", TLS11))),
    *(Row(f"length-13-{label}", tampered(lambda d: d + b"\0", lambda h, v=version: h.but(version=v)),
        Ends.REFUSED,
          DECODE, _CITE, _BOTH) for label, version in (("tls10", TLS10), ("tls11", TLS11))),
    *(Row(f"broken-record-{option}", broken_record, Ends.REFUSED, BAD_MAC, "RFC 5246 7.2.2",
        RSA + f" -c {option}")
      for option in CIPHER_OPTIONS),
]  # fmt: skip
