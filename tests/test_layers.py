"""The layers of DESIGN.md, enforced: a file uses only what lies below it, and only the named parts move bytes."""

from __future__ import annotations

import ast
import re

import pytest

from tests.harness import ROOT

# Python: what each module may import from the package
PYTHON = {
    "_version": set(),
    "errors": set(),
    "__init__": {"_version"},
    "options": {"errors"},
    "policy": {"_bear", "options"},
    "s6options": {"errors"},
    "tcpconnect": set(),
    "logs": {"_bear"},
    "s6logs": {"_bear", "logs"},
    "programs/__init__": {"logs", "programs/*"},
    "programs/refusal": {"errors", "options", "logs", "_version"},
    "programs/tlswrapper": {"_bear", "options", "policy", "logs"},
    "greylist": {"options"},
    "smtp": {"greylist"},
    "smtpsession": {"_bear", "greylist", "logs", "smtp"},
    "programs/tlswrapper_tcp": {"_bear", "errors", "options", "logs"},
    "programs/tlswrapper_smtp": {"_bear", "errors", "options", "logs", "greylist", "smtp", "smtpsession"},
    "programs/s6_tlsc": {"_bear", "errors", "options", "s6options", "s6logs"},
    "programs/s6_tlsclient": {
        "_bear", "errors", "s6options", "tcpconnect", "s6logs", "programs/__init__", "programs/s6_tlsc",
    },
    "programs/bearwrap": {
        "_bear", "errors", "options", "logs", "programs/__init__", "programs/refusal", "programs/serve",
        "programs/bench",
    },
    "programs/bench": {"errors", "logs", "programs/__init__"},
    "programs/serve": {"_bear", "errors", "options", "s6options", "logs", "programs/tlswrapper"},
}
ALLOWED_OUTSIDE = {"posix", "sys", "__future__", "collections.abc", "types"}  # the last two for type checking only

# the compiled half: groups in the order of their layers; a part may use its own group and the groups before it
GROUPS = [
    ["limits", "alert", "cursor", "der", "extension", "extension13", "hello", "names", "address", "altname", "pem",
     "certificate", "anchors", "hash", "pss", "schemes", "hkdf", "schedule", "records", "protect", "serverflight",
     "wire13", "flight13", "serverhello13", "select13", "ticket"],
    ["log", "proxyline", "jail", "sandbox", "seccomp", "config", "descriptors", "affinity", "ring", "ticketpage",
     "port"],
    ["prog"],
    ["identity", "trust", "peer", "key", "keyserver", "keyclient", "keyrun", "keyserver13", "keyclient13", "keymain"],
    ["engine", "engineserver", "engineclient", "net", "netmove", "netflight", "netserver13", "netserver", "netclient13",
     "netclient", "nethandshake", "post13", "netrun", "netclear", "netend"],
    ["connection", "clientrun"],
    ["worker", "listen", "waiting", "supervisor", "status", "serve"],
    ["face", "clientface", "serveface", "testface", "primitiveface", "tls13face"],
]
KEY, NET = GROUPS[3], GROUPS[4]
TCP = ["resolver", "dial", "relay", "tcp"]  # tlswrapper-tcp
TCPCLIENT = ["resolver", "dial", "tcpclient"]  # s6-tlsclient
SMTP = ["resolver", "dial", "smtp", "greylist"]  # tlswrapper-smtp
# the only parts that read or write the descriptors that carry a connection's bytes
MOVERS = {"keyrun", "netmove", "netflight", "netclear", "netend"}


def companions() -> set[str]:
    """Parts of the companion programs, which have rules of their own: they use the lower groups only."""
    return {path.stem for path in (ROOT / "src").glob("*.pxi")} - {part for group in GROUPS for part in group}


def source(part: str) -> str:
    """A part without its comments, docstrings and texts."""
    text = (ROOT / "src" / f"{part}.pxi").read_text()
    text = re.sub(r'""".*?"""', "", text, flags=re.S)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
    return re.sub(r"#.*", "", text)


def defined(part: str) -> set[str]:
    """Names of functions, structs, enums, their members and globals that a part defines at its top level."""
    text = source(part)
    names = set(re.findall(r"^cdef (?:enum|struct|class) (\w+)", text, re.M))
    names |= set(re.findall(r"^cdef [^(\n=]*?(\w+)\(", text, re.M))
    names |= set(re.findall(r"^cdef [\w \*]+?(\w+)(?:\[\w+\])*$", text, re.M))
    for body in re.findall(r"^cdef enum[^\n]*:\n((?:    .*\n|\n)+)", text, re.M):
        names |= set(re.findall(r"^    ([A-Z]\w+)", body, re.M))
    return names


