"""The manual pages say what the program does: options, defaults, limits, tables, texts; and they render cleanly.

The page is read as mdoc(7) source: a section is from `.Sh` to `.Sh`, an item from `.It` to `.It` or `.El`.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from bearwrap import _bear, _version, errors, options
from bearwrap.options import parse
from bearwrap.programs import bearwrap as about
from bearwrap.programs import tlswrapper
from tests.harness import BIN, ROOT

PAGES = sorted((ROOT / "man").glob("*.1"))
PAGE = (ROOT / "man" / "tlswrapper.1").read_text()
SOURCES = "\n".join(path.read_text() for path in sorted((ROOT / "src").glob("*.p*")))
SECTIONS = [
    "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "CERTIFICATES", "CLIENT CERTIFICATES", "CIPHERS",
    "DELAYED ENCRYPTION", "FILE DESCRIPTORS", "SIGNALS AND TIMERS", "LOGS", "ENVIRONMENT", "FILES", "EXIT STATUS",
    "EXAMPLES", "DIFFERENCES", "SEE ALSO", "STANDARDS", "CAVEATS",
]  # fmt: skip


def sections(page: str) -> dict[str, str]:
    parts = re.split(r"^\.Sh (.*)\n", page, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def items(text: str) -> list[str]:
    """The items of all lists in a piece of a page, each on one line, macros and escapes left in."""
    found = re.findall(r"^\.It\b(.*(?:\n(?!\.It\b|\.El\b|\.Sh\b|\.Ss\b).*)*)", text, re.M)
    return [" ".join(item.split()) for item in found]


def heads(text: str) -> list[str]:
    """The heads of the items: what stands on the `.It` line."""
    return [line.strip() for line in re.findall(r"^\.It(?: (.*))?$", text, re.M)]


def flat(text: str) -> str:
    return " ".join(text.split())


def number(name: str) -> int:
    """A named limit of the compiled side."""
    found = re.search(rf"^\s+{name} = (\d+)", SOURCES, re.M)
    assert found, name
    return int(found[1])


PARTS = sections(PAGE)


def test_the_sections_are_there() -> None:
    assert list(PARTS) == SECTIONS


# --- options ---


def flag(name: str) -> str:
    """An option as mdoc writes it."""
    return f"Fl {name}" if len(name) == 1 else f"Fl -{name}"


def test_every_option_and_no_other() -> None:
    rows = [flag(letter) + (f" Ar {value}" if value else "") for letter, value, _text in tlswrapper.OPTIONS]
    rows += ["Fl h , Fl -help", "Fl V , Fl -version"]
    assert sorted(heads(PARTS["OPTIONS"])) == sorted(rows)
    synopsis = PARTS["SYNOPSIS"]
    flags = re.search(r"^\.Op Fl (\w+)$", synopsis, re.M)
    assert flags
    assert set(flags[1]) == {letter for letter, value, _text in tlswrapper.OPTIONS if value is None}
    for letter, value, _text in tlswrapper.OPTIONS:
        if value is not None:
            assert f"{flag(letter)} Ar {value}" in synopsis


def test_defaults_and_ranges() -> None:
    settings = tlswrapper.Settings()
    text = {item.split()[1]: item for item in items(PARTS["OPTIONS"])}
    assert f"1 to {options.TIMEOUT_MOST}, default {settings.idle.decode()}." in text["t"]
    assert f"1 to {options.TIMEOUT_MOST}, default {settings.handshake.decode()}." in text["T"]
    assert settings.jail_directory.decode() in text["J"]
    assert settings.jail_directory.decode() in PARTS["FILES"]
    assert f"up to {tlswrapper.ENTRIES_MOST} times together" in text["d"]
    for name in tlswrapper.USER_FIELDS:
        assert f".Ql {name.decode()}" in text["U"]
    for name, _ in _bear.tables()["versions"]:
        assert f".Ql {name.decode()}" in text["m"]
    assert str(number("UID_BASE")) in text["j"]
    assert str(number("UID_BASE")) in PARTS["DIFFERENCES"]


def test_the_tables() -> None:
    """Ciphers and curves, in the program's order, with its defaults."""
    names = {suite: openssl.decode() for suite, openssl, *_ in _bear.audit_tables()["suites"]}
    rows = [re.split(r"\s+Ta\s+", head) for head in heads(PARTS["CIPHERS"])]
    ciphers, curves = [row for row in rows if len(row) == 4][1:], [row for row in rows if len(row) == 2][1:]
    assert ciphers == [
        [
            name.decode(),
            "yes" if default else "no",
            "1.0 to 1.2" if name.endswith(b"_SHA") else "1.2",
            names[rsa].removeprefix("ECDHE-RSA-"),
        ]
        for name, default, ecdsa, rsa in _bear.tables()["ciphers"]
        if names[ecdsa].removeprefix("ECDHE-ECDSA-") == names[rsa].removeprefix("ECDHE-RSA-")
    ]
    assert curves == [[name.decode(), "yes" if default else "no"] for name, default, _ in _bear.tables()["groups"]]


