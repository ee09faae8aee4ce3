"""The stub of the compiled half says of every name what src/face.pxi says: names, parameters, defaults, docstrings."""

from __future__ import annotations

import ast
import re

import pytest

from bearwrap import _bear
from tests.harness import ROOT

FACE = "".join(path.read_text() for path in sorted((ROOT / "src").glob("*face.pxi")))
STUB = ast.parse((ROOT / "bearwrap" / "_bear.pyi").read_text())

Parameters = list[tuple[str, bool]]  # name, whether it has a default


def face_parameters(text: str) -> Parameters:
    """Of a Cython signature: `const uint8_t[::1] ring not None, int n=0` and the like; self is left out."""
    found = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        declared, default, _ = item.partition("=")
        name = declared.removesuffix(" not None").split()[-1]
        if name != "self":
            found.append((name, bool(default)))
    return found


def face() -> dict[str, Parameters]:
    """Every def of the face; a method as Class.name, __cinit__ under the name that callers see."""
    found, owner = {}, ""
    for match in re.finditer(r"^cdef class (\w+)|^( *)def (\w+)\(([^)]*)\)", FACE, re.MULTILINE):
        kind, indent, name, parameters = match.groups()
        if kind:
            owner = kind
        elif name != "__dealloc__":
            name = name.replace("__cinit__", "__init__")
            found[f"{owner}.{name}" if indent else name] = face_parameters(parameters)
    return {name: parameters for name, parameters in found.items() if not name.startswith("_")}


def stub_functions() -> dict[str, ast.FunctionDef]:
    found = {}
    for node in STUB.body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found |= {f"{node.name}.{item.name}": item for item in node.body if isinstance(item, ast.FunctionDef)}
    return found


def stub_parameters(node: ast.FunctionDef) -> Parameters:
    args = node.args
    assert not args.posonlyargs and not args.kwonlyargs and not args.vararg and not args.kwarg, node.name
    first_default = len(args.args) - len(args.defaults)
    return [(arg.arg, at >= first_default) for at, arg in enumerate(args.args) if arg.arg != "self"]


def test_names_and_parameters_agree() -> None:
    assert {name: stub_parameters(node) for name, node in stub_functions().items()} == face()


def test_the_extension_has_these_names_and_no_others() -> None:
    public = {name for name in vars(_bear) if not name.startswith("_")}
    assert public == {name.partition(".")[0] for name in face()}


def test_all_that_is_public_has_a_docstring_and_types() -> None:
    for name, node in stub_functions().items():
        assert ast.get_docstring(node), name
        assert node.returns is not None, name
        assert all(arg.annotation for arg in node.args.args if arg.arg != "self"), name


def test_tables_have_the_keys_of_the_stub() -> None:
    keys = {
        node.name: {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)
                    and isinstance(item.target, ast.Name)}
        for node in STUB.body
        if isinstance(node, ast.ClassDef)
    }
    assert keys["_Tables"] == set(_bear.tables())
    assert keys["_AuditTables"] == set(_bear.audit_tables())
    assert keys["_BuildFacts"] == set(_bear.build_facts())


@pytest.mark.parametrize("parameter", ["settings", "forwarding", "outgoing", "listening"])
def test_settings_are_what_the_face_reads(parameter: str) -> None:
    """Each protocol lists every attribute that its function takes, and none more."""
    name = "_" + parameter.capitalize()
    (protocol,) = (node for node in STUB.body if isinstance(node, ast.ClassDef) and node.name == name)
    named = {item.name for item in protocol.body if isinstance(item, ast.FunctionDef)}
    assert named == set(re.findall(rf"\b{parameter}\.(\w+)", FACE))


@pytest.mark.parametrize(
    "call",
    [
        lambda: _bear.escape_log(text=b"x"),
        lambda: _bear.candidate_names(name=b"x"),
        lambda: _bear.parse_pem(text=b""),
        lambda: _bear.parse_proxy(line=b"PROXY UNKNOWN\n"),
        lambda: _bear.log_identity(given=b""),
        lambda: _bear.check_client_hello(body=b""),
    ],
)
def test_parameters_go_by_name(call: object) -> None:
    """The stub promises names; Cython would drop them for functions of one parameter if told to."""
    assert callable(call)
    call()


@pytest.mark.parametrize("wrong", [None, "text", bytearray(b"x"), 7], ids=repr)
def test_bytes_parameters_take_bytes_alone(wrong: object) -> None:
    for function in (_bear.escape_log, _bear.candidate_names, _bear.parse_pem, _bear.parse_proxy):
        with pytest.raises(TypeError):
            function(wrong)  # type: ignore[arg-type]


def test_identities() -> None:
    drawn = {_bear.log_identity(b"") for _ in range(20)}
    assert len(drawn) == 20
    assert all(re.fullmatch(rb"[0-9A-Za-z]{16}", one) for one in drawn)


def test_the_clock_is_the_monotonic_one() -> None:
    import time

    before = time.monotonic_ns() // 1_000_000
    assert before <= _bear.monotonic_ms() <= time.monotonic_ns() // 1_000_000
