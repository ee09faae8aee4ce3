"""Build of the compiled half and of the programs; everything else stands in pyproject.toml.

Options of build_ext: --use-system-bearssl (link the system's libbearssl, not the vendored one),
--without-libcrypto, --without-sodium and --without-nettle (not these even if their static libraries are here), --debug
(address and undefined-behaviour sanitizers). How things are compiled is described once, in build-aux/native.py. A wheel
also carries the native programs, if a libpython can be linked.
"""

import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

# setuptools puts its own copy of distutils in the place of the one that Python no longer has; hence after it.
from distutils.command.build_scripts import build_scripts  # isort: skip

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "build-aux"))

import bearssl  # noqa: E402
import cbuild  # noqa: E402
import inplace  # noqa: E402
import native  # noqa: E402


class BuildNative(build_ext):
    """Hand the one extension to build-aux/native.py."""

    user_options = [  # noqa: RUF012 (setuptools' own form)
        *build_ext.user_options,
        ("use-system-bearssl", None, "link the system's libbearssl"),
        ("without-libcrypto", None, "do not use OpenSSL's libcrypto"),
        ("without-sodium", None, "do not use libsodium"),
        ("without-nettle", None, "do not use nettle and GMP"),
    ]
    boolean_options = [  # noqa: RUF012
        *build_ext.boolean_options, "use-system-bearssl", "without-libcrypto", "without-sodium",
        "without-nettle",
    ]  # fmt: skip

    def initialize_options(self) -> None:
        """Set the defaults of our own options."""
        super().initialize_options()
        self.use_system_bearssl = False
        self.without_libcrypto = False
        self.without_sodium = False
        self.without_nettle = False

    def variant(self) -> native.Variant:
        """The options as the build knows them."""
        return native.Variant(
            libcrypto=not self.without_libcrypto, sodium=not self.without_sodium, nettle=not self.without_nettle,
            system=bool(self.use_system_bearssl), debug=bool(self.debug),
        )  # fmt: skip

    def build_extension(self, ext: Extension) -> None:
        """Bring the shared object up to date; nothing is compiled that did not change."""
        target = Path(self.get_ext_fullpath(ext.name))
        try:
            native.extension(self.variant(), target, sysconfig.get_paths()["include"])
        except cbuild.BuildError as error:
            raise SystemExit(f"error: {error}") from None


class BuildPrograms(build_scripts):
    """Build the native programs where setuptools expects scripts."""

    def get_source_files(self) -> list[str]:
        """Nothing beyond what the extension's sources are."""
        return []

    def run(self) -> None:
        """Link them; where that cannot be, the wheel holds the Python package only."""
        self.run_command("build_ext")
        extension = self.get_finalized_command("build_ext")
        package = Path(self.get_finalized_command("build").build_lib)
        if not list((package / "bearwrap").glob("_bear.*")):
            package = ROOT
        folder = Path(self.build_dir)
        folder.mkdir(parents=True, exist_ok=True)
        made = native.BUILD / "wheel"
        try:
            if inplace.programs(extension.variant(), made / "bin", "auto", package.resolve()):
                for name in inplace.PROGRAMS:
                    shutil.copy(made / "bin" / name, folder / name)
                listeners = [str(path) for path in (made / "lib" / "bearwrap").glob("listener-*")]
                self.distribution.data_files.append(("lib/bearwrap", listeners))
        except cbuild.BuildError as error:
            raise SystemExit(f"error: {error}") from None


class SourceArchive(sdist):
    """An sdist carries BearSSL's archive, so that building from it needs no network."""

    def run(self) -> None:
        """Fetch the archive first if it is not there."""
        try:
            bearssl.fetch()
        except cbuild.BuildError as error:
            raise SystemExit(f"error: {error}") from None
        super().run()


setup(
    ext_modules=[Extension("bearwrap._bear", ["src/_bear.pyx"])],
    cmdclass={"build_ext": BuildNative, "build_scripts": BuildPrograms, "sdist": SourceArchive},
    # Names only: BuildPrograms makes the files.
    scripts=inplace.PROGRAMS,
)