def test_the_limits() -> None:
    page = flat(PAGE)
    for text in (
        f"at most {number('PEM_MAX') // 1024} KiB, at most {number('CHAIN_MAX')} certificates",
        f"The anchor file holds up to {number('ANCHORS_MAX')} certificates",
        f"longer than {number('FIELD_MAX') - 1} bytes",
        f"at most {number('EMPTY_RECORDS_MAX')} in a row",
        f"limited to {number('WARNINGS_MAX')} each",
        f"limited to {number('MEMORY_MAX') >> 20} MiB",
        f"less than {number('CONTROL_MAX')} bytes",
        f"a random one of {number('ID_LENGTH')} characters",
        f"More than {number('ID_LONGEST')} characters",
    ):
        assert text in page, text
    assert number("WARNINGS_MAX") == number("RENEGOTIATIONS_MAX")
    assert number("GRACE_MS") == 1000, "`one second` in SIGNALS AND TIMERS"


# --- exit codes, variables, descriptors ---


def test_every_exit_code() -> None:
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type)}
    assert codes == {0, 100, 111}
    assert set(heads(PARTS["EXIT STATUS"])) == {"Ar n", "Li 0", "Li 100", "Li 111"}


def test_every_variable() -> None:
    read, given = PARTS["ENVIRONMENT"].split(".Ss Set for prog")
    program = (ROOT / "src" / "prog.pxi").read_text()
    told = set(re.findall(r'return "([A-Z_]+)"', program)) | set(re.findall(r'setenv\("([A-Z_]+)"', program))
    assert names_of(given) == told | {"LOG_ID"}
    asked = set(re.findall(r'getenv\("((?!BEARWRAP_TEST_)[A-Z_]+)"\)', SOURCES))
    assert names_of(read) == asked - {"NOTIFY_SOCKET"} | {"LOG_ID", "PATH"}  # that one is the listener's


def names_of(text: str) -> set[str]:
    return {name for head in heads(text) for name in re.findall(r"[A-Z][A-Z_]+", head)}


def test_the_descriptors() -> None:
    assert heads(PARTS["FILE DESCRIPTORS"]) == ["0 , 1", "2", "5 , 6"]


# --- texts ---

TEXTS = [  # what the page quotes in LOGS -> what stands in the source
    ("unable to obtain certificate(s) from the PEM file 'FILE'", "unable to obtain certificate(s) from the PEM file"),
    ("unable to obtain secret-key from the PEM file 'FILE'", "unable to obtain secret-key from the PEM file '%s'"),
    ("unable to create jail", '"unable to create jail"'),
    ("unable to run PROG", '"unable to run %'),
    ("unable to drop privileges to 'ACCOUNT'", "\"unable to drop privileges to '%"),
    ("child process killed by signal N", "child process killed by signal %d"),
    ("TLS sent alert: NAME", "TLS sent alert: %s"),
    ("TLS received alert: NAME", "TLS received alert: %s"),
    ("SSL connection: TLS 1.2, ECDSA + ECDHE + AES256/GCM (TLS 1.2+), x25519, sni='example.com'", "SSL connection: %s"),
    ("start", 'log_debug("start")'),
    ("TLS error: REASON", "TLS error: %s"),
    ("tls phase: handshake failed, ALERT", "tls phase: handshake failed, %s"),
    ("tls phase: finished, ...", '"tls phase: %s"'),
    ("child exited with status N", "child exited with status %d"),
]  # fmt: skip


