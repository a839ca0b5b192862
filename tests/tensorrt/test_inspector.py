"""The list of an engine's layers, in the forms that versions of TensorRT give it.

The samples are written by hand after what 8.6 and 10.x are known to answer. They do not show what
a board's TensorRT answers: tests/tensorrt/test_builder.py reads the list of a real build.
"""

from __future__ import annotations

import json

import pytest

from edgesdk.backends.tensorrt.building.built import EngineLayer
from edgesdk.backends.tensorrt.building.honoured import not_honoured, say_not_honoured
from edgesdk.backends.tensorrt.building.inspector import onnx_nodes, read_layers


def answer(*layers: object) -> str:
    return json.dumps({"Layers": list(layers), "Bindings": ["images", "output"]})


def table(kind: str = "CaskConvolution", reads: str = "Int8", **more: object) -> dict[str, object]:
    row: dict[str, object] = {"Name": "conv1", "LayerType": kind, "TacticName": ""}
    tensor = {"Name": "images", "Dimensions": [1, 3, 32, 32], "Format/Datatype": reads}
    return {**row, "Inputs": [tensor], "Outputs": [], **more}


def test_names_alone_are_layers_whose_precision_is_not_known() -> None:
    (layer,) = read_layers(answer("conv1 + relu1"))
    assert layer == EngineLayer("conv1 + relu1", "unknown", origin=("conv1", "relu1"))


@pytest.mark.parametrize(
    ("sentence", "precision"),
    [
        ("Thirty-two wide channel vectorized row major Int8 format", "int8"),
        ("Row major linear FP16 format", "fp16"),
        ("Channel major FP16 format where channel % 8 == 0", "fp16"),
        ("Row major linear FP32", "fp32"),
        ("Int8", "int8"),
        ("Half", "fp16"),
        ("Float", "fp32"),
        ("Int32", "other"),
        ("N/A due to dynamic shapes", "unknown"),
    ],
)
def test_the_type_that_a_layer_reads_is_its_precision(sentence: str, precision: str) -> None:
    (layer,) = read_layers(answer(table(reads=sentence)))
    assert layer.precision == precision


def test_the_newest_form_has_the_type_in_a_key_of_its_own() -> None:
    tensor = {"Name": "x", "Datatype": "Int8", "Format": "(NHWC) Channel major format"}
    (layer,) = read_layers(answer(table(Inputs=[tensor])))
    assert layer.precision == "int8"


@pytest.mark.parametrize(
    ("more", "precision"),
    [
        ({"Weights": {"Type": "Int8", "Count": 9}}, "int8"),
        ({"Weights": {"Type": "Half", "Count": 9}}, "fp16"),
        ({"TacticName": "sm80_xmma_fprop_implicit_gemm_i8f32_i8i32_f32_nchw"}, "int8"),
        ({"TacticName": "ampere_h16816gemm_256x128_ldg8_nn_v1"}, "fp16"),
        ({"TacticName": "sm80_xmma_gemm_f32f32_tf32f32_f32_tn"}, "fp32"),
    ],
)
def test_with_varying_sizes_the_weights_or_the_kernel_tell(
    more: dict[str, object], precision: str
) -> None:
    row = table(reads="N/A due to dynamic shapes", **more)
    (layer,) = read_layers(answer(row))
    assert layer.precision == precision


@pytest.mark.parametrize(
    ("metadata", "name", "nodes"),
    [
        ("", "conv1 + relu1", ("conv1", "relu1")),
        ("", "PWN(sigmoid, mul)", ("sigmoid", "mul")),
        ("", "PWN(PWN(sigmoid), mul)", ("sigmoid", "mul")),
        ("", "conv1 + PWN(relu1)", ("conv1", "relu1")),
        ("", "{ForeignNode[first...last]}", ("first", "last")),
        ("", "a/Conv || b/Conv", ("a/Conv", "b/Conv")),
        ("", "conv (1)", ("conv (1)",)),
        ("", "Reformatting CopyNode for Input Tensor 0 to conv1", ()),
        ("", "__myl_MulAddRelu_myl0_3", ()),
        ("", "head_myl0_5", ("head",)),
        ("[ONNX Layer: a]\x1f[ONNX Layer: b]", "__myl_x", ("a", "b")),
        ("[ONNX Layer: a]\x1e[ONNX Layer: b]", "any", ("a", "b")),
        ("[ONNX Layer: a][ONNX Layer: a[0]]", "any", ("a", "a[0]")),
    ],
)
def test_the_onnx_nodes_behind_a_layer(metadata: str, name: str, nodes: tuple[str, ...]) -> None:
    assert onnx_nodes(metadata, name) == nodes


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"Layers": [3, null]}'])
def test_what_is_no_list_of_layers_gives_none(text: str) -> None:
    assert read_layers(text) == ()


