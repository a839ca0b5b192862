"""Where INT8 begins and ends, as TensorRT fuses it: branches, decoders, attention, wishes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import helper

from edgesdk.errors import UsageError
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.quantize.placement import Branch, Placement, Wishes, place
from tests.onnx_graphs import make_model

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
RNG = np.random.default_rng(5)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def conv(source: str, output: str, name: str, weight: str = "w") -> onnx.NodeProto:
    return helper.make_node("Conv", [source, weight], [output], name, pads=[1] * 4)


def placed(
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, np.ndarray] | None = None,
    outputs: Sequence[str] = ("y",),
    wishes: Wishes | None = None,
    shape: Sequence[int] = (1, 4, 8, 8),
) -> Placement:
    constants = {"w": normal(4, 4, 3, 3)} | (constants or {})
    used = {name for node in nodes for name in node.input}
    constants = {name: value for name, value in constants.items() if name in used}
    proto = make_model(nodes, constants, {"x": list(shape)}, list(outputs))
    return place(prepare(Model.of(proto), 17, {}), OPERATORS, wishes)


def node(kind: str, inputs: Sequence[str], output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, list(inputs), [output], f"{kind.lower()}_{output}", **attributes)


STEM = [conv("x", "s0", "stem"), node("Relu", ["s0"], "s")]


@pytest.mark.parametrize("turned", [False, True])
def test_an_identity_that_skips_gets_a_pair_and_the_convolution_none(turned: bool) -> None:
    names = ["s", "b"] if turned else ["b", "s"]
    nodes = [*STEM, conv("s", "a", "one"), node("Relu", ["a"], "ar"), conv("ar", "b", "two")]
    found = placed([*nodes, node("Add", names, "y")])
    assert found.branches == (Branch("add_y", names.index("s"), "s", "two"),)
    assert found.watch["s"] == 1


def test_of_two_convolutions_the_later_fuses_with_the_addition() -> None:
    """A projection shortcut: its output is the branch that gets the pair."""
    main = [conv("s", "a", "one"), node("Relu", ["a"], "ar"), conv("ar", "b", "two")]
    short = conv("s", "p", "projection")
    for nodes, fused, branch in (
        ([short, *main], "two", "p"),
        ([*main, short], "projection", "b"),
    ):
        found = placed([*STEM, *nodes, node("Add", ["b", "p"], "y")])
        assert [(b.layer, b.tensor) for b in found.branches] == [(fused, branch)]


def test_a_normalization_between_does_not_hinder_it() -> None:
    """prepare() folds it where it can; here the convolution's weight is shared, which it keeps."""
    constants = {name: np.abs(normal(4)) for name in ("scale", "offset", "mean", "var")}
    norm = node("BatchNormalization", ["b", "scale", "offset", "mean", "var"], "n")
    nodes = [*STEM, conv("s", "b", "one"), norm, node("Add", ["n", "s"], "y")]
    proto = make_model(nodes, {"w": normal(4, 4, 3, 3), **constants}, {"x": [1, 4, 8, 8]}, ["y"])
    found = place(Model.of(proto), OPERATORS)
    assert [(b.layer, b.tensor) for b in found.branches] == [("one", "s")]


@pytest.mark.parametrize(
    ("why", "tail", "outputs"),
    [
        ("a constant is a bias", [node("Add", ["b", "c"], "y")], ["y"]),
        ("shapes differ", [node("GlobalAveragePool", ["s"], "g"), node("Add", ["b", "g"], "y")],
         ["y"]),
        ("the result is an output too", [node("Add", ["b", "s"], "y")], ["y", "b"]),
        ("the result is read elsewhere",
         [node("Relu", ["b"], "z"), node("Add", ["b", "s"], "y")], ["y", "z"]),
        ("an activation stands between", [node("Relu", ["b"], "r"), node("Add", ["r", "s"], "y")],
         ["y"]),
        ("it is added to itself", [node("Add", ["b", "b"], "y")], ["y"]),
    ],
)  # fmt: skip
def test_no_pair_where_nothing_fuses(
    why: str, tail: list[onnx.NodeProto], outputs: list[str]
) -> None:
    nodes = [*STEM, conv("s", "b", "one"), *tail]
    assert placed(nodes, {"c": normal(1, 4, 1, 1)}, outputs).branches == (), why


