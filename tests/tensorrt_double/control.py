"""What a test can ask of the double, and what it finds there afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Control:
    """Set the switches before the call that they concern; read `calls` after it."""

    calls: list[str] = field(default_factory=list)
    """Each call of a TensorRT method, in order: "IExecutionContext.execute_async_v3(7)"."""
    no_driver: bool = False
    """Builder and Runtime give a null pointer, as TensorRT does without a driver."""
    fail_build: str = ""
    """The error to log; the build then gives None."""
    fail_enqueue: str = ""
    """The error to log; execute_async_v3 then gives False."""
    fail_context: bool = False
    """create_execution_context gives None, as with too little memory."""
    refuse: tuple[str, ...] = ()
    """Methods that answer False: "IBuilderConfig.set_timing_cache"."""
    compute_capability: str = "8.7"
    """Of the GPU; engines of another one are refused."""
    dla_cores: int = 2
    not_on_dla: tuple[str, ...] = ()
    """ONNX nodes that DLA refuses, besides those of an operator it does not know."""
    not_in_int8: tuple[str, ...] = ()
    """ONNX nodes whose layers run in FP16 although the graph asks for INT8."""
