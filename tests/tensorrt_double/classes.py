"""Classes made from a version's list: its names and no others, behind them our behaviour."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from tests.tensorrt_double.arguments import fits, matched
from tests.tensorrt_double.control import Control
from tests.tensorrt_list import SETTABLE, Api, overloads


class Enum:
    """As pybind11's: equal to itself alone, no integer, but int() of it is its value."""

    __members__: dict[str, Any]
    __slots__ = ("_value",)
    _value: int

    def __init__(self, value: int) -> None:
        self._value = value

    @property
    def value(self) -> int:
        return self._value

    @property
    def name(self) -> str:
        named = (name for name, m in self.__members__.items() if m.value == self._value)
        return next(named, "???")

    def __int__(self) -> int:
        return self._value

    __index__ = __int__

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and int(other) == int(self)

    def __hash__(self) -> int:
        return self._value

    def __repr__(self) -> str:
        return f"<{self}: {self.value}>"

    def __str__(self) -> str:
        return f"{type(self).__name__}.{Enum.name.__get__(self)}"


def enum(name: str, members: dict[str, int]) -> type:
    space = {"__members__": {}, "__module__": "tensorrt", "__slots__": ()}
    cls: Any = type(name.rpartition(".")[2], (Enum,), space)
    for member, value in members.items():
        one = object.__new__(cls)
        one._value = value
        cls.__members__[member] = one
        setattr(cls, member, one)
    return cls  # type: ignore[no-any-return]


class Meta(type):
    """pybind11's: a subclass that forgets its base's constructor is refused."""

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        made = super().__call__(*arguments, **named)
        if not made.__dict__.get("_constructed"):
            raise TypeError(f"{cls._double.__name__}.__init__() must be called when overriding it")
        return made


class Listed(metaclass=Meta):
    """Base of all classes of the double."""

    _trt: Any
    _control: Control
    _double: type

    def __setattr__(self, name: str, value: Any) -> None:
        known = name.startswith("_") or hasattr(type(self), name)
        if not known and type(self) is type(self)._double:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        object.__setattr__(self, name, value)

    @classmethod
    def _make(cls, **fields: Any) -> Any:
        """An object that only TensorRT makes, such as a network."""
        made = cls.__new__(cls)
        made.__dict__.update(fields, _constructed=True)
        return made


def note(self: Listed, title: str, given: dict[str, Any]) -> None:
    shown = (
        f"<{memoryview(v).nbytes} bytes>" if isinstance(v, (bytes, bytearray)) else str(v)
        for v in given.values()
    )
    self._control.calls.append(f"{title}({', '.join(shown)})")


def method(cls: str, name: str, text: str, act: FunctionType | None) -> Callable[..., Any]:
    title = f"{cls}.{name}"
    ways = overloads(text)

    def call(self: Listed, *values: Any, **named: Any) -> Any:
        given = matched(self._trt, title, ways, values, named)
        note(self, title, given)
        if title in self._control.refuse:
            return False
        if act is None:
            raise NotImplementedError(f"the double does nothing behind {title}; add it there")
        return act(self, **given)

    call.__name__ = name
    return call


def constructor(cls: str, text: str | None, act: FunctionType | None) -> Callable[..., None]:
    ways = overloads(text or "")

    def construct(self: Listed, *values: Any, **named: Any) -> None:
        if not ways:
            raise TypeError(f"tensorrt.{cls}: No constructor defined!")
        given = matched(self._trt, f"{cls}.__init__", ways, values, named)
        self.__dict__["_constructed"] = True
        if act is not None:
            act(self, **given)

    return construct


def default(trt: Any, kind: str) -> Any:
    cls = getattr(trt, kind, None)
    if isinstance(cls, type) and issubclass(cls, Enum):
        return next(iter(cls.__members__.values()))
    return {"int": 0, "float": 0.0, "bool": False, "str": ""}.get(kind)


def stored(cls: str, name: str, text: str) -> property:
    """A property that keeps what is set, if the real one can be set."""
    kind = text.removesuffix(SETTABLE).rpartition("::")[2]

    def get(self: Listed) -> Any:
        return self.__dict__.get(f"_{name}", default(self._trt, kind))

    def put(self: Listed, value: Any) -> None:
        if not fits(self._trt, kind, value):
            raise TypeError(f"{cls}.{name}: incompatible value {value!r}, it takes {kind}")
        self._control.calls.append(f"{cls}.{name} = {value}")
        self.__dict__[f"_{name}"] = value

    return property(get, put if text.endswith(SETTABLE) else None)


def attribute(cls: str, name: str, text: str, act: Any) -> Any:
    if text.startswith("("):
        return method(cls, name, text, act)
    if isinstance(act, property):
        return act
    return stored(cls, name, text)


def listed_class(trt: Any, api: Api, name: str, behaviour: type | None, made: ModuleType) -> type:
    """The class `name`: the list decides what it has, `behaviour` what that does."""
    entry = api.classes[name]
    acts = {} if behaviour is None else dict(vars(behaviour))
    bases = tuple(getattr(made, base) for base in entry.get("bases", []) if hasattr(made, base))
    space: dict[str, Any] = {key: act for key, act in acts.items() if key.startswith("_")}
    space |= {"__module__": "tensorrt", "_trt": trt}
    space.pop("__dict__", None)
    space.pop("__weakref__", None)
    texts = entry.get("attributes", {})
    for key, text in texts.items():
        if not key.startswith("__") and text != "Severity":
            space[key] = attribute(name, key, text, acts.get(key))
    space["__init__"] = constructor(name, texts.get("__init__"), acts.get("__init__"))
    cls: Any = Meta(name.rpartition(".")[2], bases or (Listed,), space)
    cls._double = cls
    return cls  # type: ignore[no-any-return]
