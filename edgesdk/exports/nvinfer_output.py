"""How nvinfer reads a model's output, as near to a bundle's decoder as its keys reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgesdk.model import Model
from edgesdk.spec import ModelSpec
from edgesdk.vision.decoders import decoder_settings
from edgesdk.vision.nms import BoxSettings, NmsSettings

DETECTOR, CLASSIFIER, OTHER = "0", "1", "100"
"""Of nvinfer's network-type."""
NMS, NO_CLUSTERING = "2", "4"
"""Of nvinfer's cluster-mode."""
ANY_SCORE = "0.0"


@dataclass(frozen=True)
class OutputKeys:
    """What stands in the config about outputs."""

    properties: dict[str, str]
    """Keys of [property]."""
    classes: dict[str, str]
    """Keys of [class-attrs-all]."""
    missing: tuple[str, ...]
    """Lines of [property] that only the user can fill in, e.g. "custom-lib-path=..."."""
    differences: tuple[str, ...]
    """What nvinfer does otherwise than the bundle, in sentences."""


def output_keys(spec: ModelSpec, model: Model) -> OutputKeys:
    """Keys for the decoder of a spec. Raises ConfigError for a decoder with bad settings."""
    if not spec.decoder:
        raw = {"network-type": OTHER, "output-tensor-meta": "1"}
        said = "the bundle has no decoder: nvinfer hands the raw outputs on as tensor meta"
        return OutputKeys(raw, {}, (), (said,))
    settings = decoder_settings(spec.decoder, "the bundle's spec")
    if isinstance(settings, BoxSettings):
        return _detector(spec, settings, model)
    return _classifier(spec, getattr(settings, "softmax", False))


def label_file(spec: ModelSpec) -> str:
    """labels.txt: one label on each line for a detector, all on one for a classifier."""
    kind = spec.decoder.get("type")
    return ";".join(spec.labels) + "\n" if kind == "classes" else "\n".join([*spec.labels, ""])


def _detector(spec: ModelSpec, settings: BoxSettings, model: Model) -> OutputKeys:
    kind = spec.decoder["type"]
    cluster = NMS if isinstance(settings, NmsSettings) else NO_CLUSTERING
    properties = {"network-type": DETECTOR, "cluster-mode": cluster}
    classes = len(spec.labels) or _classes_of(kind, model)
    missing = ["parse-bbox-func-name=...", "custom-lib-path=..."]
    if classes:
        properties["num-detected-classes"] = str(classes)
    else:
        missing.append("num-detected-classes=...")
    thresholds = {"pre-cluster-threshold": repr(settings.score_threshold)}
    if isinstance(settings, NmsSettings):
        thresholds["nms-iou-threshold"] = repr(settings.iou_threshold)
    thresholds["topk"] = str(settings.max_detections)
    said = tuple(_detector_differences(kind, spec, settings))
    return OutputKeys(properties, thresholds, tuple(missing), said)


def _classes_of(kind: str, model: Model) -> int:
    """How many classes a YOLOX head has: 1 x N x (5 + C); 0: not known."""
    shape = model.outputs[0].shape
    last = shape[-1] if kind == "yolox" and len(shape) == 3 else 0
    return last - 5 if isinstance(last, int) and last > 5 else 0


def _detector_differences(kind: str, spec: ModelSpec, settings: BoxSettings) -> Iterator[str]:
    yield (
        f"nvinfer has no parser for the outputs of {kind}. Without a library that has one "
        "(parse-bbox-func-name and custom-lib-path) it finds nothing. Or take network-type=100 and "
        "output-tensor-meta=1, and decode the tensors in the app"
    )
    yield f"topk is for each class; the bundle keeps {settings.max_detections} boxes in all"
    if isinstance(settings, NmsSettings):
        yield from _suppression_differences(settings)
    yield from _label_differences(spec)


def _suppression_differences(settings: NmsSettings) -> Iterator[str]:
    if settings.class_agnostic:
        yield (
            "nvinfer suppresses boxes within one class only; the bundle's decoder does so across "
            "classes too (class_agnostic)"
        )
    if settings.inside_threshold < 1:
        yield (
            "nvinfer does not drop boxes inside better ones; the bundle's decoder does "
            f"(inside_threshold = {settings.inside_threshold})"
        )


def _classifier(spec: ModelSpec, softmax: bool) -> OutputKeys:
    properties = {"network-type": CLASSIFIER, "classifier-threshold": ANY_SCORE}
    said = list(_label_differences(spec))
    if softmax:
        said.append(
            "the outputs are logits, and nvinfer takes no softmax: it compares them with "
            "classifier-threshold as they are and drops a best one below 0. Put a Softmax at the "
            "model's end for probabilities"
        )
    return OutputKeys(properties, {}, (), tuple(said))


def _label_differences(spec: ModelSpec) -> Iterator[str]:
    broken = [label for label in spec.labels if ";" in label]
    if broken:
        yield f"nvinfer splits labels at semicolons: {broken[0]!r} becomes more than one"
    if not spec.labels:
        yield "the bundle has no labels, so nvinfer numbers the classes"