def used(part: str) -> set[str]:
    return set(re.findall(r"(?<![.\w])[A-Za-z_]\w+", source(part)))


def test_every_part_is_in_a_group_and_included_in_that_order() -> None:
    included = re.findall(r'^include "(\w+)\.pxi"', (ROOT / "src" / "_bear.pyx").read_text(), re.M)
    ours = [part for part in included if part not in companions()]
    rank = {part: number for number, group in enumerate(GROUPS) for part in group}
    assert [rank[part] for part in ours] == sorted(rank[part] for part in ours)
    assert set(ours) == set(rank)


@pytest.mark.parametrize("number", range(len(GROUPS)))
def test_a_part_uses_no_later_group(number: int) -> None:
    later = {name: part for group in GROUPS[number + 1 :] for part in group for name in defined(part)}
    own = {name for group in GROUPS[: number + 1] for part in group for name in defined(part)}
    wrong = {(part, name, later[name]) for part in GROUPS[number] for name in used(part) & (set(later) - own)}
    assert not wrong


def test_a_part_uses_only_parts_above_it() -> None:
    """The order of src/_bear.pyx, without exception."""
    included = re.findall(r'^include "(\w+)\.pxi"', (ROOT / "src" / "_bear.pyx").read_text(), re.M)
    wrong = set()
    for at, part in enumerate(included):
        above = {name for other in included[: at + 1] for name in defined(other)}
        wrong |= {(part, other, name) for other in included[at + 1 :] for name in used(part) & (defined(other) - above)}
    assert not wrong


def test_net_and_key_use_nothing_of_each_other() -> None:
    for ours, theirs in ((KEY, NET), (NET, KEY)):
        foreign = {name for part in theirs for name in defined(part)}
        wrong = {(part, name) for part in ours for name in used(part) & foreign}
        assert not wrong


@pytest.mark.parametrize("process", ["key", "engine", "net"])
def test_the_roles_use_nothing_of_each_other(process: str) -> None:
    """What a server does with a secret is no path that a client's peer can reach, and the reverse."""
    server, client = f"{process}server", f"{process}client"
    assert not used(client) & defined(server)
    assert not used(server) & defined(client)


@pytest.mark.parametrize(("parts", "groups"), [(TCP, 2), (TCPCLIENT, 2), (SMTP, 3)], ids=["tcp", "tcpclient", "smtp"])
def test_companions_use_nothing_of_the_wrapper(parts: list[str], groups: int) -> None:
    """They stand on the same ground, the first two groups (and prog's, for smtp), and each part on those before it."""
    ground = [part for group in GROUPS[:groups] for part in group]
    wrapper = {name: part for group in GROUPS[groups:7] for part in group for name in defined(part)}
    for at, part in enumerate(parts):
        own = {name for other in [*ground, *parts[: at + 1]] for name in defined(other)}
        foreign = {name for later in parts[at + 1 :] for name in defined(later)} | set(wrapper)
        assert not used(part) & (foreign - own), part


def test_only_the_named_parts_move_bytes() -> None:
    calls = re.compile(r"\b(readv|writev|read|write|recv|send)\((?:net\.fd_|r\.prog_|c\.prog_|fd_in|fd_out)")
    movers = {part for group in GROUPS for part in group if calls.search(source(part))}
    assert movers <= MOVERS | {"connection"}  # connection reads the PROXY line, before there are records


@pytest.mark.parametrize("module", sorted(PYTHON))
def test_python_modules_import_only_what_is_below(module: str) -> None:
    tree = ast.parse((ROOT / "bearwrap" / f"{module}.py").read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            packages = ("bearwrap", "bearwrap.programs")
            found |= {f"{base}.{alias.name}" for alias in node.names} if base in packages else {base}
    own = {name.removeprefix("bearwrap.").replace(".", "/") for name in found if name.startswith("bearwrap")}
    own = {"programs/__init__" if name == "programs" else name for name in own}
    if "programs/*" in PYTHON[module]:
        own = {name for name in own if not name.startswith("programs/")}
    assert own <= PYTHON[module]
    assert {name for name in found if not name.startswith("bearwrap")} <= ALLOWED_OUTSIDE
