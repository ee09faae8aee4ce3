"""Options: every row of the option table, its messages and exit codes, and how clusters are read.

Nothing may appear on stdout, apart from what -h and -V print. Lines are compared parsed where the two
implementations space them differently; ours are also compared byte for byte.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import Program, Wrapped, run_plain

USAGE = "tlswrapper [options] [ -d certdir ] [ -f certfile ] prog"
CIPHERS = [
    "CHACHA20_POLY1305_SHA256",
    "AES_256_GCM_SHA384",
    "AES_128_GCM_SHA256",
    "AES_256_CBC_SHA384",
    "AES_128_CBC_SHA256",
    "AES_256_CBC_SHA",
    "AES_128_CBC_SHA",
]
CURVES = ["x25519", "secp256r1", "secp384r1", "secp521r1"]
VERSIONS = ["tls10", "tls11", "tls12"]  # ours has one more, see test_a_bad_value_is_named
TIMEOUT_TEXT = "unable to parse timeout from the string '{}', timeout must be a number in the range <1,86400>"


@pytest.fixture
def place(tmp_path: Path, certs: Certs) -> Path:
    """A folder with the files that the tables below name: pem, link, dir, dirlink, fifo."""
    pem = certs.server("p256")
    (tmp_path / "pem").write_bytes(pem.read_bytes())
    (tmp_path / "link").symlink_to("pem")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dirlink").symlink_to("dir")
    (tmp_path / "dangling").symlink_to("nothing")
    return tmp_path


def refused(program: Program, place: Path, arguments: list[str]) -> list[tuple[str, str, str | None]]:
    """Run with options that must be refused; give (level, text, errno) of each line. Checks the rest."""
    result = run_plain(arguments, program=program, cwd=place)
    assert result.code == 100
    assert result.stdout == b""
    lines = result.log()
    assert len(lines) == len(result.stderr.splitlines()), result.stderr
    assert all(line.ip is None and line.tool == "tlswrapper" for line in lines)
    return [(line.level, line.text, line.errno) for line in lines]


def fatal(text: str, errno: str | None = None, available: list[str] | None = None) -> list[object]:
    lines = [("fatal", text, errno)]
    return lines + [("fatal", f"available: {name}", None) for name in available or []]


# --- usage ---

USAGE_CASES = [
    [],
    ["cat"],
    ["-v"],
    ["-f", "pem"],
    ["-vvv", "-d", "dir"],
    ["--"],
    ["-"],
    ["-f", "pem", "--"],
    ["-t", "x", "-f", "pem"],  # prog missing comes before the timeout is looked at
    ["-U", "commonName", "cat"],  # no -f or -d comes before -U without -a
    *[["-f", "pem", f"-{letter}"] for letter in "fdacemMtTuUpJj"],  # value missing
    *[["-f", "pem", f"-v{letter}"] for letter in "fdacemMtTuUpJj"],
    *[["-f", "pem", f"-{letter}", "x", "cat"] for letter in "APixkgCbwz1059"],
    ["-f", "pem", "--foo", "cat"],
    ["-f", "pem", "--verbose", "cat"],
    ["-f", "pem", "-v-", "cat"],
    ["-qx", "-f", "pem", "cat"],
]


@pytest.mark.parametrize("arguments", USAGE_CASES, ids=" ".join)
def test_usage_goes_to_stderr_and_ends_with_100(program: Program, place: Path, arguments: list[str]) -> None:
    result = run_plain(arguments, program=program, cwd=place)
    assert (result.code, result.stdout) == (100, b"")
    if program.ours:
        assert result.stderr == USAGE + "\n"  # never an id, never a trailing blank
    else:
        assert result.stderr.startswith(USAGE)
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["", "folder/", "foo", "/x/foo", "tlswrapper"])
def test_any_other_called_name_is_tlswrapper(program: Program, name: str) -> None:
    result = run_plain([], program=program, argv=[name])
    assert (result.code, result.stdout) == (100, b"")
    if name and not name.endswith("/"):
        assert result.stderr.rstrip(" \n") == USAGE


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["-v", "-h"], ["-q", "--help"]], ids=" ".join)
def test_help_goes_to_stdout(ours: Program, arguments: list[str]) -> None:
    result = run_plain(arguments, program=ours)
    assert (result.code, result.stderr) == (0, "")
    text = result.stdout.decode()
    assert USAGE in text
    letters = [f"-{letter}" for letter in "qQvfdacemMtTuUpsSJjhV"]
    assert [letter for letter in letters if letter not in text] == []


@pytest.mark.parametrize("arguments", [["-V"], ["--version"], ["-vV"]], ids=" ".join)
def test_version_goes_to_stdout(ours: Program, arguments: list[str]) -> None:
    result = run_plain(arguments, program=ours)
    assert (result.code, result.stderr) == (0, "")
    assert len(result.stdout.decode().splitlines()) == 1
    assert any(character.isdigit() for character in result.stdout.decode())


def test_an_argument_of_prog_is_not_an_option(program: Program, certs: Certs) -> None:
    with Wrapped(["-f", certs.server("p256")], ["echo", "-h", "--version", "-f"], program=program) as w:
        assert w.tls().recv(100) == b"-h --version -f\n"


# --- values that are refused while parsing ---

BAD_CURVE = "unable to parse ephemeral algorithm from the string '{}'"
BAD_PROXY = "unable to parse incoming proxy-protocol version from the string '{}'"
BAD_FIELD = "unable to parse ASN.1 object from the string '{}'"
BAD_VALUES = [
    (["-f", "none"], fatal("unable to stat certfile 'none'", "file does not exist")),
    (["-f", ""], fatal("unable to stat certfile ''", "file does not exist")),
    (["-f", "dangling"], fatal("unable to stat certfile 'dangling'", "file does not exist")),
    (["-f", "dir"], fatal("unable to add certfile 'dir': not a regular file")),
    (["-f", "/dev/null"], fatal("unable to add certfile '/dev/null': not a regular file")),
    (["-d", "none"], fatal("unable to stat certdir 'none'", "file does not exist")),
    (["-d", "pem"], fatal("unable to add certdir 'pem'", "not a directory")),
    (["-f", "pem"] * 5, fatal("unable to add more than 4 certdirs+certfiles")),
    (["-f", "pem", "-d", "dir"] * 3, fatal("unable to add more than 4 certdirs+certfiles")),
    (["-a", "none"], fatal("unable to add anchor file 'none'", "file does not exist")),
    (["-a", "dir"], fatal("unable to add anchor file 'dir': not a regular file")),
    (["-a", "pem", "-a", "pem"], fatal("unable to add more than one anchor file")),
    *[
        (["-c", bad], fatal(f"unable to parse cipher from the string '{bad}'", None, CIPHERS))
        for bad in ("x", "", "aes_128_gcm_sha256", "AES_128_GCM_SHA256,AES_256_GCM_SHA384", "AES_128_GCM")
    ],
    *[
        (["-e", bad], fatal(BAD_CURVE.format(bad), None, CURVES))
        for bad in ("x", "", "X25519", "P-256", "x25519:secp256r1", "secp224r1")
    ],
    *[
        ([option, bad], fatal(f"unable to parse TLS {name} version from the string '{bad}'", None, VERSIONS))
        for option, name in (("-m", "min."), ("-M", "max."))
        for bad in ("x", "", "TLS12", "tls14", "tls1", "ssl30", "tls1.2")
    ],
    *[
        (["-p", bad], fatal(BAD_PROXY.format(bad), None, ["1"]))
        for bad in ("2", "", "x", "01", "-1")
    ],
    *[
        (["-U", bad], fatal(BAD_FIELD.format(bad), None, ["commonName", "emailAddress"]))
        for bad in ("x", "", "commonname", "CN", "2.5.4.3")
    ],
    # values may be glued to their cluster, and may begin with a dash
    (["-vqQfnone"], fatal("unable to stat certfile 'none'", "file does not exist")),
    (["-c-x"], fatal("unable to parse cipher from the string '-x'", None, CIPHERS)),
    (["-c", "-x"], fatal("unable to parse cipher from the string '-x'", None, CIPHERS)),
    (["-f", "--"], fatal("unable to stat certfile '--'", "file does not exist")),
    # left to right: the first bad one is named
    (["-f", "none", "-c", "x"], fatal("unable to stat certfile 'none'", "file does not exist")),
    (["-e", "bad", "-f", "none"], fatal(BAD_CURVE.format("bad"), None, CURVES)),
    # checks after the loop
    (["-U", "commonName", "-t", "x", "-f", "pem", "cat"], fatal("option -U must be used with -a")),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "lines"), BAD_VALUES, ids=lambda value: " ".join(map(str, value))[:60])
def test_a_bad_value_is_named(
    program: Program, place: Path, arguments: list[str], lines: list[object]
) -> None:
    if program.ours and lines[-1] == ("fatal", "available: tls12", None):
        lines = [*lines, ("fatal", "available: tls13", None)]
    assert refused(program, place, arguments) == lines


def test_escapes_keep_a_record_on_one_line(program: Program, place: Path) -> None:
    """Bytes below 32 and above 126 are escaped, and a backslash is left as it is."""
    result = run_plain([b"-f", b"a\nb\r\tc\x01\x1f \x7f\x80\xff~\\n'"], program=program, cwd=place)
    escaped = r"a\nb\r\tc\x01\x1f \x7f\x80\xff~\n'"
    expected = f"tlswrapper: fatal: unable to stat certfile '{escaped}' (file does not exist)"
    assert result.stderr.splitlines()[0].rstrip() == expected
    assert result.code == 100


def test_our_lines_have_no_trailing_blank(ours: Program, place: Path) -> None:
    result = run_plain(["-e", "x"], program=ours, cwd=place)
    assert result.stderr == "".join(
        f"tlswrapper: fatal: {text}\n"
        for text in [
            "unable to parse ephemeral algorithm from the string 'x'",
            *[f"available: {name}" for name in CURVES],
        ]
    )


def test_the_same_cipher_twice_is_a_warning(program: Program, place: Path) -> None:
    arguments = ["-v", "-c", "AES_128_GCM_SHA256", "-c", "AES_128_GCM_SHA256", "-e", "x25519", "-e", "x25519"]
    lines = refused(program, place, [*arguments, "-f", "none"])
    text = "unable to add cipher 'AES_128_GCM_SHA256': cipher is already added"
    assert [line[:2] for line in lines] == [
        ("warning", text),
        ("fatal", "unable to stat certfile 'none'"),
    ]


# --- verbosity while parsing ---


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [
        (["-q"], [], 0),
        (["-vvv", "-q"], [], 0),
        (["-Q"], [], 1),
        ([], [], 1),
        (["-q", "-Q"], [], 1),
        (["-q", "-v"], [], 1),
        (["-vv", "-Q"], [], 1),
        ([], ["-vvv"], 1),
        ([], ["-q"], 1),
        (["-v"], [], 2),
        (["-Qv"], [], 2),
        (["-vv", "-Q", "-v"], [], 2),
        (["-qvv"], [], 2),
        (["-vv"], [], 3),
        (["-v", "-v"], [], 3),
        (["-vvv"], [], 4),
        (["-vvvvvvvvvv"], [], 4),
    ],
    ids=str,
)
def test_verbosity_shapes_the_lines_of_later_options(
    program: Program, place: Path, before: list[str], after: list[str], level: int
) -> None:
    """No line at 0, bare at 1, with an id from 2, with a place in the source from 3."""
    result = run_plain([*before, "-f", "none", *after], program=program, cwd=place)
    assert (result.code, result.stdout) == (100, b"")
    lines = result.log()
    assert len(lines) == (level > 0) == len(result.stderr.splitlines())
    if level:
        line = lines[0]
        assert line.text == "unable to stat certfile 'none'"
        assert (line.id is not None) == (level >= 2)
        assert (line.where is not None) == (level >= 3)


@pytest.mark.parametrize("level", ["-v", "-vv", "-vvv"])
def test_our_shape_of_a_verbose_line(ours: Program, place: Path, level: str) -> None:
    """The suffixes are glued: `TEXT (ERRNO){WHERE}[ID]`, one blank before the first only, 16-letter id."""
    import re

    where = "" if level == "-v" else r"\{[^{} ]+\}"
    stderr = run_plain([level, "-f", "none"], program=ours, cwd=place).stderr
    assert re.fullmatch(
        r"tlswrapper: fatal: unable to stat certfile 'none' \(file does not exist\)"
        + where
        + r"\[[A-Za-z0-9]{16}\]\n",
        stderr,
    )
    stderr = run_plain([level, "-f", "dir"], program=ours, cwd=place).stderr
    assert re.fullmatch(
        r"tlswrapper: fatal: unable to add certfile 'dir': not a regular file "
        + where
        + r"\[[A-Za-z0-9]{16}\]\n",
        stderr,
    )


# --- values that are accepted: the client that comes never speaks, so a started wrapper ends with 111 ---

GOOD = [
    ["-t", "1"],
    ["-t", "86400"],
    ["-t", "+5"],
    ["-t5"],
    ["-vt5"],
    ["-T", "1"],
    ["-T", "86400"],
    ["-t", "bad", "-t", "5"],  # only the last is validated
    ["-T", "0", "-T", "5"],
    ["-p", "0"],
    ["-p0"],
    ["-p", "0", "-p0"],
    ["-m", "tls10"],
    ["-m", "tls10", "-M", "tls10"],
    ["-m", "tls12", "-m", "tls10", "-M", "tls12", "-M", "tls11"],
    ["-sS"],
    ["-N"],
    ["-S", "-s"],
    ["-a", "pem"],
    ["-a", "link"],
    ["-f", "link", "-d", "dirlink", "-d", "dir"],
    ["-u", "nobody", "-u", "daemon"],
    ["-U", "commonName", "-a", "pem"],
    ["-U", "emailAddress", "-a", "pem", "-U", "commonName"],
    ["-j", "nobody", "-J", "/var/empty", "-J", "dir"],
    ["-J", "none", "-J", "dir"],
    ["-vvNf", "pem"],
    ["-vvfpem"],
    ["-qQvqQ"],
    *[["-c", name] for name in CIPHERS],
    *[["-e", name] for name in CURVES],
]
GOOD_OURS = [
    ["-m", "tls13"], ["-M", "tls13"], ["-m", "tls13", "-M", "tls13"], ["--alpn", "h2,http/1.1"], ["--alpn=h2"],
    ["--ticket-keys", "pem"], ["--ticket-keys=link", "-v"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", GOOD_OURS, ids=" ".join)
def test_a_good_value_of_ours(ours: Program, place: Path, arguments: list[str]) -> None:
    with Wrapped([*arguments, "-f", "pem"], ["cat"], program=ours, cwd=place) as w:
        w.client.close()
        assert w.wait() == 111
        assert "usage" not in w.stderr and "unable to parse" not in w.stderr


@pytest.mark.parametrize("names", ["", ",", "h2,", ",h2", "h2,h2", "x" * 256, ",".join(map(str, range(17)))])
def test_bad_application_protocols(ours: Program, place: Path, names: str) -> None:
    text = f"unable to parse application protocols from the string '{names}'"
    assert refused(ours, place, [f"--alpn={names}", "-f", "pem", "cat"]) == fatal(text)


@pytest.mark.parametrize(("path", "lines"), [
    ("none", fatal("unable to add ticket keys 'none'", "file does not exist")),
    ("dir", fatal("unable to add ticket keys 'dir': not a regular file")),
])  # fmt: skip
def test_bad_ticket_keys(ours: Program, place: Path, path: str, lines: list[object]) -> None:
    assert refused(ours, place, ["--ticket-keys", path, "-f", "pem", "cat"]) == lines


BAD_LONG = [["--alpn"], ["--ticket-keys"], ["--no-such"], ["--a=x"], ["---"], ["--c=x"]]


@pytest.mark.parametrize("words", BAD_LONG, ids=" ".join)
def test_bad_long_options(ours: Program, place: Path, words: list[str]) -> None:
    result = run_plain(words, program=ours, cwd=place)
    assert (result.code, result.stdout) == (100, b"")


@pytest.mark.parametrize("arguments", GOOD, ids=" ".join)
def test_a_good_value_is_accepted(program: Program, place: Path, arguments: list[str]) -> None:
    with Wrapped([*arguments, "-f", "pem"], ["cat"], program=program, cwd=place) as w:
        w.client.close()
        assert w.wait() == 111
        assert "usage" not in w.stderr and "unable to parse" not in w.stderr


@pytest.mark.parametrize("option", ["-t", "-T"])
@pytest.mark.parametrize("value", ["0", "-1", "86401", "x", "", "99999999999999999999999", "-5"])
def test_a_timeout_out_of_range_is_refused(program: Program, place: Path, option: str, value: str) -> None:
    result = run_plain([option, value, "-f", "pem", "cat"], program=program, cwd=place)
    assert (result.code, result.stdout) == (100, b"")
    assert "timeout" in result.stderr


@pytest.mark.parametrize("option", ["-t", "-T"])
@pytest.mark.parametrize(
    "value",
    ["0", "-1", "86401", "x", "", "5x", "05", " 5", "5 ", "+", "-", "+05", "++5", "0x10", "1e3", "5.0",
     "99999999999999999999999", "18446744073709551621"],
)  # fmt: skip
def test_our_text_for_a_bad_timeout(ours: Program, place: Path, option: str, value: str) -> None:
    """Only a sign and digits without a leading zero; at -v the number itself is named first."""
    text = TIMEOUT_TEXT.format(value)
    assert refused(ours, place, [option, value, "-f", "pem", "cat"]) == fatal(text, "invalid argument")
    verbose = refused(ours, place, ["-v", option, value, "-f", "pem", "cat"])
    assert [line[:2] for line in verbose] == [
        ("error", f"'{value}' is not a valid number in the range <1,86400>"),
        ("fatal", text),
    ]


@pytest.mark.parametrize(
    "arguments",
    [["-m", "tls12", "-M", "tls11"], ["-m", "tls11", "-M", "tls10"], ["-M", "tls10"], ["-M", "tls11"]],
    ids=" ".join,
)  # fmt: skip
def test_a_minimum_above_the_maximum_is_refused(ours: Program, place: Path, arguments: list[str]) -> None:
    result = run_plain([*arguments, "-f", "pem", "cat"], program=ours, cwd=place)
    assert (result.code, result.stdout) == (100, b"")
    assert result.stderr.startswith("tlswrapper")
    assert result.code == run_plain(["-q", *arguments, "-f", "pem", "cat"], program=ours, cwd=place).code


def test_p0_after_p1_switches_it_off(ours: Program, certs: Certs) -> None:
    with Wrapped(["-p1", "-p0", "-f", certs.server("p256")], ["echo", "hi"], program=ours) as w:
        assert w.tls().recv(10) == b"hi\n"


def test_no_environment_variable_supplies_options(program: Program, place: Path) -> None:
    names = ("TLSWRAPPER", "TLSWRAPPER_OPTS", "CERTFILE", "BEARWRAP_OPTIONS")
    env = dict.fromkeys(names, "-f pem cat")
    assert run_plain([], program=program, cwd=place, env=env).code == 100
