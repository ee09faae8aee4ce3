"""Link the native programs, in the best form this machine's libpython allows.

A form is how libpython is linked and how much of the interpreter is started. They are tried from the
fastest start to the plainest; the first one that links and whose probe (probe.py) says what plain Python
says is taken, and remembered until libpython or the options change. Without a linkable libpython there is
no native program.
"""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import cbuild
import freeze
import layout
import native

HERE = Path(__file__).resolve().parent
PROBE_EXIT = 23
PROBE_SECONDS = 60


@dataclass(frozen=True)
class Form:
    """`link`: static-pie, pie, no-pie (with libpython's archive) or shared. `own`: freeze.py's tables."""

    link: str
    own: bool
    core: bool

    @property
    def name(self) -> str:
        """A name for folders and messages."""
        return "-".join([self.link, "core" if self.core else "full", *(["own"] if self.own else [])])


# From the fastest start to the slowest; README.md of this folder has the figures.
FORMS = [
    Form("static-pie", True, True),
    Form("pie", True, True),
    Form("no-pie", True, True),
    Form("pie", False, True),
    Form("no-pie", False, True),
    Form("shared", False, True),
    Form("pie", False, False),
    Form("no-pie", False, False),
    Form("shared", False, False),
]

# Lookups that src/accounts.c answers in a static program.
WRAPPED = ["getpwnam", "initgroups", "getgrouplist"]
# What asks for a heap; src/heap.c answers in the listener.
HEAP = ["__sbrk", "_dl_early_allocate"]


def refuse_lookups(output: str) -> str:
    """What the linker says of a static program, less what is known and harmless.

    The C library warns of each function that loads shared objects at run time, which can crash a static
    program; one that is not provided for raises. Those in WRAPPED are called from accounts.c only, after it
    took its precautions; dlopen is what the interpreter would import shared objects with, which our tables
    rule out.
    """
    kept = []
    for line in output.splitlines():
        found = re.search(r"warning: Using '(\w+)' in statically linked applications", line)
        if found and found[1] not in [*WRAPPED, "dlopen"]:
            raise cbuild.BuildError(f"{found[1]} would load shared objects; wrap it in src/accounts.c")
        if not found and ": in function `" not in line:
            kept.append(line)
    return "\n".join(kept)


def libpython(link: str) -> list[str]:
    """Link arguments for libpython in this form, or an empty list if it is not here so."""
    version = sysconfig.get_config_var("LDVERSION")
    keys = ("LIBPL", "LIBDIR")
    folders = [Path(sysconfig.get_config_var(key)) for key in keys if sysconfig.get_config_var(key)]
    if link != "shared":
        # Debian keeps position-independent code in an archive of its own.
        names = [f"libpython{version}-pic.a", f"libpython{version}.a"][link == "no-pie" :]
        return [str(folder / name) for name in names for folder in folders if (folder / name).exists()][:1]
    for folder in folders:
        if (folder / f"libpython{version}.so").exists():
            # A run path only where the loader would not look by itself.
            path = [] if str(folder).startswith(("/usr/lib", "/lib")) else [f"-Wl,-rpath,{folder}"]
            return [f"-L{folder}", *path, f"-lpython{version}"]
    return []


def system_libraries(form: Form) -> list[str]:
    """What libpython itself needs; with our tables no module that needs more is linked."""
    keys = ("LIBS", "SYSLIBS") if form.own else ("LIBS", "SYSLIBS", "MODLIBS")
    names = " ".join(str(sysconfig.get_config_var(key) or "") for key in keys)
    return list(dict.fromkeys(word for word in names.split() if word.startswith("-l")))


