"""The native programs and their script form: what they consult, how they fail, how they are linked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.building.tools import build_module, write_tree
from tests.harness import BIN, ROOT, needs_root

launcher = build_module("launcher")
native = build_module("native")

SCRIPTS = ROOT / "build" / "bin-script"
FORMS = [pytest.param(BIN, id="native"), pytest.param(SCRIPTS, id="script")]
NAMES = ["tlswrapper", "bearwrap"]


def run(*command: str | Path, **more: object) -> subprocess.CompletedProcess[str]:
    """Run to the end and keep what it said."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **more)


def is_native() -> bool:
    """False where no libpython could be linked, so that build/bin holds the script form."""
    path = BIN / "tlswrapper"
    return path.exists() and path.read_bytes()[:4] == b"\x7fELF"


needs_native = pytest.mark.skipif(not is_native(), reason="no libpython to link here: no native programs")


@pytest.mark.parametrize("folder", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_version(folder: Path, name: str) -> None:
    """Both forms of each program run and say the same."""
    done = run(folder / name, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run(SCRIPTS / name, "--version").stdout != ""


@pytest.mark.parametrize("folder", FORMS)
def test_nothing_of_the_surroundings_is_consulted(folder: Path, tmp_path: Path) -> None:
    """Neither the current directory nor a PYTHON* variable brings in a module or changes the interpreter."""
    trap = "raise SystemExit(77)\n"
    names = ["bearwrap/__init__", "posix", "sys", "encodings/__init__", "site", "sitecustomize"]
    write_tree(tmp_path, {f"{name}.py": trap for name in names})
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path), "PYTHONHOME": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "site.py"),
        "PYTHONINSPECT": "1", "PYTHONVERBOSE": "1", "PYTHONDEVMODE": "1", "PYTHONWARNINGS": "error",
        "PYTHONBREAKPOINT": "posix.abort", "PYTHONMALLOC": "debug", "PYTHONPROFILEIMPORTTIME": "1",
    }  # fmt: skip
    done = run(folder / "tlswrapper", "--version", cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run(folder / "tlswrapper", "--version").stdout


@pytest.mark.parametrize("folder", FORMS)
def test_empty_environment_and_odd_locale(folder: Path) -> None:
    """No variable is needed, and a locale that is not there disturbs nothing."""
    for environment in ({}, {"LC_ALL": "xx_YY.nonsense"}, {"LC_ALL": "C"}):
        done = run(folder / "tlswrapper", "--version", env=environment)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("folder", FORMS)
def test_called_through_links_and_path(folder: Path, tmp_path: Path) -> None:
    """A symbolic link elsewhere, a relative name and a search along PATH: each finds the modules."""
    (tmp_path / "tlswrapper").symlink_to(folder / "tlswrapper")
    wanted = run(folder / "tlswrapper", "--version").stdout
    assert run(tmp_path / "tlswrapper", "--version").stdout == wanted
    assert run("./tlswrapper", "--version", cwd=tmp_path).stdout == wanted
    assert run("env", "tlswrapper", "--version", env={"PATH": f"{tmp_path}:/usr/bin:/bin"}).stdout == wanted


@needs_native
def test_native_program_stands_alone(tmp_path: Path) -> None:
    """A copy without the tree runs the same: nothing is read from beside it."""
    copy = shutil.copy(BIN / "tlswrapper", tmp_path / "tlswrapper")
    assert run(copy, "--version").stdout == run(BIN / "tlswrapper", "--version").stdout


@needs_native
def test_hardening() -> None:
    """No executable stack, no memory both writable and executable; position-independent if it can be."""
    text = run("readelf", "-hldW", BIN / "tlswrapper").stdout
    assert "GNU_RELRO" in text
    assert not any(line.split()[-2] == "RWE" for line in text.splitlines() if "GNU_STACK" in line)
    assert not any(" RWE " in line for line in text.splitlines() if "LOAD" in line)
    form = (native.Variant().folder / "form").read_text().split()[-1]
    if not form.startswith("no-pie"):
        assert "DYN (" in text


@pytest.fixture(scope="module")
def builder() -> object:
    """The build of the release programs."""
    if not launcher.libpython("static-pie") and not launcher.libpython("shared"):
        pytest.skip("no libpython to link here")
    return launcher.Launcher(native.Variant())


def build_entry(builder: object, tmp_path: Path, text: str, name: str) -> Path:
    """A native program that runs `text` in the place of bearwrap.programs; its main() is called."""
    entry = tmp_path / f"{name}.py"
    entry.write_text(text)
    form = builder.choose("auto")
    builder.build(form, tmp_path / "trial", entry)
    return tmp_path / "trial"


ENDS = """
import posix
class Own(Exception):
    def __str__(self):
        raise RuntimeError("no text")
def main(argv, executable):
    what = argv[1].decode()
    if what.isdigit():
        return int(what)
    if what == "value":
        raise ValueError("two\\nlines and a \\x1b bell")
    if what == "long":
        raise ValueError("x" * 5000)
    if what == "chained":
        try:
            raise KeyError(1)
        except KeyError as error:
            raise OSError(2, "No such file", "name") from error
    if what == "odd":
        raise Own()
    if what == "import":
        import os
    if what == "executable":
        posix.write(1, executable)
        return 0
    if what == "argv":
        posix.write(1, b"|".join(argv[2:]))
        return 0
    return what
"""


@pytest.fixture(scope="module")
def ends(builder: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that ends in the way its first argument names."""
    return build_entry(builder, tmp_path_factory.mktemp("ends"), ENDS, "trial_ends")


@pytest.mark.parametrize("code", [0, 1, 100, 111, 255])
def test_exit_code(ends: Path, code: int) -> None:
    """What main() returns is the exit code, and nothing is printed."""
    done = run(ends, str(code))
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("value", "trial: fatal: ValueError: two?lines and a ? bell\n"),
        ("chained", "trial: fatal: FileNotFoundError: [Errno 2] No such file: 'name'\n"),
        ("odd", "trial: fatal: Own: (no text)\n"),
        ("import", "trial: fatal: ModuleNotFoundError: No module named 'os'\n"),
        ("string", "trial: fatal: TypeError: 'str' object cannot be interpreted as an integer\n"),
    ],
)
def test_uncaught_exception(ends: Path, what: str, line: str) -> None:
    """One line on stderr with the program's name, the type and the text; exit code 111."""
    done = run(ends, what)
    assert done.returncode == 111
    assert done.stdout == ""
    assert done.stderr == line


def test_long_line_is_cut(ends: Path) -> None:
    """A line has a bound."""
    done = run(ends, "long")
    assert done.returncode == 111
    assert len(done.stderr) == 1024
    assert done.stderr.endswith("x\n")


def test_arguments_are_bytes(ends: Path) -> None:
    """Arguments come as they were given, whatever bytes they hold."""
    raw = [b"\xff\xfe", b"", "\u00e9".encode()]
    done = subprocess.run([os.fsencode(ends), b"argv", *raw], capture_output=True, check=False)
    assert done.stdout == b"|".join(raw)
    assert run(ends, "executable").stdout == str(ends)


def test_closed_standard_error(ends: Path) -> None:
    """With nowhere to write the line, the exit code still tells."""
    assert run("sh", "-c", f'exec "{ends}" value 2>&-').returncode == 111


CORE = """
import posix, sys
def missing(name):
    return name not in dir(__builtins__) and not (isinstance(__builtins__, dict) and name in __builtins__)
def main(argv, executable):
    found = [missing("open"), hasattr(sys, "stderr"), hasattr(sys, "path"), hasattr(sys, "stdout")]
    for codec in ("idna", "rot13", "no-such-codec"):
        try:
            "x".encode(codec)
        except (ModuleNotFoundError, LookupError) as error:
            found.append(type(error).__name__)
    posix.write(1, repr((found, sorted(sys.modules))).encode())
    return 0
"""


def test_what_the_interpreter_holds(builder: object, tmp_path: Path) -> None:
    """In the core-only form with our tables just these modules are there, and no file could bring another."""
    form = builder.choose("auto")
    if not form.own:
        pytest.skip(f"the form here is {form.name}")
    done = run(build_entry(builder, tmp_path, CORE, "trial_core"))
    assert done.stderr == ""
    found, modules = eval(done.stdout)
    assert found == [True, True, False, False, "ModuleNotFoundError", "LookupError", "LookupError"]
    assert set(modules) <= {
        "_frozen_importlib", "_imp", "_thread", "_warnings", "_weakref", "builtins", "posix", "sys",
        "trial_core",
    }  # fmt: skip


ACCOUNTS = r"""
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct passwd *p = getpwnam(argv[i]);
        printf("%s=%s\n", argv[i], p ? p->pw_dir : "none");
    }
    gid_t groups[64];
    if (initgroups("root", 0))
        printf("initgroups: errno %d\n", errno);
    int count = getgroups(64, groups);
    for (int i = 0; i < count; i++)
        printf("%d ", (int)groups[i]);
    printf("\n");
    return 0;
}
"""

GETENT = """#!/bin/sh
ls /proc/self/fd | wc -l >{log}
case "$*" in
"passwd -- remote") echo "remote:x:5000:5001:Remote:/remote:/bin/sh" ;;
"passwd -- 5000") echo "remote:x:5000:5001:Remote:/remote:/bin/sh" ;;
"passwd -- broken") echo "nonsense" ;;
"passwd -- failing") echo "failing:x:1:1::/x:/x"; exit 2 ;;
"initgroups -- root") echo "root                  7 8 0" ;;
*) exit 2 ;;
esac
"""


@needs_root
def test_accounts_of_a_static_program(tmp_path: Path) -> None:
    """What the files do not hold is asked of getent, by its exact name; groups too, if nsswitch says so."""
    (tmp_path / "main.c").write_text(ACCOUNTS)
    wraps = [f"-Wl,--wrap={name}" for name in launcher.WRAPPED]
    sources = [tmp_path / "main.c", ROOT / "src/accounts.c"]
    built = run("gcc", "-static-pie", "-o", tmp_path / "main", *sources, *wraps)
    if built.returncode:
        pytest.skip("no static C library here")
    getent = tmp_path / "getent"
    getent.write_text(GETENT.format(log=tmp_path / "log"))
    getent.chmod(0o755)
    names = "root nosuch remote 5000 broken failing -s"
    for sources, groups in (("files systemd", "0 "), ("files [NOTFOUND=return] sss # files", "0 7 8 ")):
        (tmp_path / "nsswitch").write_text(f"passwd: files systemd sss\ngroup: {sources}\n")
        script = (
            f"mount --bind {tmp_path}/nsswitch /etc/nsswitch.conf && "
            f"mount --bind {getent} /usr/bin/getent && "
            f"exec {tmp_path}/main {names} 9</dev/null"
        )
        done = run("unshare", "-m", "sh", "-c", script)
        if "Operation not permitted" in done.stderr:
            pytest.skip("no mount namespaces here")
        assert done.stderr == ""
        assert done.stdout.split("\n")[:-1] == [
            "root=/root", "nosuch=none", "remote=/remote", "5000=none", "broken=none", "failing=none",
            "-s=none", groups,
        ]  # fmt: skip
        assert int((tmp_path / "log").read_text()) <= 5, "getent was left a descriptor that is not its own"


def test_a_lookup_that_is_not_provided_for_is_refused() -> None:
    """The linker's word on a function that would load shared objects ends the build of a static program."""
    word = "x.c: warning: Using '{}' in statically linked applications requires at runtime"
    assert launcher.refuse_lookups(word.format("getpwnam") + "\n" + word.format("dlopen")) == ""
    with pytest.raises(Exception, match="getaddrinfo would load shared objects"):
        launcher.refuse_lookups(word.format("getaddrinfo"))
