"""Install the built programs, or take them away again.

Usage: install.py [--destdir DIR] [--prefix DIR] [--script] [--uninstall]

    PREFIX/bin/NAME                   the programs
    PREFIX/share/man/man1/NAME.1      their manual pages
    PREFIX/lib/systemd/system/        units that are started by nobody unless they are enabled
    PREFIX/lib/bearwrap/listener-*    what `bearwrap serve` becomes, of the same build as the programs
    PREFIX/lib/bearwrap/bearwrap/     the modules of the script form; only if the programs are that form
    PREFIX/lib/bearwrap/bench/        what `bearwrap bench` runs, its C programs compiled if that works here
    /var/lib/tlswrapper/empty         the empty directory the programs lock themselves into

DESTDIR is put before every path that is written and stands in none that is looked up later.
"""

from __future__ import annotations

import argparse
import compileall
import dataclasses
import os
import shutil
import sys
import sysconfig
from pathlib import Path

import freeze
import inplace
import native
import script

sys.path.append(str(native.ROOT / "bench"))

import prepare

JAIL = Path("/var/lib/tlswrapper/empty")
UNITS = sorted((native.ROOT / "systemd").iterdir())


def is_script(path: Path) -> bool:
    """True if a built program is the script form."""
    return path.read_bytes()[:2] == b"#!"


def copy(source: Path, target: Path, mode: int) -> None:
    """Copy one file into place in one step, so that a program in use is not disturbed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, fresh)
    fresh.chmod(mode)
    fresh.replace(target)
    print(f"install: {target}", flush=True)


def modules() -> list[Path]:
    """The files of the package that the script form needs, relative to the root of the tree."""
    found = [path.relative_to(native.ROOT) for path, _package, _tree in freeze.collect(native.ROOT).values()]
    return sorted([*found, Path("bearwrap") / f"_bear{sysconfig.get_config_var('EXT_SUFFIX')}"])


def install(destdir: Path, prefix: Path, as_script: bool) -> None:
    """Put everything below destdir."""
    first = native.BUILD / "bin" / inplace.PROGRAMS[0]
    binaries, library = under(destdir, prefix / "bin"), under(destdir, prefix / "lib" / "bearwrap")
    if as_script or is_script(first):
        binaries.mkdir(parents=True, exist_ok=True)
        script.write(binaries, inplace.PROGRAMS, native.python(), "../lib/bearwrap")
        for path in modules():
            copy(native.ROOT / path, library / path, 0o644)
        compileall.compile_dir(library, quiet=1, stripdir=str(destdir) if destdir != Path("/") else None)
    else:
        copy(first, binaries / first.name, 0o755)
        for name in inplace.PROGRAMS[1:]:
            other = binaries / name
            other.unlink(missing_ok=True)
            other.symlink_to(first.name)
            print(f"install: {other}", flush=True)
        install_listener(library)
    install_bench(library / "bench")
    for page in sorted((native.ROOT / "man").glob("*.1")):
        copy(page, under(destdir, prefix / "share" / "man" / "man1" / page.name), 0o644)
    for unit in UNITS:
        target = under(destdir, prefix / "lib" / "systemd" / "system" / unit.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(unit_text(unit, prefix))
        target.chmod(0o644)
        print(f"install: {target}", flush=True)
    jail = under(destdir, JAIL)
    jail.mkdir(parents=True, exist_ok=True)
    jail.chmod(0o755)
    print(f"install: {jail}", flush=True)


def install_listener(library: Path) -> None:
    """The listener of this build, then away with those of builds before it."""
    built = {path.name: path for path in (native.BUILD / "lib" / "bearwrap").glob("listener-*")}
    for name, path in built.items():
        copy(path, library / name, 0o755)
    for old in library.glob("listener-*"):
        if old.name not in built:
            old.unlink()


def install_bench(folder: Path) -> None:
    """The benchmarks; what cannot be compiled here is compiled by each run."""
    for path in sorted(path for path in prepare.HERE.iterdir() if path.suffix in (".py", ".c", ".h")):
        copy(path, folder / path.name, 0o644)
    try:
        tools = prepare.build_tools(native.BUILD / "bench")
    except prepare.BenchError as error:
        print(f"install: benchmarks: {str(error).splitlines()[0]}; left to the first run", flush=True)
        return
    for tool in map(Path, dataclasses.asdict(tools).values()):
        copy(tool, folder / prepare.INSTALLED.name / tool.name, 0o755)


def unit_text(unit: Path, prefix: Path) -> str:
    """A unit that names the programs where they will be; systemd takes quoted words, with its specifiers doubled."""
    where = str(prefix / "bin").replace("%", "%%").replace(" ", r"\s")
    return unit.read_text().replace("@BINDIR@", where)


def under(destdir: Path, path: Path) -> Path:
    """An absolute path below destdir."""
    return destdir / path.relative_to("/")


def uninstall(destdir: Path, prefix: Path) -> None:
    """Take away what install put there; the jail directory only if nothing is in it."""
    pages = [prefix / "share" / "man" / "man1" / page.name for page in (native.ROOT / "man").glob("*.1")]
    units = [prefix / "lib" / "systemd" / "system" / unit.name for unit in UNITS]
    for path in [*(prefix / "bin" / name for name in inplace.PROGRAMS), *pages, *units]:
        target = under(destdir, path)
        if target.is_symlink() or target.exists():
            target.unlink()
            print(f"uninstall: {target}", flush=True)
    library = under(destdir, prefix / "lib" / "bearwrap")
    if library.is_dir():
        shutil.rmtree(library)
        print(f"uninstall: {library}", flush=True)
    # The original's package uses the same directory; ours is left if that package is there.
    if not Path("/usr/bin/tlswrapper").exists() or destdir != Path("/"):
        for path in (under(destdir, JAIL), under(destdir, JAIL.parent)):
            try:
                os.rmdir(path)
            except OSError:
                break


def main() -> int:
    """Parse the options and do one of the two."""
    parser = argparse.ArgumentParser(description="install or uninstall the built programs")
    parser.add_argument("--destdir", type=Path, default=Path("/"))
    parser.add_argument("--prefix", type=Path, default=Path("/usr/local"))
    parser.add_argument("--script", action="store_true", help="install the script form")
    parser.add_argument("--uninstall", action="store_true")
    options = parser.parse_args()
    if not options.prefix.is_absolute():
        print("install: PREFIX must be an absolute path", file=sys.stderr)
        return 1
    destdir = Path(os.path.abspath(options.destdir or "/"))
    try:
        if options.uninstall:
            uninstall(destdir, options.prefix)
        else:
            install(destdir, options.prefix, options.script)
    except OSError as error:
        print(f"install: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
