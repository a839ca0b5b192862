"""A detector as stages, so that each is timed for itself and inference can be shared."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgesdk.errors import ModelError, UsageError
from edgesdk.pipeline.packet import Event, Packet
from edgesdk.pipeline.protocols import Stage
from edgesdk.preprocess import Preparer
from edgesdk.tensors import Array, Floats, GivesOutputs, RunsAtOnce
from edgesdk.vision.detector import Detector

WAIT_S = 0.02
"""How long a batch is waited for: half the time between two frames at 25 fps."""


@dataclass(frozen=True)
class Step:
    """A function of a packet under a name: the shortest way to write a stage."""

    name: str
    work: Callable[[Packet], Packet]
    rest: Callable[[Packet], Sequence[Event]] | None = None
    """What is left to tell after the last packet, which it is given; None: nothing."""

    def __call__(self, packet: Packet) -> Packet:
        """Do the work."""
        return self.work(packet)

    def finish(self, last: Packet) -> Sequence[Event]:
        """The rest."""
        return self.rest(last) if self.rest else ()


class Inference:
    """The detector's session as a stage that streams can share: one run for up to `batch` packets.

    A model whose batch is fixed at N > 1 is filled with what there is; the rest of the batch
    repeats the last picture, and the answers to that are dropped.
    """

    name = "inference"

    def __init__(
        self, detector: Detector, batch: int = 1, wait_s: float = WAIT_S, parallel: int = 1
    ) -> None:
        """`batch` is the first size of the model's input; `wait_s`: how long to wait for so many,
        from the first on. `parallel`: so many runs at once, where the runner can and `batch` is 1;
        elsewhere there is one.

        Raises UsageError for a batch where the runner takes pictures one by one.
        """
        if detector.pictures is not None and batch > 1:
            raise UsageError(f"pictures go into this session one by one, found a batch of {batch}")
        self.detector = detector
        self.batch = batch
        self.wait_s = wait_s
        self.tensors: deque[Floats] = deque(maxlen=8)
        """Inputs that are free again."""
        self._batch: Floats | None = None
        given = isinstance(detector.runner, GivesOutputs) and detector.pictures is None
        at_once = isinstance(detector.runner, RunsAtOnce) and given and batch == 1
        self.parallel = parallel if at_once else 1
        self.joined = 0 if given else 1
        """Outputs that the session will write over are decoded before it runs again; those that
        are ours, while it does."""
        if detector.pictures is not None:
            self.name = "preprocess + inference"

    def __call__(self, packet: Packet) -> Packet:
        """Run one packet."""
        return self.run_batch((packet,))[0]

    def run_batch(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Outputs in place of inputs."""
        if self.detector.pictures is not None:
            return [self._look(packet) for packet in packets]
        name = self.detector.input_name
        inputs: list[Floats] = [packet.tensors[name] for packet in packets]
        if self.batch == 1:
            answers = [self.detector.infer(inputs[0])]
        else:
            answers = _cut(self.detector.infer(self._filled(inputs)), len(inputs), self.batch)
        self.tensors.extend(inputs)
        return [replace(p, tensors=a) for p, a in zip(packets, answers, strict=True)]

    def _look(self, packet: Packet) -> Packet:
        outputs, placement = self.detector.look(packet.frame.image)
        return replace(packet, tensors=outputs, placement=placement)

    def _filled(self, inputs: Sequence[Floats]) -> Floats:
        if self._batch is None:
            self._batch = np.empty((self.batch, *inputs[0].shape[1:]), np.float32)
        for i in range(self.batch):
            self._batch[i] = inputs[min(i, len(inputs) - 1)][0]
        return self._batch

    def decode(self, packet: Packet) -> Packet:
        """Boxes in place of outputs."""
        if packet.placement is None:
            raise UsageError("the stage 'decode' comes after 'preprocess' and 'inference'")
        found = self.detector.decode(dict(packet.tensors), packet.placement)
        # The outputs may belong to the session; no later stage may hold on to them.
        return replace(packet, detections=found, tensors={}, placement=None)


def detect_stages(detector: Detector, inference: Inference | None = None) -> tuple[Stage, ...]:
    """The stages "preprocess", "inference" and "decode", which fill `packet.detections`.

    Where the model's runner preprocesses as well, there are "preprocess + inference" and "decode".
    Several streams share a session through one `inference`, made from the same detector; each
    stream needs stages of its own from here. None: it is made.
    """
    shared = inference or Inference(detector)
    if detector.pictures is not None:
        return shared, Step("decode", shared.decode)
    prepare = Preparer(detector.preprocess, tensors=1)
    shape = (1, 3, detector.preprocess.height, detector.preprocess.width)

    def preprocess(packet: Packet) -> Packet:
        try:
            tensor = shared.tensors.pop()
        except IndexError:  # As many as are on their way at once; later ones are used again.
            tensor = np.empty(shape, np.float32)
        placement = prepare.into(packet.frame.image, tensor)
        return replace(packet, tensors={detector.input_name: tensor}, placement=placement)

    return Step("preprocess", preprocess), shared, Step("decode", shared.decode)


def _cut(outputs: Mapping[str, Array], count: int, batch: int) -> list[dict[str, Array]]:
    """The outputs of the first `count` pictures of a batch, each as for a batch of one."""
    for name, output in outputs.items():
        if output.ndim == 0 or output.shape[0] != batch:
            raise ModelError(
                f"the model takes {batch} pictures at once, but its output {name!r} has the shape"
                f" {'x'.join(map(str, output.shape))}",
                f"export it so that every output begins with {batch}",
            )
    return [{name: o[i : i + 1] for name, o in outputs.items()} for i in range(count)]
