"""The one description of how the compiled half is built: its sources, flags and libraries.

setup.py makes the extension of it, launcher.py the programs. A `Variant` names one way to compile; each has
its own folder under build/, so that switching between them rebuilds nothing twice.
"""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import bearssl
import cbuild

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
BUILD = ROOT / "build"
NOTES = BUILD / "obj" / "links"
LIBCRYPTO = ["libcrypto.c", "chapol.c", "sha256.c"]

SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]


@dataclass(frozen=True)
class Variant:
    """One way to compile. `hooks`: the test hooks are compiled in. `system`: link the system's libbearssl."""

    libcrypto: bool = True
    sodium: bool = True
    nettle: bool = True
    system: bool = False
    debug: bool = False
    hooks: bool = False

    @property
    def folder(self) -> Path:
        """Where its objects live."""
        names = [name for name in ("system", "debug", "hooks") if getattr(self, name)]
        names += [f"no{name}" for name in ("libcrypto", "sodium", "nettle") if not getattr(self, name)]
        return BUILD / "obj" / ("-".join(names) or "release")


@functools.cache
def hardening() -> tuple[list[str], list[str]]:
    """Compile and link flags that harden, as far as this compiler knows them."""
    wanted = ["-fstack-protector-strong", "-fcf-protection", "-fstack-clash-protection"]
    cflags = [flag for flag in wanted if cbuild.accepts(flag)]
    return cflags, ["-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack"]


def cflags(variant: Variant) -> list[str]:
    """Flags for our own C and for Cython's output."""
    flags = ["-std=gnu11", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing", "-fwrapv", "-g", "-Wall",
             *hardening()[0]]
    if variant.debug:
        flags += ["-O1", *SANITIZE]
    else:
        # Sections let the launcher's link drop what no program reaches.
        flags += ["-O2", "-DNDEBUG", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", "-ffunction-sections",
                  "-fdata-sections"]
        # A fork copies the pages of the stack that its two sides write: no frame holds the buffers of what it calls.
        flags += ["-fconserve-stack"] if cbuild.accepts("-fconserve-stack") else []
    if variant.system:
        # Debian keeps the headers in a folder of their own.
        flags += ["-DBEARWRAP_SYSTEM_BEARSSL=1", "-I/usr/include/bearssl"]
    else:
        flags += [f'-DBEARWRAP_BEARSSL_VERSION="{bearssl.version()}"', *bearssl.includes()]
    if variant.hooks:
        flags.append("-DBEARWRAP_TEST_HOOKS=1")
    if use_libcrypto(variant):
        flags.append("-DBEARWRAP_LIBCRYPTO=1")
    if use_sodium(variant):
        flags.append("-DBEARWRAP_SODIUM=1")
        if sodium_base():
            flags.append("-DBEARWRAP_X25519BASE=1")
    if use_nettle(variant):
        flags.append("-DBEARWRAP_NETTLE=1")
    if use_p256(variant):
        flags.append("-DBEARWRAP_P256=1")
    return flags


@functools.cache
def libcrypto_archive() -> str:
    """Path of OpenSSL's static libcrypto if what we take from it is there and does what it must, else the empty
    string."""
    found = cbuild.file_name("libcrypto.a")
    ours = [str(SRC / name) for name in LIBCRYPTO]
    return found if found and cbuild.succeeds("-O2", "-DBEARWRAP_PROBE", *ours, found) else ""


@functools.cache
def libcrypto_p256() -> bool:
    """True if P-256's arithmetic in the static libcrypto is there and does what it must."""
    ours = [str(SRC / name) for name in [*LIBCRYPTO, "p256.c"]]
    return cbuild.succeeds("-O2", "-DBEARWRAP_PROBE", "-DBEARWRAP_P256", *ours, libcrypto_archive())


def use_libcrypto(variant: Variant) -> bool:
    """True if this variant is built with libcrypto's primitives: wanted, and its static library is here."""
    return variant.libcrypto and bool(libcrypto_archive())


@functools.cache
def sodium_archive() -> str:
    """Path of the static libsodium if the compiler finds it and its header, else the empty string."""
    found = cbuild.file_name("libsodium.a")
    return found if found and cbuild.accepts("-include", "sodium.h") else ""


def use_sodium(variant: Variant) -> bool:
    """True if this variant is built with libsodium's primitives: wanted, and its static library is here."""
    return variant.sodium and bool(sodium_archive())


@functools.cache
def sodium_base() -> bool:
    """True if the static libsodium has the inner function of x25519base.h, and that does what it must."""
    probe = ["-x", "c", str(SRC / "x25519base.h"), "-x", "none", sodium_archive()]
    return cbuild.succeeds("-O2", "-DBEARWRAP_PROBE", *probe)


@functools.cache
def nettle_archives() -> list[str]:
    """Paths of nettle's static public-key library and GMP's if they are here and fit, else nothing."""
    found = [cbuild.file_name(name) for name in ("libhogweed.a", "libgmp.a")]
    return found if all(found) and cbuild.accepts("-include", str(SRC / "nettle.h"), *found) else []


def use_nettle(variant: Variant) -> bool:
    """True if this variant is built with nettle's curves and RSA: wanted, and its static libraries are here."""
    return variant.nettle and bool(nettle_archives())


def use_p256(variant: Variant) -> bool:
    """True if this variant takes P-256's base point from libcrypto; the rest of the curve is nettle's."""
    return use_libcrypto(variant) and use_nettle(variant) and libcrypto_p256()


