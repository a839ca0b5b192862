"""Models and data that are not as expected: each handled, or refused in one clear paragraph."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgesdk.bundle import Bundle, open_bundle
from edgesdk.errors import ModelError
from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.model.prepare import prepare
from edgesdk.model.quantized import quantized_operators, strip_quantization
from tests.command import edgesdk
from tests.onnx_graphs import make_model, small_detector

GRAPHS = Path(__file__).parent / "graphs"
SPEC = '[preprocess]\nwidth = 32\nheight = 32\nresize = "stretch"\nscale = 0.0039\n'
BUILD = ("build", "net.onnx", "--device", "orin", "--quiet")
PICTURES = (*BUILD, "--spec", "spec.toml", "--data", "pictures")
ARRAYS = (*BUILD, "--data", "feeds.npz")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with net.onnx, spec.toml and six pictures."""
    write(tmp_path, small_detector())
    (tmp_path / "spec.toml").write_text(SPEC)
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(3)
    for index in range(6):
        image = rng.integers(0, 256, (40, 60, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "pictures" / f"{index}.png"), image)
    return tmp_path


def write(work: Path, proto: onnx.ModelProto) -> None:
    (work / "net.onnx").write_bytes(proto.SerializeToString())


def take(work: Path, fixture: str) -> None:
    shutil.copy(GRAPHS / f"{fixture}.onnx", work / "net.onnx")


def built(work: Path, *arguments: object) -> Bundle:
    done = edgesdk(*arguments, cwd=work)
    assert done.returncode == 0, done.stderr
    return open_bundle(work / "net.edge")


def refused(work: Path, *arguments: object, exit_code: int = 1) -> str:
    """One paragraph on stderr with a hint, nothing on stdout, nothing left behind."""
    before = sorted(str(p) for p in work.rglob("*"))
    done = edgesdk(*arguments, cwd=work)
    assert done.returncode == exit_code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "hint:" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 12
    assert sorted(str(p) for p in work.rglob("*")) == before
    return " ".join(done.stderr.split())


# --- models that are quantized already ----------------------------------------------------------


def quantized(work: Path, jetpack: str = "6.2") -> onnx.ModelProto:
    """The INT8 graph of an own build, given as if it came from elsewhere."""
    proto = built(work, *PICTURES, "--jetpack", jetpack).model().proto
    shutil.rmtree(work / "net.edge")
    write(work, proto)
    return proto


def test_a_quantized_model_is_refused_with_what_it_holds(work: Path) -> None:
    quantized(work)
    said = refused(work, *PICTURES)
    assert "already quantized: it holds 6 DequantizeLinear, 3 QuantizeLinear" in said
    assert "--requantize" in said


@pytest.mark.parametrize("jetpack", ["6.0", "6.2"])
def test_on_request_it_is_quantized_anew_and_answers_as_the_float_model(
    work: Path, jetpack: str
) -> None:
    quantized(work, jetpack)
    bundle = built(work, *PICTURES, "--requantize")
    assert any("quantized already" in text for text in bundle.manifest.warnings)
    assert {layer.precision for layer in bundle.manifest.layers} == {"int8"}
    x = np.random.default_rng(8).uniform(0, 1, (1, 3, 32, 32)).astype(np.float32)
    expected = ReferenceEvaluator(small_detector()).run(None, {"images": x})[0]
    copy = onnx.version_converter.convert_version(bundle.model().proto, 19)
    found = ReferenceEvaluator(copy).run(None, {"images": x})[0]
    # Weights are rounded twice with the same scales, activations once: 8 bits leave some percent.
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_asking_for_it_changes_nothing_for_a_float_model(work: Path) -> None:
    bundle = built(work, *PICTURES, "--requantize")
    assert not any("quantized already" in text for text in bundle.manifest.warnings)


def test_integer_operators_cannot_be_taken_out(work: Path) -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    write(work, make_model(nodes, {}, {"x": [1, 3, 8, 8]}, ["y"]))
    said = refused(work, *PICTURES, "--requantize")
    assert "the model computes with DynamicQuantizeLinear" in said


