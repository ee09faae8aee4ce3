"""A reader of handshake messages for models of the parsers: what does not fit is refused with an alert."""

from __future__ import annotations

from tests.wire.names import Alert


class Refuse(Exception):
    """The model's refusal, with the alert."""


class Reader:
    """Vectors of RFC 5246 section 4; too short is decode_error."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def bytes(self, n: int) -> bytes:
        need(n <= len(self.data), Alert.DECODE_ERROR)
        found, self.data = self.data[:n], self.data[n:]
        return found

    def number(self, width: int) -> int:
        return int.from_bytes(self.bytes(width), "big")

    def vector(self, width: int) -> bytes:
        return self.bytes(self.number(width))

    def end(self) -> None:
        need(not self.data, Alert.DECODE_ERROR)


def need(condition: object, alert: int) -> None:
    if not condition:
        raise Refuse(alert)


def whole(data: bytes, width: int) -> bytes:
    """The one vector that fills a message or an extension."""
    reader = Reader(data)
    found = reader.vector(width)
    reader.end()
    return found
