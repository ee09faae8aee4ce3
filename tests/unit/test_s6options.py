"""The option grammar of s6's tools against getopt, its errors, and s6-tlsc's settings from options and variables."""

from __future__ import annotations

import getopt
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bearwrap.errors import Finished, OptionError, UsageError
from bearwrap.options import JAIL_DIRECTORY
from bearwrap.programs import s6_tlsc
from bearwrap.s6options import UINT_MOST, Option, help_text, parse, unsigned

TABLE = [
    Option("a", "all", None, "a flag"),
    Option("b", "", None, "another"),
    Option("k", "key", "name", "a value"),
    Option("6", "read-fd", "fd", "another value"),
    Option("", "long", None, "a flag without a letter"),
]
Taken = list[tuple[str, bytes]]


def run(args: list[bytes], table: list[Option] = TABLE) -> tuple[Taken, list[bytes]]:
    taken: Taken = []
    rest = parse(args, table, lambda name, value: taken.append((name, value)))
    return taken, rest


def oracle(args: list[bytes]) -> tuple[Taken, list[bytes]] | None:
    """getopt's reading, None for its error. It takes abbreviations, so the words have none."""
    letters = "".join(row.letter + (":" if row.value else "") for row in TABLE if row.letter)
    longs = [row.long + ("=" if row.value else "") for row in TABLE if row.long]
    try:
        found, rest = getopt.getopt([word.decode("latin-1") for word in args], letters, longs)
    except getopt.GetoptError:
        return None
    names = {f"--{row.long}": row.name for row in TABLE} | {f"-{row.letter}": row.name for row in TABLE if row.letter}
    return [(names[flag], value.encode("latin-1")) for flag, value in found], [w.encode("latin-1") for w in rest]


words = st.one_of(
    st.text("abk6x-=", max_size=5).map(str.encode).filter(lambda word: not word.startswith(b"--")),
    st.text("abk6", min_size=1, max_size=5).map(lambda text: b"-" + text.encode()),
    st.sampled_from([b"", b"-", b"--", b"prog", b"-k", b"-6", b"--all", b"--key", b"--read-fd", b"--long", b"--key=",
                     b"--key=a=b", b"--read-fd=7", b"--all=", b"--long=x", b"--zoo", b"--zoo=1", b"---"]),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(words, max_size=7))
@example([b"-k", b"--", b"--", b"-a"])
@example([b"--key", b"--", b"-a", b"--", b"-b"])
@example([b"--key", b""])
@example([b"-abk"])
@example([b"-akb", b"-a"])
@example([b"-a-"])
@example([b"-", b"-a"])
@example([b"--key"])
@example([b"--all", b"x"])
def test_as_getopt_reads_it(args: list[bytes]) -> None:
    expected = oracle(args)
    if expected is None:
        with pytest.raises((UsageError, OptionError)):
            run(args)
    else:
        assert run(args) == expected


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([b"-x"], b"unrecognized short option: x"),
        ([b"-ax"], b"unrecognized short option: x"),
        ([b"-\xff"], b"unrecognized short option: \xff"),
        ([b"-h"], b"unrecognized short option: h"),
        ([b"-V"], b"unrecognized short option: V"),
        ([b"--foo"], b"unrecognized long option: foo"),
        ([b"--foo=bar"], b"unrecognized long option: foo"),
        ([b"--al"], b"unrecognized long option: al"),
        ([b"--a"], b"unrecognized long option: a"),
        ([b"---"], b"unrecognized long option: -"),
        ([b"--=x"], b"unrecognized long option: "),
        ([b"--ALL"], b"unrecognized long option: ALL"),
        ([b"--all=1"], b"option --all takes no argument"),
        ([b"--all="], b"option --all takes no argument"),
        ([b"--help=1"], b"option --help takes no argument"),
    ],
)
def test_no_such_option(args: list[bytes], message: bytes) -> None:
    with pytest.raises(OptionError) as caught:
        run([b"-b", *args, b"prog"])
    assert (caught.value.message, caught.value.errno, caught.value.exit_code) == (message, 0, 100)


@pytest.mark.parametrize("args", [[b"-k"], [b"-ak"], [b"--key"], [b"-a", b"--read-fd"]])
def test_a_missing_value_is_wrong_usage(args: list[bytes]) -> None:
    with pytest.raises(UsageError):
        run(args)


@pytest.mark.parametrize(("args", "letter"), [([b"--help"], "h"), ([b"--version"], "V"), ([b"-ab", b"--help"], "h")])
def test_help_and_version(args: list[bytes], letter: str) -> None:
    with pytest.raises(Finished) as caught:
        run(args)
    assert (caught.value.text, caught.value.exit_code) == (letter, 0)