def test_the_texts_of_the_log() -> None:
    quoted = re.findall(r"^\.Ql (.*?)(?: [,;.])?$", PARTS["LOGS"], re.M)
    quoted = [text for text in quoted if not text.startswith("\\e")]
    assert quoted == [text for text, _ in TEXTS]
    for text, code in TEXTS:
        assert code in SOURCES, text


DIFFERENCES = [  # one pattern for each item of the section, in its order
    r"companions tlswrapper-tcp and tlswrapper-smtp",
    r"Fl h and \.Fl V and their long forms",
    r"Fl m above \.Fl M is refused",
    r"Fl p0 behind \.Fl p1",
    r"timeout must be a plain number",
    r"user id 0 or group id 0 are refused",
    r"path is opened as it was given",
    r"PEM lines may be longer than 64",
    r"broken file among several is passed over",
    r"Fl d also tries the name in lower case",
    r"private key that does not belong",
    r"more than 256 KiB",
    r"Fl U , a field that is empty before",
    r"certificate is checked, and the account taken from it, in \.Em key",
    r"Fl n takes the single zero byte",
    r"Clear text from the client never counts",
    r"closes descriptor 5 without a word",
    r"Fl T is a deadline",
    r"Fl t counts from the end of the handshake",
    r"prog is not left behind",
    r"half-closes its side",
    r"After a client's close_notify or an alert",
    r"has ended, so does the connection",
    r"idle connection is shut down at once",
    r"RSA-PSS signs for a client that offers nothing else",
    r"There is TLS 1\.3, and it is the default maximum",
    r"alpn and \.Fl -ticket-keys are new",
    r"refusal sends the alert",
    r"Malformed and duplicate extensions",
    r"empty record of application data",
    r"first 40 KiB",
    r"Warning alerts in a row",
    r"downgrade marker",
    r"TCP_NODELAY",
    r"prog finds \.Ev SSL_PROTOCOL",
    r"no signal blocked and SIGPIPE at its default",
    r"memory limits of the jail never reach",
    r"user id of a jailed process",
    r"Ports with leading zeros",
    r"No blank ends a line",
    r"Identifiers have 16 characters",
    r"braces of \.Fl vv",
    r"Alerts have their right names",
    r"no usable PEM certificate",
]


def test_every_difference_is_told_once() -> None:
    told = items(PARTS["DIFFERENCES"])
    assert len(told) == len(DIFFERENCES)
    for item, pattern in zip(told, DIFFERENCES, strict=True):
        assert re.search(pattern, item), (pattern, item)


# --- examples ---


def examples() -> list[str]:
    """The command lines of tlswrapper in EXAMPLES, without what starts it."""
    blocks = re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed", PARTS["EXAMPLES"], re.M)
    lines = [line for block in blocks for line in re.sub(r"\\e\n\s*", " ", block).splitlines()]
    return [line.split("tlswrapper ")[-1] for line in lines if "tlswrapper " in line]


def test_the_examples_parse() -> None:
    assert len(examples()) >= 7
    for line in examples():
        settings = tlswrapper.Settings()
        taken: list[str] = []

        def take(letter: str, value: bytes, settings: tlswrapper.Settings = settings, taken: list[str] = taken) -> None:
            taken.append(letter)
            if letter == "c":
                assert settings.policy.add_cipher(value)
            elif letter not in "fdaqQv":  # files of the example do not exist here
                settings.take(letter, value)

        prog = parse([word.encode() for word in shlex.split(line)], tlswrapper.OPTIONS, take)
        assert prog and {"f", "d"} & set(taken), line


