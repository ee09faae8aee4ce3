"""s6-tlsc(1) and s6-tlsclient(1) say what the programs do: options, variables, codes, limits, texts, examples."""

from __future__ import annotations

import re
import shlex
from types import ModuleType

import pytest

from bearwrap import _bear
from bearwrap.programs import s6_tlsc, s6_tlsclient
from bearwrap.s6options import Option, parse
from tests.harness import ROOT
from tests.test_manual import SOURCES, flat, heads, items, names_of, number, sections

PAGES = {program: (ROOT / "man" / f"{program.NAME.decode()}.1").read_text() for program in (s6_tlsc, s6_tlsclient)}
PARTS = {program: sections(page) for program, page in PAGES.items()}
TLSC, CLIENT = PARTS[s6_tlsc], PARTS[s6_tlsclient]
programs = pytest.mark.parametrize("program", PAGES, ids=lambda program: program.NAME.decode())
PYTHON = "\n".join(path.read_text() for path in sorted((ROOT / "bearwrap").rglob("*.py")))


def head(row: Option) -> str:
    """An option as the pages have it: `Fl K Ar ms , Fl -handshake-timeout Ar ms`."""
    value = f" Ar {row.value}" if row.value else ""
    return " , ".join(f"Fl {name}{value}" for name in (row.letter, f"-{row.long}") if name)


@programs
def test_every_option_and_no_other(program: ModuleType) -> None:
    rows = [head(row) for row in program.OPTIONS]
    assert sorted(heads(PARTS[program]["OPTIONS"])) == sorted([*rows, "Fl -help", "Fl -version"])


def test_the_synopsis() -> None:
    synopsis = TLSC["SYNOPSIS"]
    flags = re.search(r"^\.Op Fl (\w+)$", synopsis, re.M)
    assert flags
    assert set(flags[1]) == {row.letter for row in s6_tlsc.OPTIONS if row.value is None and row.letter}
    for row in s6_tlsc.OPTIONS:
        assert row.value is None or f".Op Fl {row.letter} Ar {row.value}" in synopsis


def test_defaults() -> None:
    """What a page calls the default is what Settings begin with."""
    text = {item.split()[1]: item for item in items(TLSC["OPTIONS"])}
    for letter in "sjYz":
        assert text[letter].endswith("the default."), letter
    for letter in "SJyZ":
        assert "default" not in text[letter], letter
    settings = s6_tlsc.Settings()
    assert f"Default: {settings.read_fd}." in text["6"]
    assert f"Default: {settings.write_fd}." in text["7"]
    assert (settings.verbosity, "1: warnings too, the default" in text["v"]) == (1, True)
    assert (settings.handshake_ms, "With 0, the default" in text["K"]) == (0, True)
    text = {item.split()[1]: item for item in items(CLIENT["OPTIONS"])}
    for letter in "hnQ":
        assert text[letter].rstrip().endswith(("the default.", "left out.")) and ": the default" in flat(text[letter])
    client = s6_tlsclient.Settings()
    assert f"Default: {client.first_s}+{client.second_s}." in text["T"]
    assert f"each address has {client.first_s} seconds" in flat(CLIENT["DESCRIPTION"])
    assert f"have {client.second_s} seconds each" in flat(CLIENT["DESCRIPTION"])


def test_limits() -> None:
    page = flat(PAGES[s6_tlsc])
    for text in (
        f"At most {number('TRUST_FILE_MAX') >> 20} MiB a file, {number('TRUST_BYTES_MAX') >> 20} MiB and "
        f"{number('TRUST_ENTRIES_MAX')} files a folder, and {number('TRUST_ANCHORS_MAX')} different certificates",
        f"up to {number('CHAIN_MAX')} certificates and {number('PEM_MAX') >> 10} KiB",
        f"{number('UID_BASE')} plus its process id",
        s6_tlsc.JAIL_DIRECTORY.decode(),
        ", ".join(name.decode() for name, _, _ in _bear.tables()["groups"]),
    ):
        assert text in page, text
    page = flat(PAGES[s6_tlsclient])
    assert f"Up to {number('TARGETS_MAX')} addresses are tried" in page
    assert f"from 0 to {s6_tlsclient.PORT_MOST}" in page
    assert f"ends after {s6_tlsclient.LOOKUP_MS // 1000} seconds at the latest" in page
    assert (s6_tlsclient.NAMES_MS, "Both together have two seconds" in page) == (2000, True)
    assert str(number("UID_BASE")) in page


def test_every_exit_code() -> None:
    codes = set(re.findall(r"^\s+EXIT_\w+ = (\d+)", SOURCES, re.M))
    assert codes >= {"96", "98", "111"}
    assert set(heads(TLSC["EXIT STATUS"])) == {
        "Ar n", "Li 128", "Li 128 Ns + Ns Ar n", "Li 0", "Li 100", *(f"Li {code}" for code in codes)
    }  # fmt: skip
    assert heads(CLIENT["EXIT STATUS"]) == ["Li 100", "Li 111", "Ar n", "Li 0"]


def test_every_variable() -> None:
    read, given = TLSC["ENVIRONMENT"].split(".Ss Set for prog")
    assert names_of(read) == {name.decode() for name in s6_tlsc.VARIABLES} | {"PATH"}
    for prefix in s6_tlsc.PREFIXES:
        assert f".Ql {prefix.decode()}" in read
    told = set(re.findall(r'return "(SSL_[A-Z_]+)"', (ROOT / "src" / "prog.pxi").read_text()))
    assert names_of(given) == told - {"SSL_ALPN"}      # a server's
    read, given = CLIENT["ENVIRONMENT"].split(".Ss Set for prog")
    assert names_of(read) == {name.decode() for name in s6_tlsc.VARIABLES} | {"PATH"}
    source = (ROOT / "bearwrap/programs/s6_tlsclient.py").read_text()
    assert names_of(given) == set(re.findall(r'^        b"([A-Z]+)": ', source, re.M))


