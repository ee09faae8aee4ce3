"""tlswrapper-tcp(1) says what the program does: options, defaults, limits, texts, variables, codes, examples."""

from __future__ import annotations

import re
import shlex

import pytest

from bearwrap import errors
from bearwrap.options import TIMEOUT_MOST, parse
from bearwrap.programs import tlswrapper_tcp
from tests.harness import ROOT
from tests.test_manual import flat, heads, items, names_of, number, sections

PAGE = (ROOT / "man" / "tlswrapper-tcp.1").read_text()
PARTS = sections(PAGE)
SOURCES = {part: (ROOT / "src" / f"{part}.pxi").read_text() for part in ("tcp", "dial", "relay", "resolver", "address")}


def test_every_option_and_no_other() -> None:
    rows = [f"Fl {letter}" + (f" Ar {value}" if value else "") for letter, value, _ in tlswrapper_tcp.OPTIONS]
    assert sorted(heads(PARTS["OPTIONS"])) == sorted([*rows, "Fl h , Fl -help", "Fl V , Fl -version"])
    for letter, value, _ in tlswrapper_tcp.OPTIONS:
        assert value is None or f".Op Fl {letter} Ar {value}" in PARTS["SYNOPSIS"]
    flags = "".join(letter for letter, value, _ in tlswrapper_tcp.OPTIONS if value is None)
    assert f".Op Fl {flags}" in PARTS["SYNOPSIS"]


def test_defaults_and_limits() -> None:
    settings = tlswrapper_tcp.Settings()
    text = {item.split()[1]: item for item in items(PARTS["OPTIONS"])}
    assert f"1 to {TIMEOUT_MOST}, default {settings.idle.decode()}." in text["t"]
    assert f"1 to {TIMEOUT_MOST}, default {settings.connect.decode()}." in text["T"]
    assert settings.jail_directory.decode() in text["J"]
    assert settings.jail_directory.decode() in PARTS["FILES"]
    assert str(number("UID_BASE")) in text["j"]
    page = flat(PAGE)
    assert page.count(f"p to {number('TARGETS_MAX')} addresses are tried") == 2
    assert f"of 1 to {tlswrapper_tcp.UNIX_PATH_MOST} bytes" in page
    assert number("LINGER_MS") == 1000, "`at most a second later`"


def test_every_exit_code() -> None:
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type)}
    assert {f"Li {code}" for code in codes} == set(heads(PARTS["EXIT STATUS"]))


def test_every_variable() -> None:
    asked = set(re.findall(r'getenv\("([A-Z_]+)"\)', "\n".join(SOURCES.values())))
    assert names_of(PARTS["ENVIRONMENT"]) == asked | {"LOG_ID"}


TEXTS = {  # what the page quotes in LOGS -> what stands in the source
    "unable to connect to HOST:PORT": '"unable to connect to %.1024s"',
    "unable to resolve host 'HOST': name not exist": "\"unable to resolve host '%.700s': name not exist\"",
    "unable to resolve host 'HOST' or port 'PORT'": "\"unable to resolve host '%.700s' or port '%.16s'\"",
    "unable to create TCP socket": '"unable to create TCP socket"',
    "unable to create jail": "jail_refused()",
    "unable to receive incoming proxy-protocol v1 string": '"unable to receive incoming proxy-protocol v1 string"',
    "unable to create outgoing proxy-protocol v1 string": '"unable to create outgoing proxy-protocol v1 string"',
    "unable to connect to IP:PORT": '"unable to connect to "',
    "connectioninfo_get() failed": '"connectioninfo_get() failed"',
    "connected to HOST:PORT": '"connected to %.1024s"',
    "HOST: IP": '"%.1024s: %s"',
    "sending connect to IP:PORT": '"sending connect to "',
    "connected to IP:PORT": '"connected to "',
    "finished": '"finished"',
}


def test_the_texts_of_the_log() -> None:
    assert re.findall(r"^\.Ql (.*?)(?: [,;.])?$", PARTS["LOGS"], re.M) == list(TEXTS)
    for text, code in TEXTS.items():
        assert code in "\n".join(SOURCES.values()), text


def commands() -> list[list[str]]:
    """The command lines of tlswrapper-tcp in DESCRIPTION and EXAMPLES, without what starts it."""
    text = "\n".join(re.findall(r"^\.Dl (.*)", PAGE, re.M))
    text += "\n".join(re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed", PARTS["EXAMPLES"], re.M))
    lines = re.sub(r"\\e\n\s*", " ", text).splitlines()
    return [shlex.split(line.split("tlswrapper-tcp ")[1]) for line in lines if "tlswrapper-tcp " in line]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_examples_parse(words: list[str]) -> None:
    settings = tlswrapper_tcp.Settings()

    def take(letter: str, value: bytes) -> None:
        if value is not None:
            settings.take(letter, value)

    settings.destination(parse([word.encode() for word in words], tlswrapper_tcp.OPTIONS, take))
    settings.check()


def test_there_are_examples() -> None:
    assert len(commands()) >= 6


def test_lines_fit_and_sentences_start_lines() -> None:
    for line in PAGE.splitlines():
        assert len(line) <= (80 if line[:1] != "." else 110), line
        assert line == line.rstrip(), line
        assert line.startswith(".") or not re.search(r"[a-z]\. [A-Z]", line), line
