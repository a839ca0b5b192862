"""What a graph answers on each picture, and the figures of a float and an INT8 graph from that.

All graphs are scored alike: ONNX Runtime on the CPU, graph optimizations off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime

from benchmarks.quantization.precision import AveragePrecision
from edgesdk.detections import Detections
from edgesdk.pictures import Picture
from edgesdk.spec import ModelSpec
from edgesdk.vision.decoders import make_decoder

MEASURING = {"score_threshold": 0.01, "max_detections": 100}
"""Of a detector's decoder: mAP wants the faint boxes too."""
DRAWS = 1000


class Cards(Protocol):
    """Answers of one graph on all pictures, in their order."""

    def main_figure(self) -> float:
        """The task's metric."""
        ...

    def against(self, reference: Any, draws: int) -> dict[str, Any]:
        """Figures of this graph beside those of the float graph, `reference`."""
        ...

    def of(self, pictures: list[int]) -> Cards:
        """Those of some pictures."""
        ...


@dataclass(frozen=True)
class Boxes:
    """A detector's answers."""

    found: list[Detections]
    truth: list[Detections]

    def precision(self) -> AveragePrecision:
        """COCO's matching of what was found and what is there."""
        return AveragePrecision(self.found, self.truth)

    def main_figure(self) -> float:
        """mAP50-95."""
        return self.precision().by_pycocotools()[0]

    def against(self, reference: Boxes, draws: int) -> dict[str, Any]:
        """mAP50-95 and mAP50, with the drop's interval over pictures."""
        both = (reference.precision(), self.precision())
        weights = resamples(len(self.found), draws)
        values = [one.by_pycocotools() for one in both]
        drawn = [one.resampled(weights) for one in both]
        return {
            name: compared(values[0][i], values[1][i], drawn[0][:, i] - drawn[1][:, i])
            for i, name in enumerate(("mAP50-95", "mAP50"))
        }

    def of(self, pictures: list[int]) -> Boxes:
        """Those of some pictures."""
        return Boxes([self.found[i] for i in pictures], [self.truth[i] for i in pictures])


@dataclass(frozen=True)
class Classes:
    """A classifier's answers."""

    logits: np.ndarray
    """(N, C)"""
    truth: np.ndarray
    """(N,) class of each picture."""

    @property
    def right(self) -> np.ndarray:
        """1.0 for each picture whose largest logit is the right class's."""
        return (self.logits.argmax(1) == self.truth).astype(np.float64)

    def main_figure(self) -> float:
        """Top-1."""
        return float(self.right.mean())

    def against(self, reference: Classes, draws: int) -> dict[str, Any]:
        """Top-1 with the drop's interval, SQNR of the logits, agreement of the answers."""
        weights = resamples(len(self.truth), draws)
        drops = weights @ (reference.right - self.right) / len(self.truth)
        same = self.logits.argmax(1) == reference.logits.argmax(1)
        return {
            "top-1": compared(reference.main_figure(), self.main_figure(), drops),
            "logits_sqnr_db": sqnr_db(reference.logits, self.logits),
            "agreement": round(float(same.mean()), 4),
        }

    def of(self, pictures: list[int]) -> Classes:
        """Those of some pictures."""
        return Classes(self.logits[pictures], self.truth[pictures])


@dataclass(frozen=True)
class JoinedHead:
    """Raw answers of a head that joins boxes and scores: (N, 4 + C, anchors)."""

    output: np.ndarray

    def main_figure(self) -> float:
        """Mean of the largest score of each picture: there is no truth."""
        return float(self.output[:, 4:].max((1, 2)).mean())

    def against(self, reference: JoinedHead, draws: int) -> dict[str, Any]:
        """SQNR of boxes and scores apart, and how much of either no longer varies at all."""
        del draws
        figures: dict[str, Any] = {}
        for name, rows in {"boxes": slice(0, 4), "scores": slice(4, None)}.items():
            expected, found = reference.output[:, rows], self.output[:, rows]
            alive = np.ptp(expected, axis=2) > 0
            figures[f"{name}_sqnr_db"] = sqnr_db(expected, found)
            figures[f"{name}_flat_share"] = round(
                float((np.ptp(found, axis=2) == 0)[alive].mean()), 4
            )
        figures["largest_score"] = compared(reference.main_figure(), self.main_figure(), None)
        return figures

    def of(self, pictures: list[int]) -> JoinedHead:
        """Those of some pictures."""
        return JoinedHead(self.output[pictures])


def answers(model: bytes, kind: str, spec: ModelSpec, pictures: Iterator[Picture]) -> Cards:
    """Run the graph on each picture."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    names = [output.name for output in session.get_outputs()]
    table = {**spec.decoder, **(MEASURING if kind == "detect" else {})}
    decoder = make_decoder(table, "the benchmark", spec.preprocess) if spec.decoder else None
    raw: list[np.ndarray] = []
    found: list[Detections] = []
    boxes: list[Detections] = []
    classes: list[int] = []
    for picture in pictures:
        tensor, placement = spec.preprocess(picture.image)
        outputs = session.run(names, {name: tensor})
        if decoder is not None and decoder.task == "detect" and picture.truth is not None:
            found.append(decoder.decode(dict(zip(names, outputs, strict=True)), placement))
            boxes.append(picture.truth)
        else:
            raw.append(outputs[0][0])
            classes.append(_class_of(picture))
    if kind == "detect":
        return Boxes(found, boxes)
    if kind == "classify":
        return Classes(np.stack(raw), np.array(classes))
    return JoinedHead(np.stack(raw))


def _class_of(picture: Picture) -> int:
    """Its label; in imagenet500 the first four digits of the file's name."""
    if picture.class_id is not None:
        return picture.class_id
    digits = re.match(r"\d{4}(?=_)", Path(picture.name).name)
    return int(digits[0]) if digits else -1


def resamples(pictures: int, draws: int) -> np.ndarray:
    """How often each picture is drawn: (draws, pictures), the same for both graphs (paired)."""
    drawn = np.random.default_rng(0).integers(pictures, size=(draws, pictures))
    return np.stack([np.bincount(row, minlength=pictures) for row in drawn]).astype(np.float64)


def compared(float_value: float, value: float, drops: np.ndarray | None) -> dict[str, float]:
    """Both figures, the drop (positive: INT8 is worse) and its 95 % interval."""
    figures = {"float": float_value, "int8": value, "drop": float_value - value}
    if drops is not None:
        figures["low"], figures["high"] = (float(v) for v in np.percentile(drops, (2.5, 97.5)))
    return {key: round(number, 4) for key, number in figures.items()}


def sqnr_db(expected: np.ndarray, found: np.ndarray) -> float | None:
    """10 log10(sum expected^2 / sum (expected - found)^2); None: equal."""
    a, b = expected.astype(np.float64), found.astype(np.float64)
    noise = float(np.square(a - b).sum())
    return round(10 * float(np.log10(np.square(a).sum() / noise)), 2) if noise else None
