"""BearSSL as this build sees it: fetched, compiled into a static library, with the flags that use it.

Run as a program it prints `cflags` or `library`, for tools that bind BearSSL themselves:
    python build-aux/bearssl.py cflags | library
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cbuild
import suitetable

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "vendor" / "bearssl"
SOURCE = VENDOR / "source"
WEAK = ROOT / "src" / "weak.h"
# Compiled from a copy below build/ whose table of suites is in another order: the two handshakes.
REORDERED = ("src/ssl/ssl_hs_server.c", "src/ssl/ssl_hs_client.c")
COPIES = ROOT / "build" / "reordered"

# BearSSL does its own bounds work and is constant-time by construction; -O2 is what its own build uses.
# Sections let a link drop what nobody reaches, and order.py put together what a connection runs.
FLAGS = ["-O2", "-fPIC", "-W", "-Wall", "-ffunction-sections", "-fdata-sections"]


def lock() -> dict:
    """The content of lock.json."""
    return json.loads((VENDOR / "lock.json").read_text())


def fetch() -> None:
    """Make sure the source and the copies are there; raises BuildError, after fetch.py said why, if they cannot be."""
    if subprocess.run([sys.executable, str(VENDOR / "fetch.py")], stdout=sys.stderr, check=False).returncode:
        raise cbuild.BuildError("BearSSL's source is not there")
    places = suitetable.preference((ROOT / "src" / "tables.h").read_text())
    for name in REORDERED:
        cbuild.write_if_changed(text_of(name), suitetable.reorder((SOURCE / name).read_text(), places))


def text_of(name: str) -> Path:
    """What is compiled for a file of BearSSL's: it, or its copy."""
    return (COPIES if name in REORDERED else SOURCE) / name


def version() -> str:
    """BearSSL's version."""
    return lock()["version"]


def includes() -> list[str]:
    """Preprocessor flags: public headers, src/ for inner.h, the folder of what src/hs_server.c includes."""
    folders = [SOURCE / name for name in lock()["include_dirs"]]
    folders += [text_of(name).parent for name in lock()["included_by_shim"]]
    return [f"-I{folder}" for folder in folders]


def library(folder: Path, flags: list[str]) -> Path:
    """Compile the locked list of files into folder/libbearssl.a with FLAGS and `flags`; returns its path."""
    flags = [f'-DBEARWRAP_BEARSSL_VERSION="{version()}"', *flags]  # so that another version is compiled anew
    pairs = []
    for name in lock()["compiled"]:
        # BearSSL's file names are unique over all its folders; a flat folder keeps `ar` members unique too.
        pairs.append((text_of(name), folder / (Path(name).stem + ".o")))
    count = cbuild.compile_all(pairs, [*FLAGS, "-include", str(WEAK), *flags, *includes()])
    if count:
        print(f"bearssl: compiled {count} files", file=sys.stderr, flush=True)
    target = folder / "libbearssl.a"
    cbuild.archive(target, [pair[1] for pair in pairs])
    return target


def main() -> int:
    """Print one fact about the build."""
    if sys.argv[1:] == ["cflags"]:
        print(" ".join(includes()))
    elif sys.argv[1:] == ["library"]:
        fetch()
        print(library(ROOT / "build" / "bearssl", []))
    else:
        print("usage: bearssl.py cflags | library", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