# --- the other page; tests/serve/test_manual_serve.py has the listener's part ---


def test_bearwrap() -> None:
    page = (ROOT / "man" / "bearwrap.1").read_text()
    parts = sections(page)
    assert set(heads(parts["EXIT STATUS"])) == {"Li 0", "Li 100", "Li 111"}
    assert heads(parts["OPTIONS"])[:2] == ["Fl h , Fl -help", "Fl V , Fl -version"]
    for word in re.findall(r"^  (\w+) ", about.CLOSING, re.M):
        assert f".It Cm {word}" in page
    *_, block = re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed", parts["EXAMPLES"], re.M)
    command, first, *rest = block.splitlines()
    assert command == "$ bearwrap version"
    assert first == f"bearwrap {_version.__version__}"
    done = subprocess.run([BIN / "bearwrap", "version"], capture_output=True, text=True, timeout=10, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [line.split()[0] for line in (first, *rest)]


# --- rendering ---

RENDERERS = {
    "mandoc": ["mandoc", "-T", "lint", "-W", "warning"],
    "groff": ["groff", "-mandoc", "-t", "-ww", "-Tutf8"],
    "groff as ASCII": ["groff", "-mandoc", "-t", "-ww", "-Tascii"],
    "man": ["man", "--warnings=w", "-l"],
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize("tool", RENDERERS)
def test_it_renders_without_a_warning(tool: str, page: Path) -> None:
    words = RENDERERS[tool]
    if not shutil.which(words[0]):
        pytest.skip(f"{words[0]} is not installed")
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANPAGER": "cat"}
    done = subprocess.run([*words, page], capture_output=True, text=True, timeout=30, check=False, env=env)
    complaints = done.stderr + (done.stdout if tool == "mandoc" else "")
    assert "mandoc.db" in complaints or complaints == ""
    assert [line for line in complaints.splitlines() if "mandoc.db" not in line] == []
    assert done.returncode == 0


def test_lines_fit_and_sentences_start_lines() -> None:
    for line in PAGE.splitlines():
        assert len(line) <= (80 if line[:1] != "." else 110), line
        assert line == line.rstrip(), line
        assert line.startswith(".") or not re.search(r"[a-z]\. [A-Z]", line), line


# --- SECURITY.md ---


def key_port_table() -> list[str]:
    """The table of key port operations as Markdown, made from the program's."""
    enum = re.search(r"enum bw_key_state \{([^}]*)\}", (ROOT / "src" / "tables.h").read_text())
    assert enum
    states = [name.strip().split(" ")[0] for name in enum[1].split(",")]
    names = [name.removeprefix("BW_").lower().replace("_", "-") for name in states]
    rows = ["| operation | bytes | in state | leads to | what |", "|---|---|---|---|---|"]
    for _, name, least, most, after, then, _, doc in _bear.audit_tables()["operations"]:
        size = str(least) if least == most else f"{least} to {most}"
        allowed = ", ".join(state for bit, state in enumerate(names) if after >> bit & 1)
        leads = "" if names[then] == "same" else names[then]
        rows.append(f"| `{name.decode()}` | {size} | {allowed} | {leads} | {doc.decode()} |")
    return rows


def test_the_key_port_table() -> None:
    """`python tests/test_manual.py` prints the table that belongs there."""
    text = (ROOT / "SECURITY.md").read_text()
    told = re.search(r"<!-- key port: begin -->\n(.*)<!-- key port: end -->", text, re.S)
    assert told
    assert told[1].strip().splitlines() == key_port_table()
    assert f"at most {max(row[3] for row in _bear.audit_tables()['operations'] if row[1] in EARLY)} bytes" in text


EARLY = (b"anchors", b"start", b"load")  # what key serves as root


if __name__ == "__main__":
    print("\n".join(key_port_table()))
