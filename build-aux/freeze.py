"""Freeze the Python modules that the programs need into C tables.

The list has one source of truth, the import statements: it is bearwrap.programs with all its submodules,
what the compiled extension imports, and every module of the package reached from those. Anything else that
such a module imports must be one of BUILTIN, since the programs' interpreter opens no file; another import
is an error of the build, not of the first connection.

What is frozen is the module's code without docstrings and annotations (nothing reads them there, and making
them costs time at every start); asserts stay. The tables hold marshalled code, so they must be made by the
very Python version whose library the launcher links.
"""

from __future__ import annotations

import ast
import marshal
import re
from pathlib import Path

PACKAGE = "bearwrap"
ENTRY = "bearwrap.programs"
COMPILED = "bearwrap._bear"
# Builtin in CPython 3.11 and newer however it was configured (Modules/config.c.in and Setup.bootstrap), each
# with the C function that makes it, or 0 for the two that the interpreter makes itself.
BUILTIN = {"sys": "0", "builtins": "0", "marshal": "PyMarshal_Init", "_warnings": "_PyWarnings_Init"}
BUILTIN |= {
    name: f"PyInit_{name}"
    for name in ("_imp", "gc", "posix", "errno", "time", "_signal", "_thread", "_weakref")
}


class FreezeError(Exception):
    """A module cannot be frozen; the text names the file, the line and the reason."""


