"""The option grammar against getopt, and numbers against a model."""

from __future__ import annotations

import getopt
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bearwrap.errors import Finished, UsageError
from bearwrap.options import help_text, number, parse
from bearwrap.programs import bearwrap, tlswrapper

Option = tuple[str, str | None, str]
TABLE: list[Option] = [("a", None, "a flag"), ("b", None, "another"), ("f", "file", "a value"),
         ("-", None, "odd"), ("p", "0|1", "another value")]  # fmt: skip
Taken = list[tuple[str, bytes]]


def run(args: list[bytes], table: list[Option] = TABLE) -> tuple[Taken, list[bytes]]:
    taken: Taken = []
    rest = parse(args, table, lambda letter, value: taken.append((letter, value)))
    return taken, rest


def oracle(args: list[bytes], table: list[Option] = TABLE) -> tuple[Taken, list[bytes]] | None:
    """getopt's reading, None for its error. `-` alone is an operand to it, so the words have none."""
    letters = "".join(letter + (":" if value else "") for letter, value, _text in table)
    try:
        found, rest = getopt.getopt([word.decode("latin-1") for word in args], letters)
    except getopt.GetoptError:
        return None
    return [(letter[1:], value.encode("latin-1")) for letter, value in found], [w.encode("latin-1") for w in rest]


words = st.one_of(
    st.text("abfpx-=", max_size=5).map(str.encode),
    st.text("abfp", min_size=1, max_size=5).map(lambda text: b"-" + text.encode()),
    st.sampled_from([b"", b"--", b"prog", b"-f", b"-p1", b"-ab"]),
).filter(lambda word: word != b"-" and (not word.startswith(b"--") or word == b"--"))


@settings(max_examples=150, deadline=None)
@given(st.lists(words, max_size=7))
@example([b"-f", b"--", b"--", b"-a"])
@example([b"-f", b""])
@example([b"-abf"])
@example([b"-fab", b"-a"])
@example([b"-a-"])
def test_as_getopt_reads_it(args: list[bytes]) -> None:
    expected = oracle(args)
    if expected is None:
        with pytest.raises(UsageError):
            run(args)
    else:
        assert run(args) == expected


@pytest.mark.parametrize("word", [b"-", b"--"])
def test_a_bare_dash_ends_the_options_and_is_gone(word: bytes) -> None:
    assert run([b"-a", word, b"-b", b"--"]) == ([("a", b"")], [b"-b", b"--"])
    assert run([b"-f", word, b"-b"]) == ([("f", word), ("b", b"")], []), "as a value it is one"


@pytest.mark.parametrize("args", [[b"-\xff"], [b"-ax"], [b"--helpful"], [b"---"], [b"-f"], [b"-af"], [b"-a", b"-f"],
                                  [b"-\0"], [b"-a\n"], [b"-A"]])  # fmt: skip
def test_no_such_option(args: list[bytes]) -> None:
    with pytest.raises(UsageError):
        run(args, [row for row in TABLE if row[0] != "-"])


@pytest.mark.parametrize(("args", "letter"), [([b"--help"], "h"), ([b"-h"], "h"), ([b"-ah"], "h"), ([b"-hx"], "h"),
                                              ([b"--version"], "V"), ([b"-V"], "V"), ([b"-abVh"], "V"),
                                              ([b"-f", b"-h", b"-V"], "V")])  # fmt: skip
def test_help_and_version(args: list[bytes], letter: str) -> None:
    with pytest.raises(Finished) as caught:
        run(args)
    assert (caught.value.text, caught.value.exit_code) == (letter, 0)


def test_help_is_no_option_after_the_options() -> None:
    assert run([b"prog", b"--help"]) == ([], [b"prog", b"--help"])
    assert run([b"--", b"-h"]) == ([], [b"-h"])
    assert run([b"-h"], [("h", None, "of the table")]) == ([("h", b"")], [])


def test_options_are_taken_until_the_first_bad_one() -> None:
    taken: Taken = []
    with pytest.raises(UsageError):
        parse([b"-a", b"-bx", b"-a"], TABLE, lambda letter, value: taken.append((letter, value)))
    assert taken == [("a", b""), ("b", b"")]


# numbers


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.integers(-(10**10), 10**10).map(lambda n: b"%d" % n),
                 st.text("+-0123456789 _.x٣", max_size=6).map(str.encode), st.binary(max_size=4)),
       st.integers(-100, 100), st.integers(0, 10**10))  # fmt: skip
@example(b"999999999", 0, 10**9)
@example(b"1000000000", 0, 10**10)
@example(b"-0", 0, 0)
@example(b"+0", 0, 0)
@example(b"00", 0, 0)
@example(b"1_0", 0, 10)
@example(b"1\n", 0, 10)
@example(b"+", 0, 10)
def test_number(text: bytes, lowest: int, highest: int) -> None:
    expected = None
    if re.fullmatch(rb"[+-]?(0|[1-9][0-9]{0,8})", text) and lowest <= int(text) <= highest:
        expected = int(text)
    assert number(text, lowest, highest) == expected


# help


@pytest.mark.parametrize("program", [tlswrapper, bearwrap], ids=lambda program: program.__name__)
def test_help_lists_every_option_once(program: object) -> None:
    table: list[Option] = program.OPTIONS  # type: ignore[attr-defined]
    text = help_text("usage line", table, "closing words")
    assert text.startswith("usage: usage line\n") and text.endswith("closing words\n")
    letters = re.findall(r"^  -(.)(?= |,)", text, re.MULTILINE)
    assert letters == [letter for letter, _value, _text in table] + ["h", "V"]
    assert len(set(letters)) == len(letters)
    assert all(len(line) <= 100 for line in text.splitlines())