@pytest.mark.parametrize("form", ["stored", "pair"])
def test_stripping_gives_what_the_integers_stood_for(form: str) -> None:
    """Scales by channel, zero points and a pair at the output, as other tools write them."""
    weight = np.random.default_rng(1).normal(size=(4, 3, 1, 1)).astype(np.float32)
    scale = np.array([0.01, 0.02, 0.03, 0.04], np.float32)
    zero = np.array([1, 0, -2, 3], np.int8)
    shape = (-1, 1, 1, 1)
    stored = np.clip(np.rint(weight / scale.reshape(shape)) + zero.reshape(shape), -128, 127)
    constants = {
        "w": weight if form == "pair" else stored.astype(np.int8),
        "ws": scale,
        "wz": zero,
        "s": np.array(0.05, np.float32),
        "z": np.array(3, np.uint8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["wd"], axis=0),
        helper.make_node("Conv", ["xd", "wd"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["cq"]),
        helper.make_node("DequantizeLinear", ["cq", "s", "z"], ["y"]),
    ]
    if form == "pair":
        nodes.insert(2, helper.make_node("QuantizeLinear", ["w", "ws", "wz"], ["wq"], axis=0))
    else:
        constants["wq"] = constants.pop("w")
    model = Model.of(make_model(nodes, constants, {"x": [1, 3, 5, 5]}, ["y"]))
    assert quantized_operators(model)["DequantizeLinear"] == 3
    plain = strip_quantization(model)
    assert [node.op_type for node in plain.proto.graph.node] == ["Conv"]
    assert [spec.name for spec in plain.outputs] == ["y"]
    used = weight if form == "pair" else (stored - zero.reshape(shape)) * scale.reshape(shape)
    x = np.random.default_rng(2).normal(size=(1, 3, 5, 5)).astype(np.float32)
    found = ReferenceEvaluator(plain.proto).run(None, {"x": x})[0]
    expected = np.einsum("oi,nihw->nohw", used[:, :, 0, 0], x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_pair_around_an_output_that_is_read_inside_too() -> None:
    constants = {"s": np.array(0.1, np.float32), "z": np.array(0, np.int8)}
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("QuantizeLinear", ["a", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
        helper.make_node("Neg", ["y"], ["b"]),
    ]
    plain = strip_quantization(Model.of(make_model(nodes, constants, {"x": [2]}, ["y", "a", "b"])))
    x = np.array([-1.5, 2.5], np.float32)
    y, a, b = ReferenceEvaluator(plain.proto).run(None, {"x": x})
    assert (y.tolist(), a.tolist(), b.tolist()) == ([0, 2.5], [0, 2.5], [0, -2.5])


# --- unusual models -----------------------------------------------------------------------------


@pytest.mark.parametrize("fixture", ["torchscript_shared", "torchscript_dead_channels"])
def test_shared_weights_and_dead_channels_are_taken(work: Path, fixture: str) -> None:
    take(work, fixture)
    bundle = built(work, *PICTURES)
    for tensor in bundle.model().proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        assert values.dtype.kind != "f" or np.isfinite(values).all()
        if tensor.name.endswith("_scale"):
            assert (values > 0).all()
    accuracy = bundle.manifest.accuracy
    assert accuracy is not None
    assert all(
        output.sqnr_db is None or output.sqnr_db > 15 for output in accuracy.outputs.values()
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(work: Path, value: float) -> None:
    proto = small_detector()
    broken = numpy_helper.to_array(proto.graph.initializer[2]).copy()
    broken[0, 0, 0, 0] = value
    proto.graph.initializer[2].CopyFrom(numpy_helper.from_array(broken, "w2"))
    write(work, proto)
    assert "weights with NaN or infinity: w2" in refused(work, *PICTURES)


def test_a_model_without_a_layer_for_int8_is_refused(work: Path) -> None:
    nodes = [helper.make_node("Relu", ["images"], ["y"])]
    write(work, make_model(nodes, {}, {"images": [1, 3, 32, 32]}, ["y"]))
    said = refused(work, *PICTURES)
    assert "none of the operators that run in INT8" in said
    assert "--precision fp16" in said


def test_an_operator_that_the_target_s_set_has_not_is_named(work: Path) -> None:
    nodes = [helper.make_node("RMSNormalization", ["images", "g"], ["y"], "norm")]
    ones = {"g": np.ones(32, np.float32)}
    proto = make_model(nodes, ones, {"images": [1, 3, 32, 32]}, ["y"], opset=23)
    shape = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 32, 32])
    proto.graph.output[0].CopyFrom(shape)
    write(work, proto)
    said = refused(work, *PICTURES, "--jetpack", "6.0")
    assert "operator set 23 cannot be converted to the target's 17: RMSNormalization" in said


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_operators_that_are_newer_than_the_target_are_written_the_old_way(approximate: str) -> None:
    nodes = [
        helper.make_node("Gelu", ["x"], ["a"], "gelu", approximate=approximate),
        helper.make_node("Mish", ["a"], ["b"], "mish"),
        helper.make_node("ReduceMax", ["b", "axes"], ["c"], "max", keepdims=1),
        helper.make_node("Split", ["b"], ["d", "e"], "split", axis=1, num_outputs=2),
        helper.make_node("Sub", ["d", "c"], ["y"], "sub"),
    ]
    axes = {"axes": np.array([2, -1], np.int64)}
    proto = make_model(nodes, axes, {"x": [1, 2, 4, 4]}, ["y", "e"], opset=20)
    ready = prepare(Model.of(proto), 17, {})
    assert ready.opset == 17
    onnx.checker.check_model(ready.proto, full_check=True)
    x = np.random.default_rng(4).normal(0, 2, (1, 2, 4, 4)).astype(np.float32)
    pairs = zip(
        ReferenceEvaluator(proto).run(None, {"x": x}),
        ReferenceEvaluator(ready.proto).run(None, {"x": x}),
        strict=True,
    )
    for expected, found in pairs:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", [17, 19])
def test_normalization_by_group_and_sampling_are_written_the_old_way(opset: int) -> None:
    rng = np.random.default_rng(4)
    nodes = [
        helper.make_node("GroupNormalization", ["x", "g", "b"], ["n"], "norm", num_groups=2),
        helper.make_node("GridSample", ["n", "grid"], ["y"], "sample", mode="linear"),
    ]
    constants = {
        "g": rng.normal(size=4).astype(np.float32),
        "b": rng.normal(size=4).astype(np.float32),
        "grid": rng.uniform(-1, 1, (1, 3, 3, 2)).astype(np.float32),
    }
    proto = make_model(nodes, constants, {"x": [1, 4, 5, 5]}, ["y"], opset=21)
    shape = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 3, 3])
    proto.graph.output[0].CopyFrom(shape)
    ready = prepare(Model.of(proto), opset, {})
    assert ready.opset == opset
    x = rng.normal(2, 3, (1, 4, 5, 5)).astype(np.float32)
    grouped = x.reshape(1, 2, -1)
    spread = np.sqrt(grouped.var(-1, keepdims=True) + 1e-5)
    normal = ((grouped - grouped.mean(-1, keepdims=True)) / spread).reshape(x.shape)
    expected = normal * constants["g"].reshape(1, 4, 1, 1) + constants["b"].reshape(1, 4, 1, 1)
    sampled = ReferenceEvaluator(proto).run(None, {"x": x})[0]
    seen = with_outputs(ready, ["n"]).proto.SerializeToString()
    session = onnxruntime.InferenceSession(seen, providers=["CPUExecutionProvider"])
    found, normalized = session.run(None, {"x": x})
    np.testing.assert_allclose(normalized, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found, sampled, rtol=1e-4, atol=1e-4)