def test_the_model_s_input_can_be_the_branch_that_skips() -> None:
    """As nets do that learn what to add to a picture."""
    found = placed([conv("x", "b", "one"), node("Add", ["b", "x"], "y")])
    assert found.branches == (Branch("add_y", 1, "x", "one"),)


def test_a_layer_kept_in_float_fuses_with_nothing() -> None:
    nodes = [*STEM, conv("s", "b", "one"), node("Add", ["b", "s"], "y")]
    assert placed(nodes, wishes=Wishes(keep_float=("one",))).branches == ()


def distances() -> list[onnx.NodeProto]:
    """A learned layer, then an expectation over 4 bins: softmax and a 1x1 convolution 0..3."""
    return [
        conv("x", "bins", "learned"),
        node("Softmax", ["bins"], "p", axis=1),
        helper.make_node("Conv", ["p", "range"], ["y"], "dfl"),
    ]


def test_an_expectation_over_bins_stays_in_float() -> None:
    learned = normal(1, 4, 1, 1)  # not even whole numbers: it is told by the softmax
    for weight in (np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1), learned):
        found = placed(distances(), {"range": weight})
        assert [layer.node for layer in found.layers] == ["learned"]
        assert [layer.node for layer in found.float_layers] == ["dfl"]
        assert "softmax" in found.left["dfl"]


def test_the_softmax_is_seen_past_what_only_moves_values() -> None:
    nodes = [
        conv("x", "bins", "learned"),
        node("Softmax", ["bins"], "p", axis=1),
        node("Transpose", ["p"], "t", perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["t", "range"], ["y"], "dfl"),
    ]
    found = placed(nodes, {"range": normal(4, 1)})
    assert list(found.left) == ["dfl"]


def boxes(weight: np.ndarray) -> Placement:
    """(x, y, w, h) to corners by a 4x4 product at the end."""
    nodes = [
        conv("x", "c", "learned"),
        node("Transpose", ["c"], "t", perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["t", "corners"], ["m"], "corners"),
        node("Relu", ["m"], "y"),
    ]
    return placed(nodes, {"corners": weight})


CORNERS = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]], np.float32)


def test_box_arithmetic_stays_in_float_and_a_learned_product_does_not() -> None:
    found = boxes(CORNERS)
    assert [layer.node for layer in found.layers] == ["learned"]
    assert "arithmetic" in found.left["corners"]
    assert boxes(normal(4, 4)).left == {}


def test_a_shortcut_of_zeros_and_ones_inside_a_net_is_int8() -> None:
    """It copies channels, and learned layers follow it."""
    nodes = [
        *STEM,
        helper.make_node("Conv", ["s", "copy"], ["k"], "shortcut"),
        conv("k", "y", "last"),
    ]
    found = placed(nodes, {"copy": np.eye(4, dtype=np.float32)[:, :, None, None]})
    assert [layer.node for layer in found.layers] == ["stem", "shortcut", "last"]
    assert found.left == {}


