"""Many candidates against one float model: the same figures, whatever is kept in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from onnx import helper, numpy_helper

from edgesdk.accuracy import Measured, Reference
from edgesdk.backends import Backend, Engine, Probe, Session, load_backend
from edgesdk.build.evidence import evidence, refuse_flat
from edgesdk.bundle import Accuracy
from edgesdk.detections import Detections
from edgesdk.errors import DataError, ModelError
from edgesdk.model import Model
from edgesdk.pictures import Picture, PictureSet
from edgesdk.preprocess import Preprocess
from edgesdk.quantize.fp16 import write_fp16
from edgesdk.spec import ModelSpec
from edgesdk.tensors import Array, TensorSpec
from tests.onnx_graphs import make_model, small_detector

SPEC = ModelSpec(
    Preprocess(32, 32, "letterbox-top-left", "bgr", 1 / 255),
    {"type": "yolox", "strides": [2]},
    ("car", "bus"),
)
PLAIN = replace(SPEC, decoder={})
MODEL = Model.of(small_detector(), "small")
BACKEND = load_backend("onnxruntime", threads=1, exact=True)


def pictures(count: int = 6, labelled: bool = True) -> PictureSet:
    """Noise of several sizes, each with one box labelled on it."""

    def load(index: int) -> Picture:
        image = np.random.default_rng(index).integers(0, 256, (40, 30 + 9 * index, 3), np.uint8)
        box = np.array([[2, 2, 20, 20]], np.float32)
        truth = Detections(box, np.ones(1, np.float32), np.array([index % 2]))
        return Picture(f"{index}.png", image, truth if labelled else None)

    return PictureSet(
        "noise",
        count,
        lambda: ((f"{i}.png", partial(load, i)) for i in range(count)),
        labelled,
    )


def changed(scale: float, which: str = "w3", seed: int = 0) -> Model:
    """The model with noise of `scale` on one weight."""
    proto = small_detector()
    for tensor in proto.graph.initializer:
        if tensor.name == which:
            weight = numpy_helper.to_array(tensor)
            noise = np.random.default_rng(seed).normal(0, scale, weight.shape)
            tensor.CopyFrom(numpy_helper.from_array((weight + noise).astype(np.float32), which))
    return Model.of(proto, "changed")


def reference(spec: ModelSpec = SPEC, **settings: int) -> Reference:
    return Reference(MODEL, spec, BACKEND, pictures(), **settings)


def test_the_float_model_itself_costs_nothing() -> None:
    measured = reference().measure(MODEL)
    assert {o.sqnr_db for o in measured.outputs.values()} == {None}
    assert [(m.drop, m.drop_low, m.drop_high) for m in measured.metrics] == [(0, 0, 0)] * 3
    assert measured.flat == ()


def test_more_noise_agrees_less() -> None:
    one = reference()
    found = [one.measure(changed(scale)).metric("agreement") for scale in (0.001, 0.03, 0.3)]
    values = [metric.bundle for metric in found if metric]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.9 > values[-1]


@pytest.mark.parametrize("spec", [SPEC, PLAIN])
@pytest.mark.parametrize("workers", [1, 3])
def test_memory_and_threads_change_no_figure(spec: ModelSpec, workers: int) -> None:
    expected = reference(spec).measure(changed(0.05))
    # 0 bytes: pictures are read and the float model is run again each time. 20,000 bytes: some.
    for cache_bytes in (0, 20_000):
        small = reference(spec, workers=workers, cache_bytes=cache_bytes)
        assert small.measure(changed(0.05)) == expected
        assert small.measure(changed(0.05), [4, 1]) == reference(spec).measure(
            changed(0.05), [1, 4]
        )


def test_a_part_of_the_pictures_is_measured_as_if_there_were_no_others() -> None:
    part = reference().measure(changed(0.05), range(3))
    alone = Reference(MODEL, SPEC, BACKEND, pictures(3)).measure(changed(0.05))
    assert part == alone
    assert part.pictures == 3


def test_names_follow_the_pictures() -> None:
    assert reference().names == tuple(f"{i}.png" for i in range(6))


def test_without_labels_there_is_agreement_and_the_reason() -> None:
    measured = Reference(MODEL, SPEC, BACKEND, pictures(labelled=False)).measure(changed(0.01))
    assert [metric.name for metric in measured.metrics] == ["agreement"]
    assert "no labels" in measured.note


class Tensors:
    """Inputs that are no pictures."""

    source = "arrays.npz"
    count: int | None = 5

    def __init__(self) -> None:
        self.skipped: dict[str, str] = {}

    def __iter__(self) -> Iterator[tuple[str, dict[str, Array]]]:
        rng = np.random.default_rng(7)
        for index in range(5):
            yield str(index), {"images": rng.random((1, 3, 32, 32), np.float32)}


def test_tensors_do_instead_of_pictures() -> None:
    one = Reference(MODEL, PLAIN, BACKEND, Tensors())
    measured = one.measure(changed(0.01))
    assert (one.names, one.source) == (tuple("01234"), "arrays.npz")
    (metric,) = measured.metrics
    assert metric.name == "agreement"
    assert 0.9 < metric.bundle < 1


# --- classifiers -----------------------------------------------------------------------------


def classifier(weights: Array) -> Model:
    """Mean of each colour, then a linear layer of 3 inputs."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["logits"]),
    ]
    constants = {"w": weights.astype(np.float32)}
    return Model.of(make_model(nodes, constants, {"images": [1, 3, 8, 8]}, ["logits"]))