def test_a_setting_that_the_older_set_cannot_express_is_refused() -> None:
    sizes = {"sizes": np.array([1, 1, 2, 2], np.int64)}
    given = ["x", "", "", "sizes"]
    nodes = [helper.make_node("Resize", given, ["y"], "r", mode="linear", antialias=1)]
    proto = make_model(nodes, sizes, {"x": [1, 1, 8, 8]}, ["y"], opset=18)
    with pytest.raises(ModelError, match="Resize 'r': its antialias is 1"):
        prepare(Model.of(proto), 17, {})


@pytest.mark.parametrize("outside", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_a_model_in_half_precision_is_taken_as_float32(work: Path, outside: int) -> None:
    """As converters write it: halves inside, and halves or casts at the inputs and outputs."""
    proto = small_detector()
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    del proto.graph.value_info[:]
    if outside == TensorProto.FLOAT:
        first, last = proto.graph.node[0], proto.graph.node[-1]
        first.input[0], last.output[0] = "images_half", "output_half"
        to_half = helper.make_node("Cast", ["images"], ["images_half"], "in", to=10)
        to_float = helper.make_node("Cast", ["output_half"], ["output"], "out", to=1)
        proto.graph.node.insert(0, to_half)
        proto.graph.node.append(to_float)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = outside
    write(work, proto)
    ready = prepare(Model.of(proto), 17, {})
    assert [spec.dtype for spec in (*ready.inputs, *ready.outputs)] == ["float32", "float32"]
    x = np.random.default_rng(1).uniform(0, 1, (1, 3, 32, 32)).astype(np.float32)
    expected = ReferenceEvaluator(small_detector()).run(None, {"images": x})[0]
    found = ReferenceEvaluator(ready.proto).run(None, {"images": x})[0]
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=0.01)
    assert {layer.precision for layer in built(work, *PICTURES).manifest.layers} == {"int8"}


