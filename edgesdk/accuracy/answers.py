"""From a model's outputs to what is compared: parts of one meaning, boxes or a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edgesdk.accuracy.groups import Cut, cut_outputs
from edgesdk.accuracy.samples import Sample
from edgesdk.detections import Detections
from edgesdk.errors import DataError
from edgesdk.spec import ModelSpec
from edgesdk.tensors import Array
from edgesdk.vision.decoders import Decoder, make_decoder, with_known
from edgesdk.vision.inspected import Inspected

MEASURING = {"score_threshold": 0.01, "max_detections": 100}
"""Settings of a detector's decoder while mAP is measured: it wants the faint boxes too."""

Answer = Detections | int | Inspected | None
"""Boxes of a detector, best class of a classifier, what an inspection model says, None where
nothing decodes the outputs."""


@dataclass(frozen=True)
class Reader:
    """Reads outputs as the spec says."""

    decoder: Decoder | None
    class_count: int = 0
    """As many as the spec names; 0: it names none."""
    cuts: Mapping[str, Cut] = field(default_factory=dict)
    """Output -> where it is cut, for joined outputs that no decoder knows."""

    @classmethod
    def of(cls, spec: ModelSpec | None) -> Reader:
        """Raises ConfigError or UnknownName for a decoder that is not there."""
        if spec is None or not spec.decoder:
            return cls(None, len(spec.labels) if spec else 0)
        table, where = spec.decoder, "the spec"
        decoder = make_decoder(table, where, spec.preprocess)
        if decoder.task == "detect":
            decoder = make_decoder(with_known(table, MEASURING), where, spec.preprocess)
        return cls(decoder, len(spec.labels))

    @property
    def task(self) -> str:
        """ "detect", "classify", "inspect" or empty."""
        return self.decoder.task if self.decoder else ""

    def groups(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs in parts of one meaning each; views."""
        return self.decoder.groups(outputs) if self.decoder else cut_outputs(outputs, self.cuts)

    def answer(self, outputs: Mapping[str, Array], sample: Sample) -> Answer:
        """What the model says of one sample."""
        if self.decoder is None:
            return None
        if self.decoder.task != "classify":
            return self.decoder.decode(outputs, sample.placement)
        return int(np.argmax(self.decoder.decode(outputs, sample.placement).scores))

    def check_classes(self, sample: Sample) -> None:
        """Raise DataError for a label that the spec has no class for."""
        given = [] if sample.truth is None else sample.truth.class_id.tolist()
        given += [] if sample.class_id is None else [sample.class_id]
        wrong = [c for c in given if not 0 <= c < self.class_count] if self.class_count else []
        if wrong:
            raise DataError(
                f"{sample.name} is labelled with class {wrong[0]}; "
                f"the spec names {self.class_count} classes, 0 to {self.class_count - 1}",
                "check that labels and spec belong to the same set of classes",
            )
