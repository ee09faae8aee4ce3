"""The order of a static program's code and constants: what a connection uses lies together, for few page faults.

order.list has the names, by the processes that run them; order.py writes it, and here it becomes a script for the
linker. A name is that of a function which was compiled into a section of its own, or ARCHIVE:MEMBER without the .o; one
that does not exist here is passed over.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import cbuild
import native

LIST = Path(__file__).with_name("order.list")
# As they lie in memory. What several processes run comes before net's and behind prog's, which is small.
GROUPS = ("prog", "shared", "net", "key", "variants")
ABOUT = """\
# What a connection under `bearwrap serve` runs, by process, as build-aux/order.py found it; `make order` writes it.
# `variants`: what other processors take in place of functions above.
"""
WINDOW = 65536  # bytes: what the kernel maps around a page fault, and where it begins
BEARSSL = "libbearssl.a"  # has a section for each function, as our own objects do
# Constants are of few pages there; the digits are printf's, whose code the list has.
CONSTANTS = ("_bear.o", "hs_server.o", "curves.o", "rsa.o", "chapol.o", f"{BEARSSL}:*", "libc.a:itoa-digits.o")
# Left where it is: most of it is a table of 148 KB, which would part the rest.
APART = ("libcrypto.a:libcrypto-lib-ecp_nistz256-x86_64",)
INSTRUCTION_SETS = ("evex", "avx2", "avx", "avx512", "sse2")  # in names of the C library's members


def name(section: str, origin: str) -> str:
    """The list's name of a section of code in the linker's map; `origin`: PATH/OBJECT or PATH/ARCHIVE(MEMBER)."""
    archive, _, member = Path(origin).name.rstrip(")").partition("(")
    if member and archive != BEARSSL:
        return f"{archive}:{member.removesuffix('.o')}"
    return re.sub(r"\.(constprop|isra|part)\.\d+", "", section.removeprefix(".text").removeprefix("."))


def variants(names: Iterable[str], existing: set[str]) -> set[str]:
    """Members of the C library that do for another processor what some of `names` do for this one."""
    taken = set(names)
    pairs = [(here, there) for here in INSTRUCTION_SETS for there in INSTRUCTION_SETS]
    return (
        {re.sub(rf"-{here}\b", f"-{there}", one) for one in taken for here, there in pairs} & existing
    ) - taken


def write(users: Mapping[str, set[str]], existing: set[str]) -> None:
    """Write the list: `users` has the processes that run what a name stands for, `existing` all names there are."""
    groups: dict[str, set[str]] = {group: set() for group in GROUPS}
    for one, processes in users.items():
        groups[min(processes) if len(processes) == 1 else "shared"].add(one)
    groups["variants"] = variants(users, existing)
    parts = ["\n".join([f"\n[{group}]", *sorted(names)]) for group, names in groups.items()]
    LIST.write_text(ABOUT + "\n".join(parts) + "\n")


def read() -> dict[str, list[str]]:
    """The list: names by group, in order."""
    groups: dict[str, list[str]] = {}
    for line in LIST.read_text().splitlines():
        if line.startswith("["):
            names = groups.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            names.append(line)
    return groups


def code(one: str) -> str:
    """Where the code of a name is, as the linker says it; a compiler's copies of a function count as that function."""
    if ":" in one:
        return f"*{one}.o(.text .text.*)"
    return f"*(.text.{one} .text.{one}.[cip]*.[0-9]*)"


def output(section: str, begin: str, patterns: Iterable[str], place: str) -> str:
    """A section that takes what would go into `section`, and lies beside it."""
    lines = "".join(f"    {pattern}\n" for pattern in patterns)
    return f"SECTIONS\n{{\n  {section}.connection {begin} :\n  {{\n{lines}  }}\n}}\nINSERT {place} {section};\n"


def script() -> str:
    """The linker script; it adds to the linker's own.

    The code is the first of its segment but for the .plt, which all processes use. The constants cannot be the first of
    theirs: what precedes .rodata in the linker's script belongs to the segment of the code.
    """
    names = [one for group in read().values() for one in group]
    members = [f"{one}.o" for one in names if ":" in one]
    constants = [f"*{one}(.rodata .rodata.*)" for one in (*CONSTANTS, *members)]
    text = output(".text", "", map(code, names), "BEFORE")
    return text + output(".rodata", f"ALIGN({WINDOW})", constants, "AFTER")


def map_file(variant: native.Variant) -> Path:
    """Where the linker tells what it took for the listener and where it put it."""
    return variant.folder / "listener" / "map"


@functools.cache
def order() -> tuple[list[str], list[Path]]:
    """(link arguments, the files among them that are built here); none, and a word, where the linker refuses them."""
    path = native.BUILD / "obj" / "order.ld"
    cbuild.write_if_changed(path, script())
    arguments = [f"-Wl,-T,{path}", f"-Wl,-z,max-page-size={WINDOW}"]
    if cbuild.accepts(*arguments):
        return arguments, [path]
    print("layout: this linker takes no order of functions, so a connection has more page faults", flush=True)
    return [], []
