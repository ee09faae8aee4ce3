"""The copies of BearSSL's handshakes: the same table of suites in our order, and nothing else changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bearwrap import _bear
from tests.building.tools import build_module

bearssl, cbuild, suitetable = (build_module(name) for name in ("bearssl", "cbuild", "suitetable"))

PLACES = {b"\xc0\x0a": 0, b"\x00\x0a": 1}
GOOD = """before

static const unsigned char t0_datablock[] = {
\t0x00, 0x00, 0x0A, 0x00, 0x24, 0xC0, 0x0A, 0x22, 0x24, 0x00, 0x00
};
after
"""


def parts(text: str) -> tuple[str, bytes, str]:
    """What stands before a handshake's table, the table, and what stands behind it."""
    found = re.fullmatch(r"(.* t0_datablock\[\] = \{\n)([^}]*)(\};\n.*)", text, re.S)
    assert found
    return found[1], bytes(int(value, 16) for value in found[2].replace(",", " ").split()), found[3]


@pytest.mark.parametrize("name", bearssl.REORDERED)
def test_copies(name: str) -> None:
    """A copy has the suites of the original, each with its elements, in the order of our table."""
    head, data, tail = parts((bearssl.SOURCE / name).read_text())
    text = bearssl.text_of(name).read_text()
    assert parts(text)[::2] == (head, tail)
    assert text.count("\n") == (bearssl.SOURCE / name).read_text().count("\n")
    copy = parts(text)[1]
    assert len(copy) == len(data) == 1 + 4 * 45 + 2
    assert (copy[:1], copy[-2:]) == (data[:1], data[-2:]) == (b"\0", b"\0\0")
    entries, originals = ([table[at : at + 4] for at in range(1, 181, 4)] for table in (copy, data))
    assert sorted(entries) == sorted(originals)
    ours = [number for number, *_ in _bear.audit_tables()["suites"]]
    assert [int.from_bytes(entry[:2], "big") for entry in entries] == ours


def test_copies_are_what_is_compiled() -> None:
    """The shim finds the server's copy and no other; the library has the client's."""
    folders = [Path(flag.removeprefix("-I")) for flag in bearssl.includes()]
    found = [folder / "ssl_hs_server.c" for folder in folders if (folder / "ssl_hs_server.c").exists()]
    assert found == [bearssl.text_of("src/ssl/ssl_hs_server.c")]
    assert bearssl.COPIES in found[0].parents
    assert set(bearssl.REORDERED) == {"src/ssl/ssl_hs_client.c", *bearssl.lock()["included_by_shim"]}


def test_reorder() -> None:
    """The table alone changes."""
    swapped = "0x00, 0xC0, 0x0A, 0x22, 0x24, 0x00, 0x0A, 0x00, 0x24, 0x00, 0x00"
    assert suitetable.reorder(GOOD, PLACES) == re.sub(r"0x00, .*", swapped, GOOD)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("t0_datablock", "t0_other"),
        ("};", "} ;"),
        ("0x22, ", ""),
        ("0x22", "0x2"),
        ("0x22", "0x22 /* and */"),
        ("0x22", "34"),
        ("0x24, 0x00, 0x00\n", "0x24, 0x00, 0x00, 0x00\n"),
        ("0x24, 0x00, 0x00\n", "0x24\n"),
        ("{\n\t0x00", "{\n\t0x01"),
        ("0x24, 0x00, 0x00\n", "0x24, 0x00, 0x01\n"),
        ("0xC0, 0x0A", "0xC0, 0x0B"),
        ("0xC0, 0x0A", "0x00, 0x0A"),
        ("0xC0, 0x0A, 0x22, 0x24, ", ""),
    ],
)
def test_unexpected(old: str, new: str) -> None:
    """Another form, other suites: the build stops."""
    assert old in GOOD
    with pytest.raises(cbuild.BuildError, match="BearSSL's table of cipher suites"):
        suitetable.reorder(GOOD.replace(old, new), PLACES)