def test_missing_external_data_is_named(work: Path) -> None:
    onnx.save(
        small_detector(),
        str(work / "net.onnx"),
        save_as_external_data=True,
        location="net.data",
        size_threshold=0,
    )
    (work / "net.data").unlink()
    said = refused(work, *PICTURES)
    assert "external data cannot be read" in said
    assert "net.data" in said


# --- inputs of other kinds ----------------------------------------------------------------------


def test_several_inputs_are_fed_from_an_npz(work: Path) -> None:
    take(work, "torchscript_two_inputs")
    rng = np.random.default_rng(1)
    grid = rng.normal(size=(9, 6, 12, 12)).astype(np.float32)
    np.savez(work / "feeds.npz", grid=grid, sensors=rng.normal(size=(9, 4)).astype(np.float32))
    manifest = built(work, *ARRAYS, "--eval", "feeds.npz").manifest
    assert manifest.spec is None
    assert manifest.calibration is not None
    assert manifest.calibration.pictures == 9
    assert manifest.accuracy is not None
    assert not {"mAP50-95", "top-1"} & {metric.name for metric in manifest.accuracy.metrics}
    assert all((output.sqnr_db or 99) > 15 for output in manifest.accuracy.outputs.values())


def test_whole_numbers_are_fed_from_an_npz(work: Path) -> None:
    take(work, "torchscript_tokens")
    np.savez(work / "feeds.npz", tokens=np.random.default_rng(1).integers(0, 20, (9, 12)))
    assert built(work, *ARRAYS).manifest.spec is None


def test_a_model_of_tensors_needs_no_spec_in_fp16(work: Path) -> None:
    take(work, "torchscript_two_inputs")
    assert built(work, *BUILD, "--precision", "fp16").manifest.spec is None


@pytest.mark.parametrize("spec", [(), ("--spec", "spec.toml")])
def test_pictures_do_not_go_into_other_inputs(work: Path, spec: tuple[str, ...]) -> None:
    take(work, "torchscript_two_inputs")
    said = refused(work, *BUILD, *spec, "--data", "pictures")
    assert "pictures go into one input float32[Nx3xHxW]" in said
    assert "grid: float32[1x6x12x12], sensors: float32[1x4]" in said
    assert ".npz" in said


def test_an_input_with_channels_last_says_how_to_export(work: Path) -> None:
    take(work, "tf2onnx_mobilenet")
    assert "--inputs-as-nchw" in refused(work, *BUILD, "--data", "pictures")


def test_a_sample_with_nan_is_named(work: Path) -> None:
    grid = np.zeros((4, 3, 32, 32), np.float32)
    grid[2, 0, 5, 5] = np.nan
    np.savez(work / "feeds.npz", images=grid)
    assert "feeds.npz[2]: the input 'images' holds NaN" in refused(work, *ARRAYS)