class Strip(ast.NodeTransformer):
    """Drop docstrings, annotations, `from __future__` and what stands under `if TYPE_CHECKING`."""

    def _body(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body = node.body
        first = body[0].value if body and isinstance(body[0], ast.Expr) else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            body[0] = ast.copy_location(ast.Pass(), body[0])
        return node

    visit_Module = visit_ClassDef = _body

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function loses its docstring and the annotations of its result and parameters."""
        node.returns = None
        return self._body(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """A parameter loses its annotation."""
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """`x: T = v` becomes `x = v`; a bare `x: T` goes."""
        self.generic_visit(node)
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        """`from __future__` is about compiling only, yet would import a module."""
        return ast.copy_location(ast.Pass(), node) if node.module == "__future__" else node

    def visit_If(self, node: ast.If) -> ast.AST:
        """`if TYPE_CHECKING:` is for the type checker."""
        name = node.test.id if isinstance(node.test, ast.Name) else ""
        if name != "TYPE_CHECKING":
            return self.generic_visit(node)
        if node.orelse:
            raise FreezeError(f"line {node.lineno}: `if TYPE_CHECKING` with an else")
        return ast.copy_location(ast.Pass(), node)


def _path(root: Path, name: str) -> tuple[Path, bool] | None:
    """(source file, is a package) of a module of ours, or None."""
    base = root.joinpath(*name.split("."))
    if (base / "__init__.py").is_file():
        return base / "__init__.py", True
    if base.with_suffix(".py").is_file():
        return base.with_suffix(".py"), False
    return None


def _imports(tree: ast.AST, name: str, is_package: bool) -> list[tuple[int, str, list[str]]]:
    """(line, absolute module, names taken from it) of every import statement of a module."""
    found: list[tuple[int, str, list[str]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            target = node.module or ""
            if node.level:
                parts = name.split(".")
                base = parts[: len(parts) - node.level + (1 if is_package else 0)]
                target = ".".join(base + ([target] if target else []))
            found.append((node.lineno, target, [alias.name for alias in node.names]))
    return found


def _parse(root: Path, name: str, path: Path) -> ast.Module:
    """The stripped tree of one module."""
    try:
        tree = ast.parse(path.read_bytes(), str(path))
        if name == PACKAGE:
            # The package's lazy names are for its users, not for the programs, and import what those may not.
            lazy = ("__getattr__", "__dir__")
            tree.body = [node for node in tree.body if getattr(node, "name", "") not in lazy]
        return ast.fix_missing_locations(Strip().visit(tree))
    except (FreezeError, SyntaxError) as error:
        raise FreezeError(f"{path.relative_to(root)}: {error}") from None


def roots(root: Path) -> list[str]:
    """Where the search begins: the programs, and what the compiled extension imports by itself."""
    names = [PACKAGE, ENTRY]
    names += [f"{ENTRY}.{path.stem}" for path in sorted((root / PACKAGE / "programs").glob("[!_]*.py"))]
    for path in [*(root / "src").glob("*.pyx"), *(root / "src").glob("*.pxi")]:
        names += re.findall(r"^\s*(?:from|import)\s+(bearwrap(?:\.\w+)+)\b", path.read_text(), re.MULTILINE)
    return names


def collect(root: Path) -> dict[str, tuple[Path, bool, ast.Module]]:
    """Every module to freeze, by name: (source file, is a package, stripped tree)."""
    done: dict[str, tuple[Path, bool, ast.Module]] = {}
    waiting = roots(root)
    while waiting:
        name = waiting.pop()
        if name in done or name == COMPILED:
            continue
        found = _path(root, name)
        if found is None:
            raise FreezeError(f"no module {name}")
        path, is_package = found
        tree = _parse(root, name, path)
        done[name] = (path, is_package, tree)
        for line, target, names in _imports(tree, name, is_package):
            if target.split(".")[0] == PACKAGE:
                parts = target.split(".")
                waiting += [".".join(parts[:i]) for i in range(1, len(parts) + 1)]
                waiting += [f"{target}.{item}" for item in names if _path(root, f"{target}.{item}")]
            elif target not in BUILTIN:
                where = f"{path.relative_to(root)}:{line}"
                allowed = ", ".join(sorted(BUILTIN))
                raise FreezeError(f"{where}: imports {target}; beside ours the programs have only: {allowed}")
    return done


def _array(symbol: str, data: bytes) -> list[str]:
    """Lines of C that define a byte array."""
    rows = ["".join(f"{byte}," for byte in data[at : at + 24]) for at in range(0, len(data), 24)]
    return [f"static const unsigned char {symbol}[] = {{ /* {len(data)} bytes */", *rows, "};"]


def _frozen(table: str, modules: list[tuple[str, bool, ast.Module]]) -> list[str]:
    """Lines of C that define a table of frozen modules."""
    lines: list[str] = []
    entries = []
    for name, is_package, tree in modules:
        data = marshal.dumps(compile(tree, f"<frozen {name}>", "exec", dont_inherit=True, optimize=0))
        symbol = "code_" + name.replace(".", "__")
        lines += _array(symbol, data)
        fields = f'.name = "{name}", .code = {symbol}, .size = {len(data)}, .is_package = {int(is_package)}'
        entries.append(f"    {{{fields}}},")
    return [*lines, f"static const struct _frozen {table}[] = {{", *entries, "    {0},", "};"]


def programs_table(root: Path, entry: Path | None = None) -> str:
    """The text of frozen_modules.h; `entry` is a module outside the package to add, by its file's name."""
    modules = [(name, package, tree) for name, (_path, package, tree) in sorted(collect(root).items())]
    if entry:
        modules.append((entry.stem, False, _parse(entry.parent, entry.stem, entry)))
    lines = ["/* Made by build-aux/freeze.py; not to be edited. */", *_frozen("frozen_modules", modules), ""]
    return "\n".join(lines)


def interpreter_tables(importer: Path) -> str:
    """The text of a C file that stands in for libpython's config.o, frozen.o and deepfreeze.o.

    A static link takes these three from the archive only if nobody else defines their symbols. Ours hold the
    modules of BUILTIN instead of all, our importer instead of importlib, and no deep-frozen standard library,
    whose strings the stock version interns at every start.
    """
    tree = _parse(importer.parent, importer.stem, importer)
    functions = sorted(function for function in BUILTIN.values() if function != "0")
    return "\n".join([
        "/* Made by build-aux/freeze.py; not to be edited. */",
        "#include <Python.h>",
        *(f"extern PyObject *{function}(void);" for function in functions),
        "struct _inittab _PyImport_Inittab[] = {",
        *(f'    {{"{name}", {function}}},' for name, function in BUILTIN.items()),
        "    {0, 0},",
        "};",
        *_frozen("bootstrap", [("_frozen_importlib", False, tree)]),
        "struct _module_alias { const char *name, *orig; };",
        "static const struct _frozen none[] = {{0}};",
        "static const struct _module_alias aliases[] = {{0, 0}};",
        "const struct _frozen *_PyImport_FrozenBootstrap = bootstrap;",
        "const struct _frozen *_PyImport_FrozenStdlib = none;",
        "const struct _frozen *_PyImport_FrozenTest = none;",
        "const struct _frozen *PyImport_FrozenModules = none;",
        "const struct _module_alias *_PyImport_FrozenAliases = aliases;",
        "#if PY_VERSION_HEX < 0x030d0000",
        "int _Py_Deepfreeze_Init(void);",
        "void _Py_Deepfreeze_Fini(void);",
        "int _Py_Deepfreeze_Init(void) { return 0; }",
        "void _Py_Deepfreeze_Fini(void) {}",
        "#endif",
        "#if PY_VERSION_HEX >= 0x030c0000 && PY_VERSION_HEX < 0x030d0000",
        "uint32_t _Py_next_func_version = 1; /* deep-frozen functions would have taken the first numbers */",
        "#endif",
        "",
    ])  # fmt: skip