def test_suppression_inside_the_graph_stays_in_float() -> None:
    """Heads of boxes and scores, the corners by a product as YOLOv7 exports it, and NMS."""
    nodes = [
        *STEM,
        conv("s", "b", "box head"),
        conv("s", "c", "class head"),
        node("Reshape", ["b", "rows"], "b4"),
        helper.make_node("MatMul", ["b4", "corners"], ["boxes"], "to corners"),
        node("Sigmoid", ["c"], "p"),
        node("Reshape", ["p", "columns"], "scores"),
        helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "iou"], ["kept"], "nms"),
        node("Gather", ["kept", "last"], "which", axis=1),
        node("Squeeze", ["boxes", "first"], "all"),
        node("Gather", ["all", "which"], "y"),
    ]
    constants = {
        "corners": CORNERS,
        "rows": np.array([1, 64, 4]),
        "columns": np.array([1, 4, 64]),
        "most": np.array([10]),
        "iou": np.array([0.5], np.float32),
        "last": np.array(2),
        "first": np.array([0]),
    }
    found = placed(nodes, constants)
    assert [layer.node for layer in found.layers] == ["stem", "box head", "class head"]
    assert list(found.left) == ["to corners"]
    assert set(found.watch) == {"x", "s"}, "no range is asked for behind the heads"


def test_a_learned_head_beside_a_decoder_is_int8() -> None:
    nodes = [*distances(), conv("x", "scores", "head")]
    found = placed(
        nodes, {"range": np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1)}, ["y", "scores"]
    )
    assert [layer.node for layer in found.layers] == ["learned", "head"]


def test_products_of_attention_are_left_and_their_projections_are_not() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "wq"], ["q"], "query"),
        helper.make_node("MatMul", ["x", "wk"], ["k"], "key"),
        node("Transpose", ["k"], "kt", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["s"], "scores"),
        node("Softmax", ["s"], "p", axis=-1),
        helper.make_node("MatMul", ["p", "x"], ["a"], "mix"),
        helper.make_node("MatMul", ["a", "wo"], ["y"], "out"),
    ]
    constants = {name: normal(6, 6) for name in ("wq", "wk", "wo")}
    found = placed(nodes, constants, shape=(1, 5, 6))
    assert [layer.node for layer in found.layers] == ["query", "key", "out"]
    assert list(found.left) == ["scores", "mix"]
    assert all("attention" in why for why in found.left.values())
    assert found.float_layers == (), "they have no weight to count"


def chain(wishes: Wishes) -> Placement:
    nodes = [conv("x", "a", "body/1"), conv("a", "b", "body/2"), conv("b", "y", "head/1")]
    return placed(nodes, wishes=wishes)


def test_a_wish_matches_whole_names() -> None:
    found = chain(Wishes(keep_float=("body/.*",)))
    assert [layer.node for layer in found.layers] == ["head/1"]
    assert found.left == {"body/1": "asked for", "body/2": "asked for"}
    assert [layer.node for layer in found.float_layers] == ["body/1", "body/2"]
    with pytest.raises(UsageError, match="no layer's name matches 'body'") as caught:
        chain(Wishes(keep_float=("body",)))
    assert "body/1, body/2, head/1" in (caught.value.hint or "")


def test_a_decoder_s_layer_can_be_forced() -> None:
    found = placed(distances(), {"range": normal(1, 4, 1, 1)}, wishes=Wishes(force_int8=("d.l",)))
    assert [layer.node for layer in found.layers] == ["learned", "dfl"]
    assert found.left == {}


@pytest.mark.parametrize("wishes", [Wishes(keep_float=("[",)), Wishes(force_int8=("(",))])
def test_a_broken_pattern_is_named(wishes: Wishes) -> None:
    for net in (chain, lambda w: placed(distances(), {"range": normal(1, 4, 1, 1)}, wishes=w)):
        with pytest.raises(UsageError, match="is not a regular expression"):
            net(wishes)


def test_a_layer_wished_both_ways_is_refused() -> None:
    with pytest.raises(UsageError, match="'head/1' is wished both in float and in INT8"):
        chain(Wishes(keep_float=(".*/1",), force_int8=("head/1",)))


def test_a_wish_for_what_cannot_be_int8_says_so() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "wq"], ["q"], "query"),
        node("Transpose", ["q"], "t", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "t"], ["y"], "scores"),
    ]
    with pytest.raises(UsageError, match="'scores' cannot be INT8: a product of two activations"):
        placed(nodes, {"wq": normal(6, 6)}, shape=(1, 5, 6), wishes=Wishes(force_int8=("scores",)))
