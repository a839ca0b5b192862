"""The contract of a backend: two small protocols and what they hand over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from edgesdk.backends.timing import LayerFacts
from edgesdk.model import Model
from edgesdk.tensors import Array, TensorSpec

ShowProgress: TypeAlias = Callable[[str, float, float | None], None]
"""Called with what is being done, the share done (0..1, never falling) and the seconds left
(None: too early to tell). It may be called from threads of the engine's builder."""


def no_progress(name: str, done: float, left_s: float | None) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Probe:
    """Whether a backend can work on this machine, and if not, why and what mends it."""

    backend: str
    usable: bool
    version: str = ""
    """Of the library behind it; empty when it is absent."""
    reason: str = ""
    """One sentence: what was found."""
    fix: str = ""
    """What to do; empty when usable."""


@dataclass(frozen=True)
class Engine:
    """A model compiled by one backend. For TensorRT it fits one version and one kind of GPU."""

    backend: str
    data: bytes
    layers: tuple[LayerFacts, ...] = ()
    """What it is made of; empty where the backend cannot tell."""
    warnings: tuple[str, ...] = ()
    """What who runs it should know, in sentences."""


class Session(Protocol):
    """An opened engine."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What `run` wants."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What `run` gives."""
        ...

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name for inputs by name.

        The outputs are the session's until the next `run`; copy what must live longer.
        Raises BackendError for a missing or unknown name, a wrong dtype or a wrong shape,
        and after `close`.
        """
        ...

    def close(self) -> None:
        """Free everything. Twice is harmless."""
        ...


class Backend(Protocol):
    """Makes sessions from models."""

    name: str

    def probe(self) -> Probe:
        """Truthfully, without raising and without side effects."""
        ...

    def compile(self, model: Model) -> Engine:
        """Compile for this machine. Raises BackendError with the backend's own reason."""
        ...

    def open(self, engine: Engine) -> Session:
        """Open what `compile` of the same backend made. Raises BackendError for any other."""
        ...
