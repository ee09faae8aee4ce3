#!/usr/bin/env python3
"""Fetch BearSSL's source, check it against lock.json, and unpack it into vendor/bearssl/source/.

Usage: fetch.py [--archive PATH] [--check]

The archive is looked for in this order, and the first place that has one decides:
  1. --archive PATH, or the environment variable BEARSSL_ARCHIVE;
  2. vendor/bearssl/archive/ (an sdist carries it there; a former fetch left it there);
  3. Debian's source package, through apt-get and the package sources that this machine already uses.

Whatever the place, only an archive whose SHA-256 stands in lock.json is unpacked. Nothing of the system's is
changed, and root is not needed: apt-get works on its own state, cache and source list in a temporary folder.
Plain standard library; Python 3.11 and newer. Exit code 0 when source/ is there and matches, 1 when not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "lock.json"
SOURCE = HERE / "source"
ARCHIVES = HERE / "archive"
STAMP = ".bearwrap-stamp"
APT = Path("/etc/apt")
# The 0.6 archive unpacks to about 7 MB; the bound only keeps a wrong file from filling the disk.
MAX_UNPACKED = 64 << 20
APT_SECONDS = 300

HINT = (
    "To build without a network, give a local copy of the archive:\n"
    "    make BEARSSL_ARCHIVE=PATH      or      vendor/bearssl/fetch.py --archive PATH\n"
    "or link the system's library: make BEARSSL=system"
)


class FetchError(Exception):
    """The source cannot be had; the text says why and what to do."""


def say(text: str) -> None:
    """One line of progress, at once."""
    print(f"bearssl: {text}", flush=True)


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def unpacked_from(lock: dict) -> str:
    """SHA-256 of the archive that source/ was unpacked from; empty if it is not of the present lock."""
    try:
        digest = (SOURCE / STAMP).read_text().strip()
    except OSError:
        return ""
    return digest if digest in {entry["sha256"] for entry in lock["archives"]} else ""


def check(path: Path, lock: dict) -> str:
    """The archive's hash; raise FetchError unless it is one of the lock's."""
    try:
        have = sha256(path)
    except OSError as error:
        raise FetchError(f"{path}: {error.strerror}") from None
    if have not in {entry["sha256"] for entry in lock["archives"]}:
        wanted = "\n".join(f"    {entry['sha256']}  {entry['file']}" for entry in lock["archives"])
        found = f"  found\n    {have}\n  accepted\n{wanted}"
        raise FetchError(f"{path}: SHA-256 mismatch, the file is refused\n{found}\n{HINT}")
    return have


def unpack(archive: Path, digest: str, lock: dict) -> None:
    """Unpack the checked archive into source/, without its first folder, all or nothing.

    Only plain files and folders below the one top folder are taken: a link, a device, an absolute name or a
    `..` is an error, so nothing can be written elsewhere even if a wrong hash got into the lock.
    """
    fresh = Path(tempfile.mkdtemp(prefix="source.", dir=HERE))
    try:
        total = 0
        with tarfile.open(archive) as tar:
            for member in tar:
                parts = Path(member.name).parts
                if member.name.startswith("/") or ".." in parts or not (member.isfile() or member.isdir()):
                    raise FetchError(f"{archive}: unsafe member {member.name!r}")
                if not parts[1:] or member.isdir():
                    continue
                total += member.size
                if total > MAX_UNPACKED:
                    raise FetchError(f"{archive}: unpacks to more than {MAX_UNPACKED} bytes")
                target = fresh.joinpath(*parts[1:])
                target.parent.mkdir(parents=True, exist_ok=True)
                stream = tar.extractfile(member)
                assert stream is not None
                target.write_bytes(stream.read())
                # An old date keeps the compiler's dependency check from rebuilding after a second unpack.
                os.utime(target, (member.mtime, member.mtime))
        for name in [*lock["compiled"], *lock["pinned"], lock["licence_file"]]:
            if not (fresh / name).is_file():
                raise FetchError(f"{archive}: {name} is missing")
        for name, wanted in lock["pinned"].items():
            if sha256(fresh / name) != wanted:
                raise FetchError(f"{archive}: {name} is not the file the shim was written for")
        (fresh / STAMP).write_text(digest + "\n")
        fresh.chmod(0o755)
        if SOURCE.exists():
            shutil.rmtree(SOURCE)
        fresh.rename(SOURCE)
    except tarfile.TarError as error:
        raise FetchError(f"{archive}: {error}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def source_entries() -> list[str]:
    """This machine's package sources, turned from binary to source: deb822 stanzas.

    Reads one-line .list files (`deb [options] URI SUITE COMPONENT...`) and deb822 .sources files. A file or
    stanza that is switched off is left out.
    """
    stanzas: list[str] = []
    lists = [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*.list"))]
    for path in lists:
        if path.is_file():
            stanzas += filter(None, map(from_one_line, path.read_text(errors="replace").splitlines()))
    for path in sorted((APT / "sources.list.d").glob("*.sources")):
        stanzas += filter(None, map(from_deb822, path.read_text(errors="replace").split("\n\n")))
    return list(dict.fromkeys(stanzas))


def from_one_line(line: str) -> str | None:
    """A deb822 source stanza for one `deb` or `deb-src` line; None for anything else."""
    words = line.split("#", 1)[0].split()
    if not words or words[0] not in ("deb", "deb-src"):
        return None
    words.pop(0)
    fields = []
    if words and words[0].startswith("["):
        option = ""
        while words and not option.endswith("]"):
            option += " " + words.pop(0)
        for pair in option.strip(" []").split():
            name, _, value = pair.partition("=")
            if name in ("signed-by", "trusted", "check-valid-until"):
                fields.append(f"{name.title()}: {value}")
    if len(words) < 2:
        return None
    stanza = ["Types: deb-src", f"URIs: {words[0]}", f"Suites: {words[1]}"]
    if words[2:]:
        stanza.append("Components: " + " ".join(words[2:]))
    return "\n".join(stanza + fields) + "\n"


def from_deb822(stanza: str) -> str | None:
    """The same stanza with its type set to source; None if it is empty or switched off."""
    lines = [line for line in stanza.splitlines() if line.strip() and not line.startswith("#")]
    names = {line.split(":", 1)[0].lower(): line for line in lines if not line[0].isspace()}
    if "uris" not in names or names.get("enabled", "").lower().replace(" ", "") == "enabled:no":
        return None
    kept = ["Types: deb-src"]
    dropping = False
    for line in lines:
        if not line[0].isspace():
            # Architectures is about binaries; with it apt would look for a source index that is not there.
            dropping = line.split(":", 1)[0].lower() in ("types", "enabled", "architectures")
        if not dropping:
            kept.append(line)
    return "\n".join(kept) + "\n"


def from_apt(lock: dict) -> Path:
    """Download Debian's source archive into vendor/bearssl/archive/ and return its path."""
    if shutil.which("apt-get") is None:
        raise FetchError(f"apt-get is not here, so Debian's source package cannot be fetched.\n{HINT}")
    entries = source_entries()
    if not entries:
        raise FetchError(f"no package source is configured under {APT}.\n{HINT}")
    with tempfile.TemporaryDirectory(prefix="bearssl-apt.") as folder:
        top = Path(folder)
        for name in ("lists/partial", "cache/archives/partial", "parts", "got"):
            (top / name).mkdir(parents=True)
        (top / "parts/machine.sources").write_text("\n".join(entries))
        (top / "apt.conf").write_text(
            f'Dir::State::Lists "{top}/lists";\n'
            f'Dir::Cache "{top}/cache";\n'
            'Dir::Etc::SourceList "/dev/null";\n'
            f'Dir::Etc::SourceParts "{top}/parts";\n'
            # As root apt-get would drop to a user who cannot write into our folder.
            'APT::Sandbox::User "root";\n'
            # Only the source index is wanted, not translations and the like.
            'Acquire::Languages "none";\n'
            'Acquire::Retries "2";\n'
            'Acquire::http::Timeout "20";\n'
            'Acquire::https::Timeout "20";\n'
        )
        environment = dict(os.environ, APT_CONFIG=str(top / "apt.conf"), LC_ALL="C")
        package = lock["debian_source"]
        say("reading the index of the machine's package sources")
        run_apt(["apt-get", "-q", "update"], environment, top)
        say(f"downloading source package {package}")
        run_apt(["apt-get", "-q", "source", "--download-only", package], environment, top / "got")
        found = sorted((top / "got").glob("*.orig.tar.*"))
        found = [path for path in found if not path.name.endswith(".asc")]
        if not found:
            raise FetchError(f"apt-get gave no source archive for {package}.\n{HINT}")
        check(found[0], lock)
        ARCHIVES.mkdir(exist_ok=True)
        kept = ARCHIVES / found[0].name
        shutil.copyfile(found[0], kept)
        return kept