class Launcher:
    """The programs of one variant; `package` is the folder that holds bearwrap/ with its extension."""

    def __init__(self, variant: native.Variant, package: Path = native.ROOT) -> None:
        self.variant = variant
        self.package = package
        self.include = sysconfig.get_paths()["include"]
        self.ours = native.objects(variant, self.include, program=True)
        self.arguments, self.inputs = native.libraries(variant)

    def compile(self, form: Form, folder: Path, entry: Path | None) -> list[Path]:
        """Compile the launcher's own C in one form; returns its objects."""
        sources = [native.SRC / "launcher.c"]
        flags = [*native.cflags(self.variant), f"-I{self.include}", f"-I{folder}"]
        if form.core:
            flags.append("-DBEARWRAP_CORE_ONLY=1")
        else:
            flags.append(f'-DBEARWRAP_STDLIB=L"{sysconfig.get_paths()["stdlib"]}"')
        if entry:
            flags.append(f'-DBEARWRAP_ENTRY="{entry.stem}"')
        if form.own:
            flags.append("-DBEARWRAP_OWN_TABLES=1")
            sources.append(folder / "interpreter_tables.c")
            cbuild.write_if_changed(sources[-1], freeze.interpreter_tables(native.SRC / "importer.py"))
        if form.link == "static-pie":
            sources.append(native.SRC / "accounts.c")
        cbuild.write_if_changed(folder / "frozen_modules.h", freeze.programs_table(native.ROOT, entry))
        pairs = [(path, folder / (path.stem + ".o")) for path in sources]
        cbuild.compile_all(pairs, flags)
        return [target for _source, target in pairs]

    def build(self, form: Form, target: Path, entry: Path | None = None) -> bool:
        """Link one executable in one form; returns whether it was linked anew.

        `entry` is a module to run in the programs' place.
        """
        folder = self.variant.folder / form.name / (entry.stem if entry else "programs")
        objects = [*self.compile(form, folder, entry), *self.ours]
        mode = [] if form.link == "shared" else [f"-{form.link}"]
        scripts: list[Path] = []
        if form.link == "static-pie":
            # Of a connection only what precedes its forks is not in this order: the interpreter.
            order, scripts = layout.order()
            mode += [*(f"-Wl,--wrap={name}" for name in WRAPPED), *order]
        python = libpython(form.link)
        link = [*mode, *native.link_flags(self.variant), *map(str, objects), *self.arguments]
        inputs = [*objects, *self.inputs, *scripts, *(Path(item) for item in python if item.startswith("/"))]
        link += [*python, *system_libraries(form)]
        return cbuild.link(target, link, inputs, native.NOTES, refuse_lookups)

    def build_listener(self, folder: Path) -> bool:
        """Link what `bearwrap serve` becomes, static and without libpython; returns whether it was linked anew."""
        made = self.variant.folder / "listener"
        sources = [native.SRC / name for name in ("listener.c", "accounts.c", "heap.c")]
        pairs = [(source, made / (source.stem + ".o")) for source in sources]
        cbuild.compile_all(pairs, native.cflags(self.variant))
        objects = [*(target for _source, target in pairs), *self.ours]
        mode = ["-static-pie", *(f"-Wl,--wrap={name}" for name in [*WRAPPED, *HEAP])]
        order, scripts = layout.order()
        mode += [f"-Wl,-Map={layout.map_file(self.variant)}", *order]
        link = [*mode, *native.link_flags(self.variant), *map(str, objects), *self.arguments]
        target = folder / native.listener_name(self.variant)
        linked = cbuild.link(target, link, [*objects, *self.inputs, *scripts], native.NOTES, refuse_lookups)
        for other in folder.glob("listener-*"):
            if other != target:
                other.unlink()
        return linked

    def probe(self, form: Form) -> str:
        """Empty if an interpreter linked in this form does what plain Python does, else what went wrong."""
        program = self.variant.folder / form.name / "probe" / "run"
        passed = program.with_name("passed")
        # The folders named here must not be looked at, so they need not exist.
        environment = {"PYTHONPATH": "/nonexistent", "PYTHONHOME": "/nonexistent"}
        try:
            if not self.build(form, program, HERE / "probe.py") and passed.exists():
                return ""
            passed.unlink(missing_ok=True)
            names = [*freeze.collect(native.ROOT), freeze.COMPILED]
            done = subprocess.run(
                [program, *names], cwd="/", env=environment, capture_output=True, timeout=PROBE_SECONDS,
                check=False,
            )  # fmt: skip
            wanted = self.expected(names)
        except cbuild.BuildError as error:
            return str(error)
        except subprocess.TimeoutExpired:
            return f"the probe did not end within {PROBE_SECONDS} s"
        if done.returncode != PROBE_EXIT or done.stdout != wanted:
            return f"probe: exit code {done.returncode}\n{done.stderr!r}\n{done.stdout!r}\nnot\n{wanted!r}"
        passed.touch()
        return ""

    def expected(self, names: list[str]) -> bytes:
        """What plain Python says to the probe; the extension must have been built into `package` before."""
        command = [native.python(), "-I", "-S", "-B", str(HERE / "probe.py"), *names, str(self.package)]
        environment = dict(os.environ)
        if self.variant.debug:
            environment |= {"LD_PRELOAD": cbuild.file_name("libasan.so"), "ASAN_OPTIONS": "detect_leaks=0"}
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=PROBE_SECONDS, check=False
        )
        if done.returncode != PROBE_EXIT:
            raise cbuild.BuildError(f"the probe fails in plain Python: {done.stderr!r}")
        return done.stdout

    def choose(self, wanted: str) -> Form | None:
        """The form to build, `wanted` being `auto` or a form's name; None if no libpython can be linked."""
        forms = [form for form in FORMS if libpython(form.link) and wanted in ("auto", form.name)]
        if self.variant.debug or self.variant.system:
            # The sanitizers want the C library as a shared object; so does a shared libbearssl.
            forms = [form for form in forms if form.link != "static-pie"]
        note = self.variant.folder / "form"
        key = f"{wanted} {sysconfig.get_config_var('LDVERSION')} {[libpython(form.link) for form in forms]}"
        lines = note.read_text().splitlines() if note.exists() else []
        if lines[:1] == [key]:
            # What was taken before goes first; sorting is stable, so the others keep their order.
            forms.sort(key=lambda form: form.name != lines[1])
        failures = []
        for form in forms:
            failure = self.probe(form)
            if not failure:
                cbuild.write_if_changed(note, f"{key}\n{form.name}\n")
                return form
            failures.append(f"{form.name}: {failure.strip()[-2000:]}")
            print(f"launcher: not as {form.name}", flush=True)
        if failures:
            raise cbuild.BuildError("no form of the native programs works\n" + "\n".join(failures))
        return None


def link_names(first: Path, names: list[str]) -> None:
    """Make the other names of a program, symbolic links in the same folder."""
    for name in names:
        other = first.with_name(name)
        if not (other.is_symlink() and os.readlink(other) == first.name):
            other.unlink(missing_ok=True)
            other.symlink_to(first.name)