def test_dla_s_layers_are_told_from_the_gpu_s() -> None:
    found = read_layers(answer(table("DLA"), table()))
    assert [layer.device for layer in found] == ["dla", "gpu"]


# --- asked for and not honoured ---------------------------------------------------------------


def layer(name: str, precision: str, kind: str = "CaskConvolution", **more: str) -> EngineLayer:
    return EngineLayer(name, precision, origin=onnx_nodes("", name), kind=kind, **more)  # type: ignore[arg-type]


def test_a_fused_layer_honours_all_that_went_into_it() -> None:
    assert not_honoured([layer("conv1 + relu1 + add1", "int8")], ["conv1"]) == ()


def test_a_layer_in_half_precision_is_named_with_what_it_runs_in() -> None:
    (found,) = not_honoured([layer("conv1 + relu1", "fp16")], ["conv1"])
    assert str(found) == "conv1 (fp16, in 'conv1 + relu1')"


def test_converting_int8_away_before_a_float_convolution_does_not_honour_it() -> None:
    """Both layers name the node; the one that computes counts."""
    converts = EngineLayer("__myl_Cast", "int8", origin=("conv1",), kind="kgen")
    computes = EngineLayer("conv1_myl0_1", "fp16", origin=("conv1",), kind="correlation")
    (found,) = not_honoured([converts, computes], ["conv1"])
    assert found.layer == "conv1_myl0_1"


def test_a_kernel_that_quantizes_and_multiplies_at_once_is_int8() -> None:
    """As TensorRT-RTX builds squeeze-and-excite branches: float in, INT8 weights inside."""
    row = {
        "Name": "__myl_MulMinMaxRounCastCorrMulCastAdd_myl0_9",
        "LayerType": "kgen",
        "TacticName": "__myl_MulMinMaxRounCastCorrMulCastAdd_0x1",
        "Inputs": [{"Name": "x", "Datatype": "Float"}],
        "Constants": [{"Name": "w", "Datatype": "Int8"}],
        "Metadata": "[ONNX Layer: squeeze]",
    }
    assert not_honoured(read_layers(answer(row)), ["squeeze"]) == ()
    row["TacticName"] = "__myl_MulMinMaxRounCastConc_0x1"  # INT8 padding joined on: no product
    assert len(not_honoured(read_layers(answer(row)), ["squeeze"])) == 1


def test_the_sentences_say_how_many_which_and_where() -> None:
    layers = [layer("a", "int8"), layer("b + relu", "fp32"), layer("c", "unknown")]
    said = say_not_honoured(not_honoured(layers, ["a", "b", "c", "d"]), 4)
    assert said == (
        "INT8 NOT HONOURED: 1 of 4 layers asked for: b (fp32, in 'b + relu')",
        "of 2 of 4 INT8 layers the engine does not tell: "
        "c (unknown, in 'c'), d (no layer names it)",
    )
    assert say_not_honoured((), 4) == ()


@pytest.mark.parametrize(
    "text", ["", "null", "[]", '{"Layers": null}', '{"Layers": 3}', "[" * 9999]
)
def test_an_answer_in_no_known_form_is_no_layers_and_no_error(text: str) -> None:
    """A build of minutes must not be lost for it."""
    assert read_layers(text) == ()


def test_the_separator_of_metadata_may_stand_there_unescaped() -> None:
    metadata = "[ONNX Layer: conv1]\x1e[ONNX Layer: relu1]"
    text = answer(table(Metadata=metadata)).replace("\\u001e", "\x1e")
    assert "\x1e" in text
    (layer,) = read_layers(text)
    assert layer.origin == ("conv1", "relu1")
