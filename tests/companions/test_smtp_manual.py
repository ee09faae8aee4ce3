"""tlswrapper-smtp(1) says what the program does: options, defaults, limits, codes, texts, examples.

That the page renders is checked with all pages, in tests/test_manual.py.
"""

from __future__ import annotations

import re
import shlex

from bearwrap import greylist, smtp
from bearwrap.options import TIMEOUT_MOST, parse
from bearwrap.programs import tlswrapper_smtp
from tests.harness import ROOT
from tests.test_manual import flat, heads, items, number, sections

PAGE = (ROOT / "man" / "tlswrapper-smtp.1").read_text()
PARTS = sections(PAGE)
CODE = "\n".join(
    (ROOT / name).read_text()
    for name in ("src/smtp.pxi", "src/jail.pxi", "src/greylist.pxi", "src/resolver.pxi", "src/prog.pxi",
                 "bearwrap/smtp.py", "bearwrap/smtpsession.py")
)  # fmt: skip


def test_every_option_and_no_other() -> None:
    rows = [f"Fl {letter}" + (f" Ar {value}" if value else "") for letter, value, _ in tlswrapper_smtp.OPTIONS]
    rows += ["Fl h , Fl -help", "Fl V , Fl -version"]
    assert sorted(heads(PARTS["OPTIONS"])) == sorted(rows)
    flags = re.search(r"^\.Op Fl (\w+)$", PARTS["SYNOPSIS"], re.M)
    assert flags
    assert set(flags[1]) == {letter for letter, value, _ in tlswrapper_smtp.OPTIONS if value is None}
    for letter, value, _ in tlswrapper_smtp.OPTIONS:
        if value is not None:
            assert f"Fl {letter} Ar {value}" in PARTS["SYNOPSIS"]


def test_defaults() -> None:
    settings = tlswrapper_smtp.Settings()
    text = {item.split()[1]: item for item in items(PARTS["OPTIONS"])}
    assert f"1 to {TIMEOUT_MOST}, default {settings.session.decode()}." in text["t"]
    assert f"1 to {TIMEOUT_MOST}, default {settings.step.decode()}." in text["T"]
    assert settings.jail_directory.decode() in text["J"]
    assert "the default" in text["C" if not settings.fail_closed else "c"]
    assert str(number("UID_BASE")) in text["j"]
    assert number("SMTP_TERM_MS") == 1000
    assert number("SMTP_KILL_MS") == 500
    assert "a second later it gets SIGTERM, and half a second after that SIGKILL" in flat(PAGE)


def test_limits() -> None:
    limits = [head.split(" Ta ")[1] for head in heads(PARTS["DESCRIPTION"].split(".Ss Limits")[1])]
    bounds = (smtp.LINE_MAX, smtp.REPLY_MAX, smtp.ADDRESS_MAX, smtp.RECIPIENTS_MAX, smtp.RECIPIENT_LIST_MAX)
    assert [int(limit.split()[0]) for limit in limits] == list(bounds)
    assert f"more than {greylist.ANSWER_MAX} bytes in a line" in flat(PARTS["GREYLISTING"])


def test_replies() -> None:
    for reply in (smtp.UNIMPLEMENTED, smtp.READY, *smtp.VERDICTS.values()):
        assert f".Ql {reply.decode()}" in PAGE
    hidden = re.findall(r"^\.Ql ([A-Z]+)$", PARTS["DESCRIPTION"], re.M)
    assert {word.decode() for word in smtp.HIDDEN} <= set(hidden)
    request = greylist.Policy().ask(b"192.0.2.1", b"<ann@a.example>", b"<bob@b.example>").decode()
    assert request.strip() in PARTS["GREYLISTING"]


def test_exit_codes_and_descriptors() -> None:
    assert heads(PARTS["EXIT STATUS"]) == ["Ar n", "Li 0", "Li 100", "Li 111"]
    assert heads(PARTS["FILE DESCRIPTORS"]) == ["0 , 1", "2", "5", "6"]


PATTERNS = {  # texts of LOGS whose parts are variable -> what stands in the source
    "unable to run PROG": "unable to run %",
    "unable to drop privileges to 'ACCOUNT'": "unable to drop privileges to '%",
    "unable to resolve host 'HOST': name not exist": "unable to resolve host '%.700s': name not exist",
    "child process killed by signal N": "child process killed by signal %d",
    "child exited with status N": "child exited with status %d",
    "unable to connect to HOST:PORT": 'b"unable to connect to " + self.server',
    "write to 'HOST:PORT' failed": 'doing = b"write to"',
    "read from 'HOST:PORT' failed": 'doing = b"read from"',
    "answer from 'HOST:PORT' is too long": "is too long",
    "F=<ann@a.example> T=<bob@b.example>,<eve@b.example>,: 250 queued [ID]": 'b" T=" + recipients',
    "F=SENDER T=RECIPIENT: REPLY": 'b" T=" + recipients',
    "F=SENDER: REPLY": 'b"F=" + self.sender + b": " + reply',
    "LINE: REPLY": 'self._line.passed + b": " + reply',
    "client closed the connection": "closed the connection",
    "read from client timed out": " timed out",
    "client line is longer than 4096 bytes": "client line is longer than %d bytes",
}


def test_texts_of_the_log() -> None:
    quoted = re.findall(r"^\.Ql (.*?)(?: [,;.])?$", PARTS["LOGS"], re.M)
    assert len(quoted) > 15
    for text in quoted:
        assert PATTERNS.get(text, text) in CODE, text


def test_the_examples_parse() -> None:
    blocks = re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed", PARTS["EXAMPLES"], re.M)
    lines = [line for block in blocks for line in re.sub(r"\\e\n\s*", " ", block).splitlines()]
    commands = [line.split("tlswrapper-smtp ")[1] for line in lines if "tlswrapper-smtp " in line]
    assert len(commands) >= 4
    for command in commands:
        settings = tlswrapper_smtp.Settings()
        prog = parse([word.encode() for word in shlex.split(command)], tlswrapper_smtp.OPTIONS, settings.take)
        assert prog
        assert settings.account
        assert settings.greylist is None or greylist.server_address(settings.greylist)


def test_lines_fit_and_sentences_start_lines() -> None:
    for line in PAGE.splitlines():
        assert len(line) <= (80 if line[:1] != "." else 110), line
        assert line == line.rstrip(), line
        assert line.startswith(".") or not re.search(r"[a-z]\. [A-Z]", line), line