def sources(variant: Variant) -> list[Path]:
    """Our own hand-written C. The handshake shim needs BearSSL's inner.h, so not with the system library."""
    names = [] if variant.system else ["hs_server.c"]
    if use_libcrypto(variant):
        # The system's BearSSL keeps its own rounds.
        names += [name for name in LIBCRYPTO if not (variant.system and name == "sha256.c")]
    if use_nettle(variant):
        names += ["curves.c", "rsa.c"]
    if use_p256(variant):
        names.append("p256.c")
    return [SRC / name for name in names]


# In src/_bear.pyx: what follows is for tests, and costs a program's start.
TESTS_ONLY = "# what tests see besides"


def cythonize(program: bool) -> Path:
    """Translate src/_bear.pyx to C if it or anything it may include changed; returns the C file.

    program: without what only tests see.
    """
    folder = BUILD / "cython" / ("program" if program else "extension")
    target = folder / "_bear.c"
    pyx = SRC / "_bear.pyx"
    newest = max(path.stat().st_mtime_ns for path in [pyx, *SRC.glob("*.pxi"), *SRC.glob("*.pxd")])
    if target.exists() and target.stat().st_mtime_ns >= newest:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    began = time.time_ns()
    text = pyx.read_text()
    copy = folder / "_bear.pyx"
    copy.write_text(text.partition(TESTS_ONLY)[0] if program else text)
    print(f"cython: src/_bear.pyx ({folder.name})", flush=True)
    command = [sys.executable, "-m", "cython", "-3", "-I", "src", "--module-name", "bearwrap._bear"]
    done = subprocess.run([*command, "-o", str(target), str(copy)], check=False, cwd=ROOT)
    if done.returncode:
        target.unlink(missing_ok=True)
        raise cbuild.BuildError("cython failed")
    # A part that was edited meanwhile counts as newer.
    os.utime(target, ns=(began, began))
    return target


def listener_name(variant: Variant) -> str:
    """File name of the listener's executable, another one for each build, so that a program runs that of its own."""
    used = [use(variant) for use in (use_libcrypto, use_sodium, use_nettle, use_p256)]
    built = f"{variant} {used} {bearssl.version()}"
    state = hashlib.sha256(built.encode())
    for path in sorted(path for path in SRC.iterdir() if path.suffix in (".c", ".h", ".pxd", ".pxi", ".pyx")):
        state.update(path.read_bytes())
    return f"listener-{state.hexdigest()[:12]}"


def objects(variant: Variant, python_include: str, program: bool = False) -> list[Path]:
    """Compile our half, for the extension or for a program; returns its objects."""
    compiled = cythonize(program)
    pairs = [(compiled, variant.folder / compiled.parent.name / "_bear.o")]
    pairs += [(path, variant.folder / (path.stem + ".o")) for path in sources(variant)]
    flags = [*cflags(variant), f"-I{python_include}", f"-I{SRC}"]
    # What Cython writes is not ours to tidy.
    cython_flags = [*flags, f'-DBEARWRAP_LISTENER="{listener_name(variant)}"', "-Wno-unused-function",
                    "-Wno-unused-variable", "-Wno-maybe-uninitialized", "-Wno-format-truncation"]
    for path, target in pairs:
        if cbuild.compile_one(path, target, cython_flags if path.stem == "_bear" else flags):
            print(f"cc: {path.name} ({target.parent.name}, {variant.folder.name})", flush=True)
    return [target for _path, target in pairs]


def libraries(variant: Variant) -> tuple[list[str], list[Path]]:
    """(link arguments, the files among them that are built here)."""
    arguments: list[str] = []
    inputs: list[Path] = []
    if variant.system:
        arguments.append("-lbearssl")
    else:
        folder = BUILD / ("bearssl-debug" if variant.debug else "bearssl")
        inputs.append(bearssl.library(folder, ["-g", *SANITIZE] if variant.debug else []))
        arguments.append(str(inputs[0]))
    if use_libcrypto(variant):
        arguments.append(libcrypto_archive())
    if use_sodium(variant):
        arguments.append(sodium_archive())
    if use_nettle(variant):
        arguments += nettle_archives()
    return arguments, inputs


def link_flags(variant: Variant) -> list[str]:
    """Flags common to the shared object and the programs."""
    return [*hardening()[1], "-Wl,--gc-sections", *(SANITIZE if variant.debug else [])]


def extension(variant: Variant, target: Path, python_include: str) -> None:
    """Build the shared object `target`."""
    if not variant.system:
        bearssl.fetch()
    ours = objects(variant, python_include)
    if use_nettle(variant):
        ours.append(variant.folder / "stderr.o")
        cbuild.compile_one(SRC / "stderr.c", ours[-1], cflags(variant))
    arguments, inputs = libraries(variant)
    # libsodium.a and the like are not position-independent code; they link into a shared object because none of their
    # symbols is exported from it, which also keeps another copy of them in the same process apart from ours.
    command = ["-shared", *link_flags(variant), "-Wl,--exclude-libs,ALL", *map(str, ours), *arguments]
    if cbuild.link(target, command, [*ours, *inputs], NOTES):
        print(f"ld: {target.name}", flush=True)


def python() -> str:
    """The interpreter that the build stands on, not its virtual environment: absolute, links followed."""
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
