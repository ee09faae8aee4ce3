"""Rows: records that do not open, for each cipher and each class of their bytes.

RFC 5246 7.2.2 asks for bad_record_mac, and it must be the same whatever was wrong: padding, MAC, tag, length.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from .client import Client
from .crypto import BLOCK, Cbc
from .messages import Hello
from .names import CIPHER_OPTIONS, MAX_PLAIN, MAX_SEALED, TLS10, TLS11, TLS12, Alert, Record, suite_for
from .row import OLD_VERSIONS, POISON, RSA, Act, Ends, Row, fatal, served

BAD_MAC = fatal(Alert.BAD_RECORD_MAC)
OVERFLOW = fatal(Alert.RECORD_OVERFLOW)
_CITE = "RFC 5246 7.2.2, 6.2.3"

Spoil = Callable[[Client], bytes]


def connected(spoil: Spoil, version: int = TLS12) -> Act:
    """A handshake, some data, and then the bytes that `spoil` makes."""

    def act(c: Client) -> None:
        c.handshake(Hello(version=version))
        c.echo(b"before")
        c.send_raw(spoil(c))

    return act


def turned(index: int) -> Spoil:
    """A record with one bit turned; `index` counts from the start of the fragment, or from its end."""

    def spoil(c: Client) -> bytes:
        whole = bytearray(c.seal(Record.DATA, POISON))
        whole[index if index < 0 else 5 + index] ^= 0x04
        return bytes(whole)

    return spoil


def resized(change: Callable[[bytes], bytes]) -> Spoil:
    """A record whose fragment is made longer or shorter, with a header that fits."""
    return lambda c: c.frame(Record.DATA, change(c.seal(Record.DATA, POISON)[5:]))


def of_size(size: int) -> Spoil:
    """A record of so many random bytes."""
    return lambda c: c.frame(Record.DATA, os.urandom(size))


def other_type(c: Client) -> bytes:
    """A good record of alert type, sent as data."""
    return bytes([Record.DATA]) + c.seal(Record.ALERT, POISON)[1:]


def replayed(c: Client) -> bytes:
    """The record that has just been sent, once more."""
    c.write_seq -= 1
    if isinstance(c.writer, Cbc) and not c.writer.explicit:
        raise ValueError("a chained IV has moved on")
    return c.seal(Record.DATA, b"before")


def skipped(c: Client) -> bytes:
    """A record that is one ahead."""
    c.write_seq += 1
    return c.seal(Record.DATA, POISON)


def cbc(make: Callable[[Cbc, bytes, bytes], bytes]) -> Spoil:
    """A CBC record over blocks made from the cipher, the plaintext and its right MAC."""

    def spoil(c: Client) -> bytes:
        writer = c.writer
        assert isinstance(writer, Cbc)
        tag = writer.mac(c.write_seq, Record.DATA, c.version, POISON)
        return c.frame(Record.DATA, writer.encrypt(make(writer, POISON, tag)))

    return spoil


def padding_byte(box: Cbc, plain: bytes, tag: bytes) -> bytes:
    """Right MAC, padding of 32 bytes and more with one wrong byte in it."""
    data = bytearray(box.pad(plain + tag, 2))
    data[-20] ^= 1
    return bytes(data)


def padding_too_long(box: Cbc, plain: bytes, tag: bytes) -> bytes:
    """A padding length that runs over the MAC and all the rest."""
    data = bytearray(box.pad(plain + tag))
    return bytes(data[:-1]) + b"\xff"


def no_room_for_mac(box: Cbc, plain: bytes, tag: bytes) -> bytes:
    """One block that is all padding."""
    return bytes([BLOCK - 1]) * BLOCK


def wrong_mac(index: int) -> Callable[[Cbc, bytes, bytes], bytes]:
    """Right padding, one byte of the MAC turned."""
    return lambda box, plain, tag: box.pad(
        plain + bytes(b ^ (i == index % len(tag)) for i, b in enumerate(tag))
    )


def no_mac(box: Cbc, plain: bytes, tag: bytes) -> bytes:
    """Right padding, no MAC."""
    return box.pad(plain)


def too_much(more: int) -> Spoil:
    """A record that opens to so many bytes more than 2^14."""
    return lambda c: c.seal(Record.DATA, POISON + bytes(MAX_PLAIN + more - len(POISON)))


def longest_padding(c: Client) -> None:
    """Every length of padding there is, up to 255 bytes: all legal (RFC 5246 6.2.3.2)."""
    c.handshake()
    writer = c.writer
    assert isinstance(writer, Cbc)
    for more in range(16):
        plain = b"padded" * (more + 1)
        blocks = writer.pad(plain + writer.mac(c.write_seq, Record.DATA, c.version, plain), more)
        c.send_raw(c.frame(Record.DATA, writer.encrypt(blocks)))
        c.write_seq += 1
        if c.read_data(len(plain)) != plain:
            raise ValueError("the echo differs")


_COMMON: dict[str, Spoil] = {
    "first-byte": turned(0),
    "last-byte": turned(-1),
    "one-byte-short": resized(lambda f: f[:-1]),
    "one-byte-long": resized(lambda f: f + b"\0"),
    "one-block-short": resized(lambda f: f[:-BLOCK]),
    "one-block-long": resized(lambda f: f + bytes(BLOCK)),
    "random": of_size(160),
    "other-type": other_type,
    "skipped": skipped,
}
_KINDS: dict[str, dict[str, Spoil]] = {
    "gcm": {
        "nonce-end": turned(7),
        "ciphertext": turned(8),
        "tag-begin": turned(-16),
        "replayed": replayed,
        **{f"{size}-bytes": of_size(size) for size in (1, 7, 8, 23)},
    },
    "chacha": {
        "ciphertext": turned(40),
        "tag-begin": turned(-16),
        "replayed": replayed,
        **{f"{size}-bytes": of_size(size) for size in (1, 15)},
    },
    "cbc": {
        "iv-end": turned(BLOCK - 1),
        "ciphertext": turned(BLOCK),
        "mac-block": turned(-BLOCK - 4),
        "replayed": replayed,
        "padding-byte": cbc(padding_byte),
        "padding-too-long": cbc(padding_too_long),
        "no-room-for-mac": cbc(no_room_for_mac),
        "no-mac": cbc(no_mac),
        "mac-first": cbc(wrong_mac(0)),
        "mac-last": cbc(wrong_mac(-1)),
        **{f"{size}-bytes": of_size(size) for size in (1, BLOCK, 2 * BLOCK, 2 * BLOCK + 1)},
    },
}


def _rows_of(option: str) -> list[Row]:
    kind = suite_for(option, "rsa").kind
    name, options = option.lower().replace("_", "-"), RSA + f" -c {option}"
    return [
        *(
            Row(f"{name}-{label}", connected(spoil), Ends.BROKEN, BAD_MAC, _CITE, options)
            for label, spoil in {**_COMMON, **_KINDS[kind]}.items()
        ),
        Row(f"{name}-no-bytes", connected(of_size(0)), Ends.BROKEN, BAD_MAC, _CITE, options),
        Row(f"{name}-opens-to-1-too-much", connected(too_much(1)), Ends.BROKEN,
            OVERFLOW | BAD_MAC if kind == "cbc" else OVERFLOW, "RFC 5246 6.2.1", options,
            "7.2.2 gives 22 from 2^14 + 1024 on; a CBC decoder may check the size with padding and MAC (20)"),
        Row(f"{name}-opens-to-1025-too-much", connected(too_much(1025)), Ends.BROKEN, OVERFLOW,
            "RFC 5246 7.2.2, 6.2.3", options),
        Row(f"{name}-too-long", connected(lambda c: c.frame(Record.DATA, b"", length=MAX_SEALED + 1)),
            Ends.BROKEN,
            OVERFLOW, "RFC 5246 7.2.2, 6.2.3: at most 2^14 + 2048", options),
        Row(f"{name}-longest", connected(lambda c: c.frame(Record.DATA, bytes(MAX_SEALED))), Ends.BROKEN,
            fatal(Alert.BAD_RECORD_MAC, Alert.RECORD_OVERFLOW), "RFC 5246 7.2.2, 6.2.3", options,
            "it does not open (20); so long a record of this cipher would open to too much (22)"),
    ]  # fmt: skip


def _old_rows(label: str, version: int) -> list[Row]:
    spoils = {
        **{name: spoil for name, spoil in _COMMON.items() if name != "other-type"},
        **{
            name: spoil
            for name, spoil in _KINDS["cbc"].items()
            if version > TLS10 or name not in ("replayed", "iv-end")
        },
    }
    options = RSA + " -c AES_128_CBC_SHA" + OLD_VERSIONS
    return [
        Row(f"{label}-{name}", connected(spoil, version), Ends.BROKEN, BAD_MAC,
            "RFC 4346 7.2.2, F.3: bad_record_mac for padding too, in TLS 1.0 as well",
            options)
        for name, spoil in spoils.items()
    ]  # fmt: skip


ROWS: list[Row] = [
    *(row for option in CIPHER_OPTIONS for row in _rows_of(option)),
    *_old_rows("tls10", TLS10),
    *_old_rows("tls11", TLS11),
    *(
        Row(f"padding-of-any-length-{option.lower().replace('_', '-')}", served(longest_padding), Ends.SERVED,
            cite="RFC 5246 6.2.3.2", options=RSA + f" -c {option}")
        for option in CIPHER_OPTIONS[3:]
    ),
]  # fmt: skip