def test_arrays_of_other_names_are_refused_with_both_lists(work: Path) -> None:
    np.savez(work / "feeds.npz", image=np.zeros((4, 3, 32, 32), np.float32))
    said = refused(work, *ARRAYS)
    assert "no array 'images'" in said
    assert "its arrays image" in said


def test_a_picture_model_takes_tensors_too(work: Path) -> None:
    values = np.random.default_rng(1).uniform(0, 1, (5, 3, 32, 32)).astype(np.float32)
    np.savez(work / "feeds.npz", images=values)
    manifest = built(work, *ARRAYS).manifest
    assert manifest.spec is None, "nothing was said of how pictures become these tensors"
    assert manifest.calibration is not None
    assert manifest.calibration.pictures == 5


def test_npz_pictures_are_still_pictures(work: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 20, 20, 3)).astype(np.uint8)
    np.savez(work / "feeds.npz", X=pixels)
    manifest = built(work, *ARRAYS, "--spec", "spec.toml").manifest
    assert manifest.spec is not None


# --- batches, sizes and pictures ----------------------------------------------------------------


def test_a_batch_fixed_at_sixteen_takes_pictures_in_groups(work: Path) -> None:
    take(work, "torchscript_batch16")
    bundle = built(work, *PICTURES)
    assert bundle.model().inputs[0].shape == (16, 3, 32, 32)
    calibration = bundle.manifest.calibration
    assert calibration is not None
    assert calibration.pictures == 6
    assert any("apps feed one at a time" in text for text in bundle.manifest.warnings)
    done = edgesdk("bench", "net.edge", "--iterations", "3", cwd=work)
    assert done.returncode == 0, done.stderr
    assert all(tensor.amax > 0 for tensor in calibration.ranges.values())


def test_a_batch_left_open_becomes_one_picture_with_a_spec_and_is_asked_for_without(
    work: Path,
) -> None:
    take(work, "torchscript_dynamic_batch")
    assert "--shape images=1x3x640x640" in refused(work, *BUILD, "--data", "pictures")
    assert built(work, *PICTURES).model().inputs[0].shape == (1, 3, 32, 32)


def test_one_picture_is_enough_but_said_to_be_few(work: Path) -> None:
    for index in range(1, 6):
        (work / "pictures" / f"{index}.png").unlink()
    warnings = built(work, *PICTURES).manifest.warnings
    assert any("only 1 picture" in text for text in warnings)


def test_pictures_of_any_depth_and_size_are_read(work: Path) -> None:
    rng = np.random.default_rng(5)
    odd = {
        "grey.png": rng.integers(0, 256, (30, 20)).astype(np.uint8),
        "grey16.png": rng.integers(0, 65536, (30, 20)).astype(np.uint16),
        "colour16.png": rng.integers(0, 65536, (30, 20, 3)).astype(np.uint16),
        "alpha.png": rng.integers(0, 256, (30, 20, 4)).astype(np.uint8),
        "dot.png": np.full((1, 1, 3), 7, np.uint8),
        "line.png": rng.integers(0, 256, (1, 500, 3)).astype(np.uint8),
    }
    for name, image in odd.items():
        cv2.imwrite(str(work / "pictures" / name), image)
    (work / "pictures" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    calibration = built(work, *PICTURES).manifest.calibration
    assert calibration is not None
    assert calibration.pictures == 12
    assert set(calibration.skipped) == {"torn.jpg"}


@pytest.mark.parametrize("size", [(1, 1), (30, 20)])
def test_pictures_that_are_all_flat_are_refused(work: Path, size: tuple[int, int]) -> None:
    for path in (work / "pictures").iterdir():
        cv2.imwrite(str(path), np.full((*size, 3), 90, np.uint8))
    assert "all 6 pictures are one flat colour" in refused(work, *PICTURES)


def test_pictures_none_of_which_can_be_read_are_refused(work: Path) -> None:
    for path in (work / "pictures").iterdir():
        path.write_bytes(b"no picture")
    assert "none of 6 pictures can be read" in refused(work, *PICTURES)
