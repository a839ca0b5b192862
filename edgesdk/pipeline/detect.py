"""A detector as three stages, so that each is timed for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgesdk.errors import UsageError
from edgesdk.pipeline.packet import Packet
from edgesdk.pipeline.protocols import Stage
from edgesdk.vision.detector import Detector


@dataclass(frozen=True)
class Step:
    """A function of a packet under a name: the shortest way to write a stage."""

    name: str
    work: Callable[[Packet], Packet]

    def __call__(self, packet: Packet) -> Packet:
        """Do the work."""
        return self.work(packet)


def detect_stages(detector: Detector) -> tuple[Stage, ...]:
    """The stages "preprocess", "inference" and "decode", which fill `packet.detections`.

    Where the model's runner preprocesses as well, there are "preprocess + inference" and "decode".
    """

    def preprocess(packet: Packet) -> Packet:
        tensor, placement = detector.prepare(packet.frame.image)
        return replace(packet, tensors={detector.input_name: tensor}, placement=placement)

    def infer(packet: Packet) -> Packet:
        return replace(packet, tensors=detector.runner.run(packet.tensors))

    def look(packet: Packet) -> Packet:
        outputs, placement = detector.look(packet.frame.image)
        return replace(packet, tensors=outputs, placement=placement)

    def decode(packet: Packet) -> Packet:
        if packet.placement is None:
            raise UsageError("the stage 'decode' comes after 'preprocess' and 'inference'")
        found = detector.decode(dict(packet.tensors), packet.placement)
        # The outputs belong to the session; no later stage may hold on to them.
        return replace(packet, detections=found, tensors={}, placement=None)

    if detector.pictures is not None:
        return Step("preprocess + inference", look), Step("decode", decode)
    return Step("preprocess", preprocess), Step("inference", infer), Step("decode", decode)