def test_help_is_no_option_after_the_options() -> None:
    assert run([b"prog", b"--help"]) == ([], [b"prog", b"--help"])
    assert run([b"--", b"--help"]) == ([], [b"--help"])
    assert run([b"-", b"--help"]) == ([], [b"-", b"--help"])
    assert run([b"-k", b"--help"]) == ([("k", b"--help")], [])


# numbers


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.integers(-10, 2**33).map(lambda n: b"%d" % n),
                 st.text("+-0123456789 _.x٣", max_size=12).map(str.encode), st.binary(max_size=4)),
       st.integers(0, UINT_MOST))  # fmt: skip
@example(b"4294967295", UINT_MOST)
@example(b"4294967296", UINT_MOST)
@example(b"00000000000007", 10)
@example(b"000", 0)
@example(b"1\n", 10)
@example(b"9" * 5000, UINT_MOST)
def test_unsigned(text: bytes, most: int) -> None:
    expected = None
    if re.fullmatch(rb"0*([0-9]{1,10})", text) and int(text) <= most:
        expected = int(text)
    assert unsigned(text, most) == expected


# help


def test_help_lists_every_option_once() -> None:
    text = help_text("usage line", s6_tlsc.OPTIONS, "closing words")
    assert text.startswith("usage: usage line\n") and text.endswith("closing words\n")
    listed = re.findall(r"^  (?:-(\w), )?--([\w-]+)(?: (\w+))?  +\S", text, re.MULTILINE)
    rows = [(row.letter, row.long, row.value or "") for row in s6_tlsc.OPTIONS]
    assert listed == [*rows, ("", "help", ""), ("", "version", "")]
    assert len({name for _, name, _ in listed}) == len(listed)
    assert all(len(line) <= 100 for line in text.splitlines())


# s6-tlsc


def settled(*args: bytes) -> s6_tlsc.Settings:
    found = s6_tlsc.Settings()
    found.prog = parse([*args, b"prog"], s6_tlsc.OPTIONS, found.take)
    found.check()
    return found


def test_defaults() -> None:
    found = settled()
    assert {name: getattr(found, name) for name in found.__slots__} == {
        "read_fd": 6, "write_fd": 7, "close_notify": False, "enforce_close_notify": False, "client_cert": False,
        "keep": False, "verify": True, "verbosity": 1, "handshake_ms": 0, "servername": None, "anchors_directory": None,
        "anchors_file": None, "certificate_file": None, "key_file": None, "uid": 0, "gid": 0,
        "jail_directory": JAIL_DIRECTORY, "prog": [b"prog"],
    }  # fmt: skip


@pytest.mark.parametrize("row", s6_tlsc.OPTIONS, ids=lambda row: row.name)
def test_every_option_has_an_effect_and_its_two_forms_the_same(row: Option) -> None:
    """A flag that says the default has one behind its opposite."""
    value = {"6": b"11", "7": b"12", "v": b"3", "K": b"250", "k": b"example.com"}.get(row.name, b"")
    opposite = {"s": b"-S", "j": b"-J", "Y": b"-y", "z": b"-Z", "verify-cert": b"--no-verify-cert"}.get(row.name)
    before = [opposite] if opposite else []

    def shape(*args: bytes) -> dict[str, object]:
        found = settled(*args)
        return {name: getattr(found, name) for name in found.__slots__}

    long = b"--" + row.long.encode()
    forms = [shape(*before, long, value), shape(*before, long + b"=" + value)] if row.value else [shape(*before, long)]
    if row.letter:
        short = b"-" + row.letter.encode()
        forms += [shape(*before, short, value), shape(*before, short + value)] if row.value else [shape(*before, short)]
    assert forms == forms[:1] * len(forms)
    assert forms[0] != shape(*before)


def test_the_last_one_wins() -> None:
    found = settled(b"-SJyZ", b"-sjYz", b"-K5", b"--handshake-timeout=7", b"-ka", b"-kb", b"--no-verify-cert",
                    b"--verify-cert")  # fmt: skip
    assert not (found.close_notify or found.enforce_close_notify or found.client_cert or found.keep)
    assert (found.handshake_ms, found.servername, found.verify) == (7, b"b", True)
    assert settled(b"-kname", b"-k", b"").servername is None


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([b"-K", b"abc"], b"handshake-timeout must be an unsigned integer"),
        ([b"-K", b"-5"], b"handshake-timeout must be an unsigned integer"),
        ([b"-K", b""], b"handshake-timeout must be an unsigned integer"),
        ([b"-Kabc", b"-K5"], b"handshake-timeout must be an unsigned integer"),
        ([b"--verbosity=high"], b"verbosity must be an unsigned integer"),
        ([b"-6", b"2"], b"read-fd must be an unsigned integer (3 or more)"),
        ([b"-6", b"2147483648"], b"read-fd must be an unsigned integer (3 or more)"),
        ([b"-7", b"abc"], b"write-fd must be an unsigned integer (3 or more)"),
        ([b"-6", b"7"], b"read-fd and write-fd must be different"),
    ],
)
def test_bad_values(args: list[bytes], message: bytes) -> None:
    with pytest.raises(OptionError) as caught:
        settled(*args)
    assert caught.value.message == message