def run_apt(command: list[str], environment: dict[str, str], folder: Path) -> None:
    """Run one apt-get step; its output is shown only if it fails."""
    try:
        done = subprocess.run(
            command, env=environment, cwd=folder, timeout=APT_SECONDS, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )
    except subprocess.TimeoutExpired:
        raise FetchError(f"{' '.join(command)}: no end within {APT_SECONDS} s.\n{HINT}") from None
    if done.returncode != 0:
        tail = "\n".join("    " + line for line in done.stdout.splitlines()[-12:])
        failed = f"{' '.join(command)} failed ({done.returncode}); is there a network?"
        raise FetchError(f"{failed}\n{tail}\n{HINT}")


def find_archive(given: str | None, lock: dict) -> tuple[Path, str]:
    """The checked archive and its hash, from the first of the three places that has one."""
    kept = [ARCHIVES / entry["file"] for entry in lock["archives"] if (ARCHIVES / entry["file"]).is_file()]
    path = Path(given).expanduser() if given else kept[0] if kept else from_apt(lock)
    return path, check(path, lock)


def keep(archive: Path, name: str) -> None:
    """Keep a copy in vendor/bearssl/archive/, under its locked name, where an sdist takes it from."""
    ARCHIVES.mkdir(exist_ok=True)
    target = ARCHIVES / name
    if not (target.exists() and target.samefile(archive)):
        shutil.copyfile(archive, target)


