"""What a start loads is pinned: each module costs every connection."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.harness import ROOT

OURS = {
    "bearwrap",
    "bearwrap._bear",
    "bearwrap._version",
    "bearwrap.logs",
    "bearwrap.options",
    "bearwrap.policy",
    "bearwrap.programs",
    "bearwrap.programs.tlswrapper",
}
# what CPython itself loads before our first line, with -I -S
INTERPRETER = re.compile(
    r"__future__|_frozen_importlib.*|_imp|_thread|_warnings|_weakref|winreg|_io|marshal|posix|time|zipimport|_codecs|codecs"
    r"|encodings(\..*)?|_signal|_abc|abc|io|_stat|stat|builtins|sys"
)


def loaded(*arguments: str, program: str = "tlswrapper") -> set[str]:
    """Modules that the script form loads for these arguments."""
    command = [sys.executable, "-I", "-S", "-B", "-X", "importtime", ROOT / "build/bin-script" / program, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return set(re.findall(r"^import time:.*\| *([\w.]+)$", done.stderr, re.M)) - {"package"}


# what a start that ends in a refusal loads besides
REFUSAL = {"bearwrap.errors", "bearwrap.programs.refusal"}
# the other programs refuse the words they are given here
COMMON = OURS - {"bearwrap.policy", "bearwrap.programs.tlswrapper"} | REFUSAL


def test_the_modules_of_a_start() -> None:
    modules = loaded("-f", __file__, "true")
    ours = {name for name in modules if name.startswith("bearwrap")}
    assert ours == OURS
    assert not {name for name in modules - ours if not INTERPRETER.fullmatch(name)}
    assert {name for name in loaded("-f", "/nonexistent", "true") if name.startswith("bearwrap")} == OURS | REFUSAL


def test_the_modules_of_tlswrapper_tcp() -> None:
    modules = {name for name in loaded("localhost", program="tlswrapper-tcp") if name.startswith("bearwrap")}
    assert modules == COMMON | {"bearwrap.programs.tlswrapper_tcp"}


SMTP = {f"bearwrap.{name}" for name in ("greylist", "smtp", "smtpsession", "programs.tlswrapper_smtp")}


def test_the_modules_of_tlswrapper_smtp() -> None:
    modules = {name for name in loaded("-t", "0", "x", program="tlswrapper-smtp") if name.startswith("bearwrap")}
    assert modules == COMMON | SMTP


S6 = {f"bearwrap.{name}" for name in ("s6logs", "s6options", "programs.s6_tlsc")}


def test_the_modules_of_s6_tlsc() -> None:
    modules = {name for name in loaded("-x", "true", program="s6-tlsc") if name.startswith("bearwrap")}
    assert modules == COMMON | S6


S6_CLIENT = {"bearwrap.tcpconnect", "bearwrap.programs.s6_tlsclient"}


def test_the_modules_of_s6_tlsclient() -> None:
    modules = {name for name in loaded("-x", "true", program="s6-tlsclient") if name.startswith("bearwrap")}
    assert modules == COMMON | S6 | S6_CLIENT


def test_the_native_program_has_exactly_our_modules_frozen() -> None:
    """The same list, and the other programs' modules; nothing else can be imported, as there is no path."""
    sys.path.insert(0, str(ROOT / "build-aux"))
    try:
        import freeze
    finally:
        sys.path.pop(0)
    wanted = OURS - {"bearwrap._bear"}
    frozen = set(freeze.collect(ROOT))
    assert frozen >= wanted
    others = {f"bearwrap.programs.{name}" for name in ("bearwrap", "bench", "serve", "tlswrapper_tcp")}
    assert frozen - wanted <= others | REFUSAL | SMTP | S6 | S6_CLIENT
