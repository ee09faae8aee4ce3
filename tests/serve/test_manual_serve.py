"""bearwrap(1) says of the listener what it does: options, ranges, counters, fields, texts, variables, examples.

The page is read as in tests/test_manual.py.
"""

from __future__ import annotations

import re
import shlex

import pytest

from bearwrap import options, s6options
from bearwrap.programs import serve, tlswrapper
from tests.certs import Certs
from tests.harness import ROOT, needs_root
from tests.test_manual import flat, heads, items, names_of, number, sections

from .listening import Serving
from .test_log import FIELDS

PAGE = (ROOT / "man" / "bearwrap.1").read_text()
PARTS = sections(PAGE)


def source(*names: str) -> str:
    return "".join((ROOT / "src" / f"{name}.pxi").read_text() for name in names)


def test_the_sections() -> None:
    assert list(PARTS) == [
        "NAME", "SYNOPSIS", "DESCRIPTION", "SERVE", "BENCH", "OPTIONS", "SIGNALS", "LOGS", "COUNTERS", "ENVIRONMENT",
        "EXIT STATUS", "EXAMPLES", "SEE ALSO", "CAVEATS",
    ]  # fmt: skip


def test_every_option_with_its_range_and_default() -> None:
    rows = {row.long: f"Fl -{row.long} Ar {row.value}" for row in serve.OPTIONS}
    assert heads(PARTS["OPTIONS"])[2:] == list(rows.values())
    assert re.findall(r"^\.Op (Fl -.*)$", PARTS["SYNOPSIS"], re.M) == list(rows.values())
    text = {item.split()[1].removeprefix("-"): item for item in items(PARTS["OPTIONS"])}
    for name, (low, high) in serve.RANGES.items():
        default = serve.Settings().numbers[name]
        assert f": {low} to {high}" in text[name], name
        assert f"default {default}." in text[name] or (default == 0 and "0, the default" in text[name]), name
        (row,) = [row for row in serve.OPTIONS if row.long == name]
        assert f"{high} (default {default})" in row.text or default == 0, "the summary of --help"
    assert f"At most {serve.LISTENERS_MOST}," in flat(PARTS["SERVE"])
    assert number("LISTENERS_MAX") == serve.LISTENERS_MOST
    assert number("KILL_MS") == 4000, "`four seconds` in SIGNALS"
    assert number("LINE_MS") == 1000, "`once a second` in LOGS"


@needs_root
def test_every_counter(certs: Certs) -> None:
    told = [head.removeprefix("Li ") for head in heads(PARTS["COUNTERS"])]
    assert told == re.findall(r"# TYPE (\w+) ", source("status"))
    with Serving(["-f", str(certs.server("p256"))]) as server:
        server.echo()
        found = server.wait_counter("bearwrap_served_total", 1)
        assert {name.partition("{")[0] for name in found} == set(told) - {"bearwrap_alerts_total"}
    for value in re.findall(r'\{(?:state|reason|result|direction)=\\"(\w+)\\"\}', source("status")):
        assert f".Ql {value}" in PARTS["COUNTERS"], value


def test_every_field_and_end() -> None:
    told = [name for head in heads(PARTS["LOGS"]) for name in re.findall(r"[a-z_]+", head.removeprefix("Li "))]
    assert told[: len(FIELDS)] == FIELDS
    ends = re.findall(r'return "(\w+)"', source("worker")) + re.findall(r'else "(refused)"', source("worker"))
    assert {"finished", "control", "refused", "eof"} <= set(ends)
    for end in ends:
        assert f".Ql {end}" in PARTS["LOGS"], end
    for verb in ("sent", "received"):
        assert f'"{verb} %s"' in source("worker") and f".Ql {verb} ALERT" in PARTS["LOGS"]


def test_the_supervisors_lines() -> None:
    code = source("serve", "supervisor")
    told = [head.removeprefix("Li ") for head in heads(PARTS["LOGS"])[len(FIELDS) - 2 :]]
    texts = re.findall(r'serve_(?:refused|trouble)\(s, "(.*?)"', code)
    assert {text.split(", N ")[0] for text in told} == set(texts)
    assert "refused since the last such line" in code


def test_every_variable() -> None:
    read, given = PARTS["ENVIRONMENT"].split(".Ss Set for prog")
    asked = set(re.findall(r'getenv\("([A-Z_]+)"', source("listen")))
    asked |= set(re.findall(r'environ\.get\(b"([A-Z_]+)"', (ROOT / "bearwrap/programs/serve.py").read_text()))
    assert names_of(read) == asked | {"LOG_ID", "PATH"}
    assert names_of(given) == {"PROTO"}


def examples() -> list[str]:
    blocks = re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed", PARTS["EXAMPLES"], re.M)
    lines = [line for block in blocks for line in re.sub(r"\\e\n\s*", " ", block).splitlines()]
    return [line.partition("bearwrap serve ")[2] for line in lines if line.startswith("bearwrap serve ")]


@pytest.mark.parametrize("line", examples())
def test_the_examples_parse(line: str) -> None:
    settings = serve.Settings()
    rest = s6options.parse([word.encode() for word in shlex.split(line)], serve.OPTIONS, settings.take)
    if rest[0] != b"systemd":
        assert all(serve.parse_address(text)[1] == 443 for text in rest[0].split(b","))
    ours, wrapped = serve.split(rest[1:])
    assert not ours
    taken: list[str] = []
    prog = options.parse(wrapped, tlswrapper.OPTIONS, lambda letter, value: taken.append(letter))
    assert prog[:2] == [b"busybox", b"httpd"] and taken == ["f", "u"]


def test_lines_fit() -> None:
    for line in PAGE.splitlines():
        assert len(line) <= (80 if line[:1] != "." else 110), line