def flat_colours() -> PictureSet:
    """Ten of blue, green and red in turn; the last two are labelled wrongly."""

    def load(index: int) -> Picture:
        image = np.zeros((8, 8, 3), np.uint8)
        image[..., index % 3] = 200
        return Picture(str(index), image, class_id=(index + (index >= 8)) % 3)

    return PictureSet(
        "colours", 10, lambda: ((str(i), partial(load, i)) for i in range(10)), labelled=True
    )


def test_top_one_and_agreement_of_a_classifier() -> None:
    spec = ModelSpec(Preprocess(8, 8, "stretch", "bgr"), {"type": "classes"}, ("b", "g", "r"))
    one = Reference(classifier(np.eye(3)), spec, BACKEND, flat_colours())
    blind_to_red = np.diag([1.0, 1.0, -1.0])
    measured = one.measure(classifier(blind_to_red))
    top, agreement = measured.metrics
    # 8 of 10 labels are right. The candidate calls the 3 red ones (2, 5, 8) blue; 2 and 5 are
    # labelled red, 8 is labelled blue by mistake.
    assert (top.name, top.float_model, top.bundle) == ("top-1", 0.8, pytest.approx(0.7))
    assert (agreement.name, agreement.bundle) == ("agreement", pytest.approx(0.7))


# --- what is wrong ---------------------------------------------------------------------------


def test_nan_in_the_candidate_names_output_and_picture() -> None:
    with pytest.raises(ModelError, match=r"built graph gives NaN or infinity in 'boxes' for 0\."):
        reference().measure(changed(np.inf))


def test_nan_in_the_float_model_is_not_blamed_on_the_candidate() -> None:
    broken = Reference(changed(np.inf), SPEC, BACKEND, pictures())
    with pytest.raises(ModelError, match="float model itself"):
        broken.measure(MODEL)


def test_a_label_without_a_class_is_refused() -> None:
    with pytest.raises(DataError, match=r"1\.png is labelled with class 1; .* 1 classes"):
        Reference(MODEL, replace(SPEC, labels=("car",)), BACKEND, pictures(), workers=2)