def main() -> int:
    """Parse the options and bring source/ up to date."""
    parser = argparse.ArgumentParser(description="fetch, check and unpack BearSSL's source")
    parser.add_argument("--archive", metavar="PATH", default=os.environ.get("BEARSSL_ARCHIVE") or None,
                        help="take this local archive instead of fetching one")
    parser.add_argument("--check", action="store_true", help="only say whether source/ is there and whole")
    options = parser.parse_args()
    lock = json.loads(LOCK.read_text())
    try:
        if options.check:
            return 0 if verify(lock) else 1
        if unpacked_from(lock) and not options.archive:
            return 0
        archive, digest = find_archive(options.archive, lock)
        if unpacked_from(lock) == digest:
            return 0
        keep(archive, next(entry["file"] for entry in lock["archives"] if entry["sha256"] == digest))
        unpack(archive, digest, lock)
        say(f"{archive.name}: hash as locked, {len(lock['compiled'])} C files unpacked to {SOURCE.name}/")
    except FetchError as error:
        print(f"bearssl: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"bearssl: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def verify(lock: dict) -> bool:
    """Compare every file of source/ with the archive it came from."""
    digest = unpacked_from(lock)
    archives = [ARCHIVES / entry["file"] for entry in lock["archives"] if entry["sha256"] == digest]
    if not archives:
        say("source/ is not there, or is of another lock: run vendor/bearssl/fetch.py")
        return False
    check(archives[0], lock)
    bad = []
    with tarfile.open(archives[0]) as tar:
        for member in tar:
            if not member.isfile():
                continue
            stream = tar.extractfile(member)
            assert stream is not None
            path = SOURCE.joinpath(*Path(member.name).parts[1:])
            if not path.is_file() or path.read_bytes() != stream.read():
                bad.append(path.relative_to(SOURCE))
    for name in bad:
        say(f"{name}: differs from the archive")
    if not bad:
        say(f"{archives[0].name}: hash as locked; source/ is its exact content")
    return not bad


if __name__ == "__main__":
    sys.exit(main())
