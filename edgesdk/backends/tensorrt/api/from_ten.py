"""What TensorRT 10 and 11 have and 8 has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgesdk.backends.tensorrt.api.always import Flag, ILogger
from edgesdk.backends.tensorrt.api.always.running import Refitter

if TYPE_CHECKING:  # the module's attributes are named like their own types
    from edgesdk.backends.tensorrt.api import from_ten as api  # noqa: PLW0406


class TensorRT(Protocol):
    """The module `tensorrt`."""

    # Building
    IProgressMonitor: type[api.IProgressMonitor]
    OnnxParserRefitter: type[api.OnnxParserRefitter]


# Building


class BuilderFlag(Protocol):
    """What a builder may or must do."""

    STRIP_PLAN: Flag
    REFIT_IDENTICAL: Flag


class NetworkDefinitionCreationFlag(Protocol):
    """Kinds of networks."""

    STRONGLY_TYPED: Flag


class IProgressMonitor(Protocol):
    """Hears how far a build is; subclassed. Called from several threads; must not raise."""

    def __init__(self) -> None: ...

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """A phase of so many steps begins inside a step of its parent."""
        ...

    def step_complete(self, phase_name: str, step: int) -> bool:
        """One step is done, counted from 0; False: stop the build."""
        ...

    def phase_finish(self, phase_name: str) -> None:
        """A phase ends, after all its steps or before."""
        ...


class IBuilderConfig(Protocol):
    """How a network is built."""

    progress_monitor: IProgressMonitor


class ParserError(Protocol):
    """What the parser refuses."""

    def node_name(self) -> str:
        """The ONNX node's name."""
        ...

    def node_operator(self) -> str:
        """The ONNX operator."""
        ...


class OnnxParserRefitter(Protocol):
    """Puts the weights of an ONNX file into an engine."""

    num_errors: int

    def __init__(self, refitter: Refitter, logger: ILogger) -> None: ...

    def refit_from_bytes(self, model: bytes) -> bool:
        """Hand over all weights; False: they do not fit."""
        ...
