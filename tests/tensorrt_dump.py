"""Writes down what a TensorRT module offers: names, members, values, signatures.

The signatures are those that pybind11 writes into docstrings: they name the arguments in order
and give one line for each overload. Run in a process of its own, by `tests.partners.bindings`:

    python -m tests.tensorrt_dump MODULE > list.json
"""

from __future__ import annotations

import ctypes
import importlib
import json
import re
import sys
from types import ModuleType
from typing import Any

Listing = dict[str, Any]
"""Keys: version; names (all that is public and neither class nor module); classes, by dotted name:
bases, members (of an enum, with values), attributes (its own, not those of its bases)."""

OVERLOAD = re.compile(r"^\d+\. (.*)$", re.MULTILINE)
OPERATORS = ("__bool__", "__contains__", "__getitem__", "__iter__", "__len__", "__setitem__")
AS_BUFFER = 20 * ctypes.sizeof(ctypes.c_void_p)
"""Where a type object keeps tp_as_buffer."""
SETTABLE = ", settable"


def shortened(text: str, module: str) -> str:
    """A signature without the module's name, and with int for what pybind11 calls SupportsInt."""
    text = text.replace(f"{module}.", "").replace("typing.", "")
    text = re.sub(r"Supports(Int|Float)( \| SupportsIndex)?", lambda m: m[1].lower(), text)
    text = text.replace("collections.abc.", "").replace("numpy.typing.", "")
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def signatures(what: Any, module: str) -> list[str]:
    """One text for each overload, such as "(index: int) -> str"; empty: the docstring has none."""
    doc = what.__doc__ or ""
    first = doc.partition("\n")[0]
    lines = OVERLOAD.findall(doc) if "Overloaded function." in doc else [first]
    found = [line[line.index("(") :] for line in lines if re.match(r"\w*\(.*\)( ->|$)", line)]
    return [without_self(shortened(line, module)) for line in found]


def without_self(signature: str) -> str:
    return re.sub(r"^\((self|arg0)(: [^,()]+(\(\))?)?(, |(?=\)))", "(", signature)


def attribute(what: Any, module: str) -> str:
    """An overload list for what is called, a type for what is read."""
    if isinstance(what, property):
        getter = signatures(what.fget, module) or ["() -> ?"]
        kind = getter[0].rpartition("-> ")[2]
        return kind + (SETTABLE if what.fset else "")
    if callable(what):
        return " | ".join(signatures(what, module)) or "(...)"
    return type(what).__name__


def public(names: Any) -> list[str]:
    return sorted(name for name in names if not name.startswith("_"))


def members(cls: type) -> dict[str, int] | None:
    found = getattr(cls, "__members__", None)
    return None if found is None else {name: int(value) for name, value in found.items()}


def has_buffer(cls: type) -> bool:
    """Whether bytes() and memoryview() take its objects: CPython's tp_as_buffer->bf_getbuffer."""
    pointer = ctypes.c_void_p.from_address(id(cls) + AS_BUFFER).value
    return bool(pointer and ctypes.c_void_p.from_address(pointer).value)


def special(cls: type) -> list[str]:
    """Operators that it has, such as len()."""
    found = [name for name in vars(cls) if name in OPERATORS]
    if not hasattr(cls, "__members__") and has_buffer(cls) and not has_buffer(cls.__base__ or cls):
        found.append("__buffer__")
    return sorted(found)


def of_class(cls: type, module: str) -> Listing:
    own = {}
    enum = members(cls) or {}
    for name in public(set(vars(cls)) - set(enum)):
        what = vars(cls)[name]
        if not isinstance(what, type):
            own[name] = attribute(
                what if isinstance(what, property) else getattr(cls, name), module
            )
    init = signatures(cls.__init__, module) if "__init__" in vars(cls) and not enum else []
    if init:
        own["__init__"] = " | ".join(init)
    own |= dict.fromkeys(special(cls), "special")
    bases = [b.__name__ for b in cls.__bases__ if b.__name__ not in ("object", "pybind11_object")]
    values = dict(sorted(enum.items(), key=lambda item: (item[1], item[0])))
    return {"bases": bases, "members": values, "attributes": own}


def classes_of(owner: Any, prefix: str, module: str) -> dict[str, Listing]:
    found: dict[str, Listing] = {}
    for name in public(dir(owner)):
        what = getattr(owner, name)
        if isinstance(what, type) and what.__module__.startswith(module.partition(".")[0]):
            found[prefix + name] = of_class(what, module)
            if members(what) is None:
                found |= classes_of(what, f"{prefix}{name}.", module)
    return found


def listing(module: Any) -> Listing:
    """All that `module` offers."""
    inner = module.Builder.__module__
    classes = classes_of(module, "", inner)
    rest = [
        name
        for name in public(dir(module))
        if name not in classes and not isinstance(getattr(module, name), ModuleType)
    ]
    names = {name: attribute(getattr(module, name), inner) for name in rest}
    return {"version": module.__version__, "names": names, "classes": classes}


def as_text(found: Listing) -> str:
    """JSON with one line for each class, so that changes can be read."""

    def line(item: Any) -> str:
        return json.dumps(item, separators=(",", ":"))

    def filled(cls: Listing) -> Listing:
        return {key: value for key, value in cls.items() if value}

    classes = ",\n".join(
        f"{line(name)}: {line(filled(cls))}" for name, cls in sorted(found["classes"].items())
    )
    names = line(dict(sorted(found["names"].items())))
    version = line(found["version"])
    return f'{{"version": {version},\n"names": {names},\n"classes": {{\n{classes}\n}}}}\n'


if __name__ == "__main__":
    sys.stdout.write(as_text(listing(importlib.import_module(sys.argv[1]))))
