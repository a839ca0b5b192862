"""The memory behind an engine's inputs and outputs, allocated once for the largest shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from edgesdk.backends.tensorrt.api.always.running import IExecutionContext
from edgesdk.backends.tensorrt.cuda import Buffer, Cuda, Stream
from edgesdk.backends.tensorrt.logging import Messages
from edgesdk.backends.tensorrt.runtime.ports import Port, Shape, nbytes
from edgesdk.errors import BackendError
from edgesdk.tensors import Array

OUTSIDE = "build the engine for a shape range that has this shape in it"


class Bindings:
    """One buffer for each tensor of an execution context, and views of them in today's shapes.

    The caller has made the GPU's context current.
    """

    def __init__(
        self,
        cuda: Cuda,
        context: IExecutionContext,
        messages: Messages,
        inputs: tuple[Port, ...],
        outputs: tuple[Port, ...],
    ) -> None:
        """Allocate. Raises BackendError when memory is full or an output's size depends on data."""
        self._cuda, self._context, self._messages = cuda, context, messages
        self._inputs, self._outputs = inputs, outputs
        self._buffers: dict[str, Buffer] = {}
        self._views: dict[str, Array] = {}
        self._shapes: dict[str, Shape] = {}
        self.fit({port.name: port.largest for port in inputs})

    def fit(self, shapes: Mapping[str, Shape]) -> None:
        """Tell TensorRT the inputs' shapes, and lay views over the buffers; nothing if unchanged.

        Memory is allocated only when an output has become larger than ever.
        """
        if self._shapes == shapes:
            return
        self._shapes = {}
        for port in self._inputs:
            shape = shapes[port.name]
            if port.range and not self._context.set_input_shape(port.name, shape):
                raise self._messages.failed(f"does not take {port.name} of shape {shape}", OUTSIDE)
            self._lay(port, shape)
        for port in self._outputs:
            shape = tuple(self._context.get_tensor_shape(port.name))
            if -1 in shape:
                raise BackendError(
                    f"the size of the output {port.name!r} depends on the values of the inputs",
                    "end the model before that step, such as NonZero or NonMaxSuppression: "
                    "edgesdk decodes detections itself",
                )
            self._lay(port, shape)
        self._shapes = dict(shapes)

    def fill(self, feeds: Mapping[str, Array]) -> None:
        """Write inputs into the host's side."""
        for name, value in feeds.items():
            np.copyto(self._views[name], value)

    def upload(self, stream: Stream, names: Iterable[str]) -> None:
        """Send inputs to the device."""
        for name in names:
            self._buffers[name].upload(stream, self._views[name].nbytes)

    def download(self, stream: Stream) -> None:
        """Fetch all outputs from the device."""
        for port in self._outputs:
            self._buffers[port.name].download(stream, self._views[port.name].nbytes)

    def outputs(self) -> dict[str, Array]:
        """Views of the host's side: the same arrays until the shapes change."""
        return {port.name: self._views[port.name] for port in self._outputs}

    def address(self, name: str) -> int:
        """Of a tensor, on the device."""
        return self._buffers[name].device

    def bind(self, context: IExecutionContext) -> None:
        """Give another context of the same engine these addresses and shapes."""
        for port in self._inputs:
            if port.range:
                context.set_input_shape(port.name, self._shapes[port.name])
        for name, buffer in self._buffers.items():
            context.set_tensor_address(name, buffer.device)

    def close(self) -> None:
        """Free the buffers; views that someone holds stay valid."""
        self._views.clear()
        for buffer in self._buffers.values():
            buffer.close()

    def _lay(self, port: Port, shape: Shape) -> None:
        size = nbytes(port.spec, shape)
        buffer = self._buffers.get(port.name)
        if buffer is None or buffer.nbytes < size:
            if buffer is not None:
                buffer.close()
            buffer = self._buffers[port.name] = self._cuda.buffer(size)
            if not self._context.set_tensor_address(port.name, buffer.device):
                raise self._messages.failed(f"does not take an address for {port.name}", "")
        self._views[port.name] = buffer.host[:size].view(port.spec.dtype).reshape(shape)