def test_the_descriptors() -> None:
    assert heads(TLSC["FILE DESCRIPTORS"]) == ["6 , 7", "0 , 1", "2"]


TEXTS = [  # what DIAGNOSTICS quotes -> what stands in the source
    ("CADIR or CAFILE not set", 'b"CADIR or CAFILE not set"'),
    ("unable to check network fds", 'b"unable to check network fds"'),
    ("unable to read trust anchors in FILE", '"unable to read trust anchors in"'),
    ("no trust anchor found in FILE", '"no trust anchor found in"'),
    ("unable to read certificate chain in FILE", '"unable to read certificate chain in"'),
    ("unable to find a certificate in FILE", '"unable to find a certificate in"'),
    ("unable to read private key in FILE", '"unable to read private key in"'),
    ("private key in FILE does not match the certificate in FILE",
     '"private key in %.1400s does not match the certificate in"'),
    ("the TLS engine closed the connection during the handshake: REASON",
     '"the TLS engine closed the connection %s the handshake: %s'),
    ("handshake timed out", '"handshake timed out"'),
    ("remote closed connection without a close_notify", '"remote closed connection without a close_notify"'),
    ("unable to read from remote", '"unable to read from remote"'),
    ("unable to write to remote", '"unable to write to remote"'),
    ("unable to spawn PROG", '"unable to spawn %.512s"'),
    ("key process ended", '"key process ended"'),
    ("no -k: the server's name is not verified", "b\"no -k: the server's name is not verified\""),
    ("unable to resolve HOST", 'b"unable to resolve " + host'),
    ("unable to connect to IP port PORT", 'b"unable to connect to %s port %d"'),
    ("unable to connect to a suitable IP address", 'b"unable to connect to a suitable IP address"'),
    ("unable to bind socket", 'b"unable to bind socket"'),
    ("invalid port number: PORT", 'b"invalid port number: "'),
    ("connected to IP port PORT", 'b"connected to " + remote_ip + b" port "'),
]  # fmt: skip


def test_the_diagnostics() -> None:
    quoted = [text.removeprefix("Li ") for part in (TLSC, CLIENT) for text in heads(part["DIAGNOSTICS"])]
    assert quoted == [text for text, _ in TEXTS]
    for text, code in TEXTS:
        assert code in SOURCES + PYTHON, text
    symbols = {name for name in re.findall(r"BR_ERR_\w+", PAGES[s6_tlsc])}
    assert symbols and all(f"BW_ERROR({name}," in (ROOT / "src/tables.h").read_text() for name in symbols)


def test_the_order_of_the_subject() -> None:
    """As peer.pxi puts it together."""
    order = re.search(r"always in the order ([A-Z, ]+)\.", flat(TLSC["ENVIRONMENT"]))
    assert order
    assert order[1].split(", ") == ["C", "ST", "L", "O", "OU", "CN"]


DIFFERENCES = {  # one pattern for each item, in order
    s6_tlsc: [
        "prog is started after the handshake", "An error after the handshake", "Fl K is a deadline",
        "ends during the handshake", "Client certificates work", "long options", "SSL_ variables",
        "Ql KEYFILE:x", "Other descriptors", "Nm stays the parent", "Fl Z keeps", "CADIR may hold",
        "All lines begin", "long option may have its value", "After .Fl S", "SSL_PEER_CERT_HASH", "may be DER",
        "IP address given", "there is a warning", "must belong together", "by an alert", "in another process",
        "parsed strictly",
    ],
    s6_tlsclient: [
        "connects itself", "Names are looked up", "takes .Fl H back", "With .Fl H", "With neither", "Fl r does nothing",
        "do as they say", "TCP_NODELAY", "count for the TLS part", "ends after 60 seconds", "trailing dot",
    ],
}  # fmt: skip


@programs
def test_every_difference_is_told_once(program: ModuleType) -> None:
    told = items(PARTS[program]["DIFFERENCES"])
    assert len(told) == len(DIFFERENCES[program])
    for item, pattern in zip(told, DIFFERENCES[program], strict=True):
        assert re.search(pattern, item), (pattern, item)


def commands(program: ModuleType) -> list[list[str]]:
    """What follows the program's name in its page's examples, one command line each, and what tcpclient is given."""
    page = PAGES[program]
    blocks = re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed", PARTS[program]["EXAMPLES"], re.M)
    text = "\n".join([*re.findall(r"^\.Dl (.*)", page, re.M), *blocks]).replace("\\e\n", " ").replace("\\e", "\\")
    name = program.NAME.decode()
    return [shlex.split(line.replace('"', " ").replace("'", " ")) for line in re.findall(rf"\b{name} (.*)", text)]


@programs
def test_the_examples_parse(program: ModuleType) -> None:
    found = commands(program)
    assert len(found) >= 4
    for words in found:
        rest = parse([word.encode() for word in words], program.OPTIONS, program.Settings().take)
        assert len(rest) >= (3 if program is s6_tlsclient else 1), words
        if program is s6_tlsclient:
            assert rest[1].isdigit(), words


@programs
def test_lines_fit_and_sentences_start_lines(program: ModuleType) -> None:
    for line in PAGES[program].splitlines():
        assert len(line) <= (80 if line[:1] != "." else 110), line
        assert line == line.rstrip(), line
        assert line.startswith(".") or not re.search(r"[a-z]\. [A-Z]", line), line
