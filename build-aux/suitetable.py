"""BearSSL's table of cipher suites, put into our order of preference in a copy of what holds it.

The interpreter of its handshake walks that table from the head, some 25 steps an entry, whenever it asks something of a
suite, and BearSSL has it by number: what is chosen today stands last. A text that is not as expected raises BuildError.
"""

from __future__ import annotations

import re

import cbuild

ROW = 12  # bytes a line, as BearSSL has them: line numbers stay


def preference(tables: str) -> dict[bytes, int]:
    """The place of each suite (two bytes) in `bw_suites`, given the text of src/tables.h."""
    numbers = re.findall(r"^\t\{ 0x([0-9A-F]{4}), BW_(?:ECDHE|ECDH|RSA),", tables, re.M)
    return {bytes.fromhex(number): place for place, number in enumerate(numbers)}


def reorder(text: str, places: dict[bytes, int]) -> str:
    """The text of a handshake with its table in this order.

    The table is all of the interpreter's data: a byte of 0, four bytes for each suite, its number first, a suite of 0.
    """
    head, opening, rest = text.partition("\nstatic const unsigned char t0_datablock[] = {\n")
    body, closing, tail = rest.partition("\n};\n")
    data = bytes(int(value, 16) for value in re.findall(r"\b0x([0-9A-F]{2})\b", body))
    entries = [data[at : at + 4] for at in range(1, len(data) - 2, 4)]
    if body != lines(data) or data != b"".join([b"\0", *entries, b"\0\0"]) or not closing:
        raise cbuild.BuildError("BearSSL's table of cipher suites is not of the form that is known")
    if sorted(entry[:2] for entry in entries) != sorted(places):
        raise cbuild.BuildError("BearSSL's table of cipher suites has others than src/tables.h")
    entries.sort(key=lambda entry: places[entry[:2]])
    return head + opening + lines(b"".join([b"\0", *entries, b"\0\0"])) + closing + tail


def lines(data: bytes) -> str:
    """Bytes as BearSSL's text has them."""
    rows = [data[at : at + ROW] for at in range(0, len(data), ROW)]
    return ",\n".join("\t" + ", ".join(f"0x{value:02X}" for value in row) for row in rows)