def test_no_prog() -> None:
    found = s6_tlsc.Settings()
    with pytest.raises(UsageError):
        found.check()


def test_a_long_time_is_as_good_as_none_that_would_overflow() -> None:
    assert settled(b"-K4294967295").handshake_ms == 2**31 - 1


Variables = dict[bytes, bytes]


def test_anchors_from_the_environment() -> None:
    found = settled()
    with pytest.raises(OptionError, match="CADIR or CAFILE not set"):
        found.environment({}, is_root=True)
    for variables, expected in (
        ({b"CAFILE": b"f"}, (None, b"f")),
        ({b"CADIR": b"d"}, (b"d", None)),
        ({b"CADIR": b"", b"CAFILE": b"f"}, (b"", None)),
        ({b"CAFILE": b""}, (None, b"")),
    ):
        found = settled()
        found.environment(variables, is_root=True)
        assert (found.anchors_directory, found.anchors_file) == expected


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, b"CADIR or CAFILE not set"),
        ({b"CAFILE": b"x"}, b"CERTFILE not set"),
        ({b"CAFILE": b"x", b"KEYFILE": b"k"}, b"CERTFILE not set"),
        ({b"CAFILE": b"x", b"CERTFILE": b"c", b"TLS_UID": b"?"}, b"KEYFILE not set"),
        ({b"CAFILE": b"x", b"CERTFILE": b"c", b"KEYFILE": b"k", b"TLS_GID": b"?", b"TLS_UID": b"x"},
         b"invalid $TLS_UID"),
        ({b"CAFILE": b"x", b"CERTFILE": b"c", b"KEYFILE": b"k", b"TLS_GID": b""}, b"invalid $TLS_GID"),
        ({b"CAFILE": b"x", b"CERTFILE": b"c", b"KEYFILE": b"k", b"TLS_UID": b"4294967295"}, b"invalid $TLS_UID"),
    ],
)  # fmt: skip
def test_variables_are_checked_in_this_order(variables: Variables, message: bytes) -> None:
    with pytest.raises(OptionError) as caught:
        settled(b"-y").environment(variables, is_root=True)
    assert caught.value.message == message


def test_a_certificate_is_looked_for_with_y_alone() -> None:
    variables = {b"CAFILE": b"x", b"CERTFILE": b"c", b"KEYFILE": b"k"}
    for args, expected in (([b"-y"], (b"c", b"k")), ([], (None, None))):
        found = settled(*args)
        found.environment(variables, is_root=True)
        assert (found.certificate_file, found.key_file) == expected


def test_ids_are_looked_at_as_root_alone() -> None:
    variables = {b"CAFILE": b"x", b"TLS_UID": b"1000", b"TLS_GID": b"0100"}
    found = settled()
    found.environment(variables, is_root=True)
    assert (found.uid, found.gid) == (1000, 100)
    found = settled()
    found.environment({**variables, b"TLS_UID": b"nobody"}, is_root=False)
    assert (found.uid, found.gid) == (0, 0)


def test_what_prog_does_not_get() -> None:
    mine = [*s6_tlsc.VARIABLES, b"KEYFILE:a", b"CERTFILE:", b"KEYFILE:"]
    assert set(mine) > {b"CADIR", b"CAFILE", b"KEYFILE", b"CERTFILE", b"TLS_UID", b"TLS_GID"}
    others = [b"CADIR2", b"cadir", b"KEYFILE2", b"SSL_CLIENT_X", b"PATH", b"XCAFILE", b"TLS_UIDS"]
    assert s6_tlsc.hidden(dict.fromkeys([*mine, *others], b"x")) == mine


def test_descriptors_are_looked_at(free_number: Callable[[], int]) -> None:
    from bearwrap.errors import SystemCallError

    s6_tlsc.check_descriptors(0, 2)
    with pytest.raises(SystemCallError) as caught:
        s6_tlsc.check_descriptors(0, free_number())
    assert (caught.value.message, caught.value.exit_code) == (b"unable to check network fds", 111)


@pytest.fixture
def free_number() -> Callable[[], int]:
    import os

    def find() -> int:
        fd = os.open("/dev/null", os.O_RDONLY)
        os.close(fd)
        return fd

    return find
