"""The settings cache: a command line that was served before starts no interpreter; what is not sure is a miss."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import OURS, Program, Wrapped, needs_root, read_exactly
from tests.isolation.connection import hooked

pytestmark = needs_root
HIT = "settings from the cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def certificate(certs: Certs, tmp_path: Path) -> Path:
    return Path(shutil.copy(certs.server("p256"), tmp_path / "server.pem"))


def served(folder: Path, *options: object, program: Program | None = None, prog: tuple[str, ...] = ("cat",)) -> bool:
    """Serve a connection; whether its settings came from the cache."""
    words = ["-vvv", *map(str, options)]
    with Wrapped(words, prog, program=program or hooked(), extra_env={"BEARWRAP_TEST_CACHE": str(folder)}) as wrapped:
        with wrapped.tls() as tls:
            tls.sendall(b"hello")
            assert read_exactly(tls, 5) == b"hello"
        assert wrapped.wait() == 0
        return HIT in wrapped.stderr


def one(folder: Path) -> Path:
    """The one file of the cache."""
    (file,) = folder.iterdir()
    return file


def test_the_second_start_is_a_hit(folder: Path, certificate: Path) -> None:
    assert [served(folder, "-f", certificate) for _ in range(3)] == [False, True, True]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert one(folder).stat().st_mode & 0o777 == 0o600


def test_all_settings_are_the_same_again(folder: Path, certificate: Path, certs: Certs, tmp_path: Path) -> None:
    """What the log, prog and the client see of a connection with every kind of option."""
    keys = tmp_path / "keys"
    keys.write_bytes(bytes(range(80)))
    options = ["-f", certificate, "-d", certificate.parent, "-c", "AES_256_GCM_SHA384", "-e", "secp384r1", "-M",
               "tls12", "-S", "-t", "33", "-T", "12", "-J", tmp_path / "empty", "--alpn", "h2,http/1.1",
               "--ticket-keys", keys]  # fmt: skip
    (tmp_path / "empty").mkdir()
    seen = []
    for _ in range(2):
        words = ["-vv", *map(str, options)]
        prog = ["sh", "-c", "head -c 5 >/dev/null; env | grep ^SSL | sort"]
        with Wrapped(words, prog, program=hooked(), extra_env={"BEARWRAP_TEST_CACHE": str(folder)}) as wrapped:
            with wrapped.tls() as tls:
                tls.sendall(b"hello")
                seen.append(b"".join(iter(lambda: tls.recv(4096), b"")))
            assert wrapped.wait() == 0
    assert seen[0] == seen[1] and b"SSL_CIPHER=ECDHE-ECDSA-AES256-GCM-SHA384" in seen[0]


def test_an_inherited_identity(folder: Path, certificate: Path) -> None:
    """The connection's name is this start's, not that of the start that was kept."""
    for given in ("first", "second", "x" * 100):
        environment = {"BEARWRAP_TEST_CACHE": str(folder), "LOG_ID": given}
        prog = ("sh", "-c", 'echo "$LOG_ID"')
        with Wrapped(["-v", "-f", certificate], prog, program=hooked(), extra_env=environment) as wrapped:
            with wrapped.tls() as tls:
                used = given if len(given) < 68 else "x" * 64 + "..."
                assert read_exactly(tls, len(used) + 1).decode() == used + "\n"
            assert wrapped.wait() == 0
            assert f"[{used}]" in wrapped.stderr


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def other_words(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"server.pem", b"servex.pem"))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "cut": cut,
    "longer": longer,
    "of other words": other_words,
    "a pipe": pipe,
    "a link": link,
    "writable by others": lambda file: file.chmod(0o606),
    "writable by its group": lambda file: file.chmod(0o660),
    "another's": lambda file: os.chown(file, 65534, 0),
    "another's folder": lambda file: os.chown(file.parent, 65534, 0),
    "a folder that others may write": lambda file: file.parent.chmod(0o777),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_is_not_sure_is_a_miss(folder: Path, certificate: Path, damage: Callable[[Path], object]) -> None:
    assert [served(folder, "-f", certificate) for _ in range(2)] == [False, True]
    damage(one(folder))
    assert not served(folder, "-f", certificate)


def test_other_words_are_a_miss(folder: Path, certificate: Path) -> None:
    """Each word counts, prog's too, and where one ends."""
    lines = [
        (("-f", certificate), ("cat",)), (("-f", certificate, "-t", "5"), ("cat",)),
        (("-f", certificate), ("cat", "-")), (("-f", certificate, "-t5"), ("cat",)), (("-vf", certificate), ("cat",)),
    ]  # fmt: skip
    for hit in (False, True):
        assert [served(folder, *options, prog=prog) for options, prog in lines] == [hit] * len(lines)


def test_another_program_is_a_miss(folder: Path, certificate: Path, tmp_path: Path) -> None:
    """A new build lies in another file; the words, argv[0] among them, are the same."""
    copy = Program("copy", Path(shutil.copy(hooked().path, tmp_path / "tlswrapper")), True)
    assert [served(folder, "-f", certificate, program=copy) for _ in range(2)] == [False, True]
    copy.path.unlink()
    shutil.copy(hooked().path, copy.path)
    assert [served(folder, "-f", certificate, program=copy) for _ in range(2)] == [False, True]


def test_a_file_that_has_gone_is_said_as_ever(folder: Path, certificate: Path) -> None:
    assert [served(folder, "-f", certificate) for _ in range(2)] == [False, True]
    certificate.unlink()
    environment = {"BEARWRAP_TEST_CACHE": str(folder)}
    with Wrapped(["-f", certificate], ["cat"], program=hooked(), extra_env=environment) as wrapped:
        assert wrapped.wait() == 100
        assert f"unable to stat certfile '{certificate}' (file does not exist)" in wrapped.stderr


def test_what_is_said_at_the_start_is_said_each_time(folder: Path, certificate: Path) -> None:
    options = ("-f", certificate, "-c", "AES_128_GCM_SHA256", "-c", "AES_128_GCM_SHA256")
    assert not any(served(folder, *options) for _ in range(2))
    assert not folder.exists() or not list(folder.iterdir())


def test_no_folder_no_cache(certificate: Path) -> None:
    """A /run that cannot be written, or a file in its place: every start is a first one."""
    for place in ("/proc/nowhere", certificate):
        assert not any(served(Path(place), "-f", certificate) for _ in range(2))


def test_the_installed_program_heeds_no_variable(folder: Path, certificate: Path) -> None:
    assert not served(folder, "-f", certificate, program=OURS)
    assert not folder.exists()