def joined_head(dead: bool) -> Model:
    """Boxes of some hundred pixels joined with scores 0..1; dead: all scores are 0."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["images", "wb"], ["b"], "boxes", pads=[1] * 4),
        helper.make_node("Abs", ["b"], ["boxes"]),
        helper.make_node("Conv", ["images", "ws"], ["s"], "scores", pads=[1] * 4),
        helper.make_node("Sigmoid", ["s"], ["raw"]),
        helper.make_node("Mul", ["raw", "alive"], ["classes"]),
        helper.make_node("Concat", ["boxes", "classes"], ["map"], axis=1),
        helper.make_node("Reshape", ["map", "shape"], ["output"]),
    ]
    constants = {
        "wb": rng.normal(0, 500, (4, 3, 3, 3)).astype(np.float32),
        "ws": rng.normal(0, 1, (6, 3, 3, 3)).astype(np.float32),
        "alive": np.array(0.0 if dead else 1.0, np.float32),
        "shape": np.array([1, 10, -1], np.int64),
    }
    return Model.of(make_model(nodes, constants, {"images": [1, 3, 32, 32]}, ["output"]))


def evidence_of(built: Model, float_model: Model = MODEL, backend: Backend = BACKEND) -> Accuracy:
    spec = SPEC if float_model is MODEL else PLAIN
    reference = Reference(float_model, spec, backend, pictures())
    measured = reference.measure(built)
    refuse_flat(measured)
    return evidence(reference, measured, True, reference.cross_check(built, 0))


def test_dead_scores_in_a_joined_output_stop_the_build() -> None:
    fine = evidence_of(joined_head(False), joined_head(False))
    assert set(fine.outputs) == {"output[0:4]", "output[4:10]"}
    with pytest.raises(ModelError, match=r"'output\[4:10\]' .* same for every picture") as caught:
        evidence_of(joined_head(True), joined_head(False))
    assert "in float" in caught.value.hint
    found: Measured = Reference(joined_head(False), PLAIN, BACKEND, pictures()).measure(
        joined_head(True)
    )
    assert found.flat == ("output[4:10]",), "a search may go on"


def test_what_the_float_model_leaves_constant_stops_nothing() -> None:
    accuracy = evidence_of(joined_head(True), joined_head(True))
    assert not any(output.flat for output in accuracy.outputs.values())


# --- the engine against onnx.reference -------------------------------------------------------


class Lying:
    """ONNX Runtime, except that its answers for one model come out 20 % too large."""

    name = "lying"

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def probe(self) -> Probe:
        return BACKEND.probe()

    def compile(self, model: Model) -> Engine:
        prefix = b"1" if model.digest == self._digest else b"0"
        return Engine(self.name, prefix + model.to_bytes())

    def open(self, engine: Engine) -> Session:
        session = BACKEND.open(Engine("onnxruntime", engine.data[1:]))
        return Scaled(session) if engine.data[:1] == b"1" else session


class Scaled:
    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._session.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._session.outputs

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {n: v * np.float32(1.2) for n, v in self._session.run(feeds).items()}

    def close(self) -> None:
        self._session.close()


def test_an_engine_that_computes_something_else_is_found_out() -> None:
    built = changed(0.001)
    honest = evidence_of(built)
    assert set(honest.checks) == {"boxes", "objectness", "classes"}
    assert honest.check_note == ""
    # These boxes are nobody's truth: that the float model finds none of them is said, and no more.
    assert [warning.partition(" on ")[0] for warning in honest.warnings] == [
        "the float model's own mAP50-95"
    ]
    doubtful = evidence_of(built, backend=Lying(built.digest))
    assert "onnx.reference disagree on 'boxes'" in doubtful.warnings[1]
    assert "do not trust" in doubtful.warnings[1]


def quantized(opset: int) -> Model:
    """One convolution with Q/DQ on its input."""
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["x"]),
        helper.make_node("Conv", ["x", "w"], ["output"], "conv"),
    ]
    constants = {
        "s": np.array(1 / 127, np.float32),
        "z": np.array(0, np.int8),
        "w": np.random.default_rng(0).normal(0, 1, (5, 3, 3, 3)).astype(np.float32),
    }
    inputs = {"images": [1, 3, 32, 32]}
    return Model.of(make_model(nodes, constants, inputs, ["output"], opset))


@pytest.mark.parametrize("opset", [13, 17, 19])
def test_older_operator_sets_are_checked_on_a_copy(opset: int) -> None:
    float_model = Model.of(
        make_model(
            [helper.make_node("Conv", ["images", "w"], ["output"], "conv")],
            {"w": numpy_helper.to_array(quantized(opset).proto.graph.initializer[2])},
            {"images": [1, 3, 32, 32]},
            ["output"],
            opset,
        )
    )
    one = Reference(float_model, PLAIN, BACKEND, pictures())
    check = one.cross_check(quantized(opset), macs=0)
    (found,) = check.by_group.values()
    assert found.engine_db == pytest.approx(found.reference_db, abs=0.01)
    assert found.engine_db is not None
    assert 30 < found.engine_db < 60, "an INT8 input costs something"
    assert found.apart_db is None or found.apart_db > 100
    assert check.doubtful == ()


def test_a_large_net_is_not_checked_and_that_is_said() -> None:
    check = reference().cross_check(MODEL, macs=4_400_000_000)
    assert check.by_group == {}
    assert "4.4e9 multiply-accumulates" in check.note


def test_half_precision_alone_is_not_checked_and_that_is_said() -> None:
    check = reference().cross_check(write_fp16(MODEL), macs=0)
    assert check.by_group == {}
    assert "half precision" in check.note


def test_what_the_reference_cannot_run_is_said() -> None:
    def graph(operator: str) -> Model:
        node = helper.make_node(operator, ["images"], ["output"])
        return Model.of(make_model([node], {}, {"images": [1, 3, 32, 32]}, ["output"], 19))

    one = Reference(graph("Relu"), PLAIN, BACKEND, pictures())
    check = one.cross_check(graph("Unheard"), macs=0)
    assert "onnx.reference cannot run it" in check.note
