"""The import system of the native programs: builtin and frozen modules, nothing else.

It takes the place of CPython's `_frozen_importlib` (build-aux/freeze.py puts it there), which the programs
cannot afford: building that module's classes at every start costs 0.4 ms, and each import through its finders
and specs another 0.05 ms. There is no path, no finder, no hook and no file here, so nothing can be imported
that was not linked in. What CPython's C code calls is exactly the four functions below (Python/import.c,
3.11 to 3.13).

Modules have `__name__`, `__package__` and, as packages, `__path__`; `__spec__` and `__loader__` stay None.
"""


class _Spec:
    """All that `_imp.create_builtin` reads of a module spec."""

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name


def _install(sys_module, imp_module):
    """Called once, by the interpreter's start."""
    global _imp, _modules, _new
    _imp = imp_module
    _modules = sys_module.modules
    _new = type(sys_module)


def _find_and_load(name, import_):
    """Import `name`, which is not in sys.modules, and return it; its parents come first."""
    parent, _, child = name.rpartition(".")
    if parent and parent not in _modules:
        import_(parent)
        if name in _modules:
            return _modules[name]
    if _imp.is_builtin(name):
        module = _imp.create_builtin(_Spec(name))
        _modules[name] = module
        _imp.exec_builtin(module)
    elif _imp.is_frozen(name):
        module = _new(name)
        module.__package__ = parent
        if _imp.is_frozen_package(name):
            module.__package__ = name
            module.__path__ = []
        _modules[name] = module
        try:
            exec(_imp.get_frozen_object(name), module.__dict__)
        except BaseException:
            _modules.pop(name, None)
            raise
    else:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    if parent:
        setattr(_modules[parent], child, module)
    return _modules[name]


def _handle_fromlist(module, names, import_):
    """`from package import name`: a name that is no attribute may be a submodule."""
    for name in names:
        if name != "*" and not hasattr(module, name):
            full = f"{module.__name__}.{name}"
            try:
                import_(full)
            except ModuleNotFoundError as error:
                if error.name != full:
                    raise
    return module


def _lock_unlock_module(name):
    """Waiting for another thread's import: the programs import in one thread only."""
