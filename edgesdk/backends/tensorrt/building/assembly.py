"""TensorRT's objects of one build, made in order and kept alive until it is over."""

from __future__ import annotations

from typing import cast

from edgesdk.backends.tensorrt.api import from_ten
from edgesdk.backends.tensorrt.api.always import OnnxParser, ParserError, TensorRT
from edgesdk.backends.tensorrt.building.built import BuildOrder, DlaReport
from edgesdk.backends.tensorrt.building.calibrator import RangeCalibrator
from edgesdk.backends.tensorrt.building.dla import report_dla, use_dla
from edgesdk.backends.tensorrt.building.pools import set_pools
from edgesdk.backends.tensorrt.building.precision import (
    Typing,
    hand_over_ranges,
    hold,
    network_flags,
    precision_flags,
)
from edgesdk.backends.tensorrt.building.progress import Phases, Reporter, make_monitor
from edgesdk.backends.tensorrt.building.shapes import add_ranges
from edgesdk.backends.tensorrt.features import Features
from edgesdk.backends.tensorrt.logging import Messages, make_log
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.errors import BackendError
from edgesdk.model import Model

REBUILD = "build the bundle again with this edgesdk, for the JetPack of this board"
DOCTOR = "run `edgesdk doctor` to see what is missing here"
LISTED = 5


class Assembly:
    """Logger, builder, network and config; used in a `with` block.

    All are kept: the parser crashes when its network is collected.
    """

    def __init__(
        self, trt: TensorRT, features: Features, messages: Messages, reporter: Reporter
    ) -> None:
        """Raises BackendError where there is no driver that TensorRT can use."""
        self.trt, self.features = trt, features
        self.messages, self.reporter = messages, reporter
        self.warnings: list[str] = []
        self.calibrator: RangeCalibrator | None = None
        self.log = make_log(trt, messages)
        try:
            self.builder = trt.Builder(self.log)
        except TypeError as error:  # pybind11: the factory returned a null pointer
            raise messages.failed("cannot make a builder here", DOCTOR) from error
        self.config = self.builder.create_builder_config()

    def __enter__(self) -> Assembly:
        return self

    def __exit__(self, *error: object) -> None:
        self.messages.stop_listening()

    def parse(self, model: Model, typing: Typing) -> None:
        """Fill a network from the graph. Raises BackendError with all of the parser's errors."""
        flags = network_flags(self.trt, typing, self.features)
        self.network = self.builder.create_network(flags)
        self.parser = self.trt.OnnxParser(self.network, self.log)
        taken = self.parser.parse(model.to_bytes())
        if not taken or self.parser.num_errors:
            listed = "; ".join(_errors(self.parser, self.features)) or self.messages.last_errors()
            raise BackendError(
                f"TensorRT {self.features.version} does not take the graph: {listed}", REBUILD
            )
        if self.network.num_layers == 0:
            raise BackendError(f"TensorRT {self.features.version} made no layers of the graph")
        lost = hold(self.trt, self.network, typing.held)
        if lost:
            self.warnings.append(
                f"{len(lost)} operators that should stay in float may run in fewer bits, their "
                f"layers were not found: {', '.join(lost[:LISTED])}"
            )

    def configure(
        self, settings: EngineSettings, typing: Typing, order: BuildOrder
    ) -> DlaReport | None:
        """Set all that is asked. Raises BackendError for what TensorRT refuses."""
        trt, config = self.trt, self.config
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        for flag in precision_flags(trt, typing):
            config.set_flag(flag)
        if settings.implicit_int8:
            self.calibrator = hand_over_ranges(trt, config, order.ranges)
        if settings.version_compatible:
            config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
        if settings.strip_weights:
            self._strip()
        if settings.optimization_level is not None:
            config.builder_optimization_level = settings.optimization_level
        add_ranges(self.builder, config, settings.shapes, self.messages)
        if settings.dla:
            use_dla(trt, self.builder, config, settings.dla)
        set_pools(trt, config, settings, order.memory_bytes, self.messages)
        if settings.dla:
            return report_dla(trt, self.network, config, settings.dla, self.features)
        return None

    def _strip(self) -> None:
        flags = cast("type[from_ten.BuilderFlag]", self.trt.BuilderFlag)
        self.config.set_flag(flags.STRIP_PLAN)
        # The very weights that were there come back, so TensorRT may still optimize for them.
        self.config.set_flag(flags.REFIT_IDENTICAL)

    def build(self) -> bytes:
        """The engine's bytes. Raises BackendError in TensorRT's words, or when it was stopped."""
        if self.features.progress_monitor:
            self.monitor = make_monitor(self.trt, Phases(self.reporter))
            cast("from_ten.IBuilderConfig", self.config).progress_monitor = self.monitor
        memory = self.builder.build_serialized_network(self.network, self.config)
        self.reporter.settle()
        if memory is None or memory.nbytes == 0:
            raise self.messages.failed("could not build the engine", REBUILD)
        if self.calibrator is not None and self.calibrator.refused:
            raise self.messages.failed("did not take the ranges of calibration", REBUILD)
        return bytes(memory)


def _errors(parser: OnnxParser, features: Features) -> list[str]:
    found = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        where = f"node {error.node()}"
        if features.node_names:
            named = cast("from_ten.ParserError", error)
            where = f"{named.node_name() or where} ({named.node_operator()})"
        found.append(f"{where}: {_said(error)}")
    return list(dict.fromkeys(found))


def _said(error: ParserError) -> str:
    """TensorRT's words, which may be one: the condition in its source that was "false"."""
    text = error.desc().strip()
    if " " in text:
        return text
    kind = str(error.code()).rpartition(".")[2].lower().replace("_", " ")
    return f"{kind} ({text})" if text else kind
