"""One run of an engine: copies, inference and waiting, on one stream."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from edgesdk.backends._feeds import check_feeds
from edgesdk.backends.tensorrt.api.always.running import IExecutionContext
from edgesdk.backends.tensorrt.runtime.bindings import Bindings
from edgesdk.backends.tensorrt.runtime.graphs import Graph, capture
from edgesdk.backends.tensorrt.runtime.loading import LoadedEngine
from edgesdk.backends.tensorrt.runtime.phases import LayerTime, Phases, make_profiler
from edgesdk.backends.tensorrt.runtime.ports import read_ports, shapes_of
from edgesdk.errors import BackendError
from edgesdk.tensors import Array

GraphMode = Literal["auto", "off"]
"""Whether inference is started as one CUDA graph: "auto" does where all shapes are fixed and the
engine can be captured, from the second run on."""


class Running:
    """What a session holds on the GPU, and one run on it. Not for two threads at once.

    The caller has made the GPU's context current.
    """

    def __init__(self, loaded: LoadedEngine, graph: GraphMode) -> None:
        """Allocate everything. Raises BackendError when memory is full."""
        self.loaded = loaded
        self.graph_mode = graph
        self._messages = loaded.messages
        cuda = loaded.cuda
        self._inputs, self._outputs = read_ports(loaded.trt, loaded.engine)
        self.inputs = tuple(port.spec for port in self._inputs)
        self.outputs = tuple(port.spec for port in self._outputs)
        self.graph: Graph | None = None
        self.graph_problem = ""
        self._may_capture = graph == "auto" and all(spec.is_static for spec in self.inputs)
        self._warm = False
        self._context = loaded.context()
        self.stream = cuda.stream()
        self.bindings = Bindings(cuda, self._context, self._messages, self._inputs, self._outputs)
        self._marks = [cuda.event() for _ in range(4)]

    def take(self, feeds: Mapping[str, Array], filled: tuple[str, ...] = ()) -> None:
        """Check the inputs and write them into pinned memory.

        `filled` are the inputs that the GPU writes itself. Raises BackendError for wrong ones.
        """
        given = tuple(spec for spec in self.inputs if spec.name not in filled)
        check_feeds(given, feeds)
        shapes = shapes_of(feeds)
        for port in self._inputs:
            if port.name in feeds:
                port.check(feeds[port.name])
            elif port.range is not None:
                raise BackendError(
                    f"an input of varying size cannot be filled on the GPU: {port.spec}",
                    "build the engine for one shape",
                )
            else:
                shapes[port.name] = port.largest
        unknown = set(filled) - set(shapes)
        if unknown:
            names = ", ".join(sorted(shapes))
            raise BackendError(f"the model's inputs are {names}; found {', '.join(unknown)}")
        self.bindings.fit(shapes)
        self.bindings.fill(feeds)
        if self._may_capture and self._warm:
            self._capture()

    def execute(self, uploaded: Mapping[str, Array]) -> dict[str, Array]:
        """Run on what `take` wrote, and wait."""
        self.bindings.upload(self.stream, uploaded)
        self._infer()
        self.bindings.download(self.stream)
        self.stream.synchronize()
        return self.bindings.outputs()

    def timed(self, uploaded: Mapping[str, Array]) -> tuple[dict[str, Array], Phases]:
        """As `execute`, with marks between the phases."""
        start, sent, computed, fetched = self._marks
        start.record(self.stream)
        self.bindings.upload(self.stream, uploaded)
        sent.record(self.stream)
        before = time.perf_counter_ns()
        self._infer()
        enqueue_ms = (time.perf_counter_ns() - before) / 1e6
        computed.record(self.stream)
        self.bindings.download(self.stream)
        fetched.record(self.stream)
        self.stream.synchronize()
        phases = Phases(
            enqueue_ms,
            h2d_ms=sent.ms_since(start),
            compute_ms=computed.ms_since(sent),
            d2h_ms=fetched.ms_since(computed),
        )
        return self.bindings.outputs(), phases

    def profiled(self, uploaded: Mapping[str, Array], runs: int) -> tuple[LayerTime, ...]:
        """Layer times of a second context on the same buffers."""
        times: dict[str, list[float]] = {}
        context = self.loaded.context()
        profiler = make_profiler(self.loaded.trt, times)
        context.profiler = profiler
        self.bindings.bind(context)
        self.bindings.upload(self.stream, uploaded)
        for _ in range(runs):
            self._enqueue(context)
            self.stream.synchronize()
        return tuple(LayerTime(name, tuple(ms)) for name, ms in times.items())

    def close(self) -> None:
        """Free it, graph first: it has the buffers' addresses in it."""
        with self.loaded.primary.active():
            if self.graph is not None:
                self.graph.close()
            del self._context
            self.bindings.close()
            for mark in self._marks:
                mark.close()
            self.stream.close()
        # Outside the block: these may be the last that use the GPU's context.
        del self.bindings, self.loaded

    def _infer(self) -> None:
        """Put the inference on the stream."""
        if self.graph is not None:
            self.graph.launch(self.stream)
        else:
            self._enqueue(self._context)
            self._warm = True

    def _capture(self) -> None:
        """Make a graph, in the second run.

        TensorRT settles its state in the first enqueue after shapes were set, which cannot be
        captured. Nor can some engines, such as those with loops: they run without.
        """
        self._may_capture = False
        try:
            self.graph = capture(
                self.loaded.cuda, self.stream, lambda: self._enqueue(self._context)
            )
        except BackendError as error:
            self.graph_problem = error.message

    def _enqueue(self, context: IExecutionContext) -> None:
        if not context.execute_async_v3(self.stream.handle):
            raise self._messages.failed(
                "could not run the engine", "dmesg may say more; a smaller input may fit"
            )
