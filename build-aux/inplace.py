"""Build everything in place: the extension, the native programs, the script form, the tests' program.

Usage: inplace.py [--without-libcrypto] [--without-sodium] [--without-nettle] [--use-system-bearssl] [--debug]
                  [--form NAME]

    bearwrap/_bear.*.so         the extension
    build/bin/NAME              the programs (native; the script form if no libpython can be linked)
    build/bin-script/NAME       the script form
    build/lib/bearwrap/         the listener of `bearwrap serve`, beside native programs that are static
    build/hooks/                the same with the test hooks compiled in: bin/NAME, lib/bearwrap/

A second run that finds nothing changed takes a fraction of a second. Two runs at once wait for each other.
"""

from __future__ import annotations

import argparse
import compileall
import fcntl
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import bearssl
import cbuild
import freeze
import launcher
import native
import script

# One executable; the name it is called by selects the program.
PROGRAMS = ["tlswrapper", "tlswrapper-tcp", "tlswrapper-smtp", "s6-tlsc", "s6-tlsclient", "bearwrap"]


def programs(variant: native.Variant, folder: Path, wanted: str, package: Path = native.ROOT) -> bool:
    """Build the native programs into a folder, the listener beside it; False if no libpython can be linked."""
    builder = launcher.Launcher(variant, package)
    form = builder.choose(wanted)
    if form is None:
        return False
    first = folder / PROGRAMS[0]
    if first.is_symlink() or (first.exists() and first.read_bytes()[:2] == b"#!"):
        first.unlink()
    if builder.build(form, first):
        print(f"ld: {first.parent.name}/{first.name} ({form.name})", flush=True)
    library = folder.parent / "lib" / "bearwrap"
    if form.link == "static-pie" and builder.build_listener(library):
        print(f"ld: {library.name}/{native.listener_name(variant)}", flush=True)
    launcher.link_names(first, PROGRAMS[1:])
    return True


def everything(variant: native.Variant, wanted: str) -> None:
    """All of the above."""
    if not variant.system:
        bearssl.fetch()
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    native.extension(variant, native.ROOT / "bearwrap" / f"_bear{suffix}", sysconfig.get_paths()["include"])
    compileall.compile_dir(native.ROOT / "bearwrap", quiet=1)
    interpreter = native.python()
    script.write(native.BUILD / "bin-script", PROGRAMS, interpreter, "../..")
    if not programs(variant, native.BUILD / "bin", wanted):
        print("build: no libpython can be linked, so build/bin holds the script form", flush=True)
        script.write(native.BUILD / "bin", PROGRAMS, interpreter, "../..")
    programs(replace(variant, hooks=True), native.BUILD / "hooks" / "bin", wanted)


def main() -> int:
    """Parse the options and build under a lock."""
    parser = argparse.ArgumentParser(description="build everything in place")
    parser.add_argument("--without-libcrypto", action="store_true", help="do not use OpenSSL's libcrypto")
    parser.add_argument("--without-sodium", action="store_true", help="do not use libsodium")
    parser.add_argument("--without-nettle", action="store_true", help="do not use nettle and GMP")
    parser.add_argument("--use-system-bearssl", action="store_true", help="link the system's libbearssl")
    parser.add_argument("--debug", action="store_true", help="address and undefined-behaviour sanitizers")
    parser.add_argument("--form", choices=["auto", *(form.name for form in launcher.FORMS)], default="auto",
                        help="how the native programs embed Python")  # fmt: skip
    options = parser.parse_args()
    variant = native.Variant(
        libcrypto=not options.without_libcrypto, sodium=not options.without_sodium, nettle=not options.without_nettle,
        system=options.use_system_bearssl, debug=options.debug,
    )  # fmt: skip
    native.BUILD.mkdir(exist_ok=True)
    try:
        with (native.BUILD / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            everything(variant, options.form)
    except (cbuild.BuildError, freeze.FreezeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
