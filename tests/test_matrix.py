"""Every layer as a matrix product: rows times places are what onnxruntime answers."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from edgesdk.backends import load_backend, opened
from edgesdk.model import Model
from edgesdk.model.prepare import prepare
from edgesdk.quantize.layers import Layer, find_layers
from edgesdk.quantize.matrix import (
    Places,
    as_matrix,
    column_factors,
    from_matrix,
    output_channels,
    places,
    row_scales,
)
from tests.onnx_graphs import make_model

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
ALL = Places(1 << 30, 0)


class Net:
    """One operator between `x` and `y`, with whole numbers: sums are exact in any order."""

    def __init__(
        self, operator: str, shape: list[int], weight: list[int], **attributes: Any
    ) -> None:
        rng = np.random.default_rng(prod(shape) + prod(weight))
        self.x = rng.integers(-9, 9, shape).astype(np.float32)
        self.weight = rng.integers(-9, 9, weight).astype(np.float32)
        node = helper.make_node(operator, ["x", "w"], ["y"], "layer", **attributes)
        proto = make_model([node], {"w": self.weight}, {"x": shape}, ["y"])
        self.model = prepare(Model.of(proto), 17, {})
        self.node = self.model.proto.graph.node[0]
        (self.layer,) = find_layers(self.model, OPERATORS)
        self.kernel = weight[2:] if operator.startswith("Conv") else ()

    @property
    def output(self) -> np.ndarray:
        """By onnxruntime."""
        with opened(load_backend("onnxruntime", threads=1, exact=True), self.model) as session:
            return session.run({"x": self.x})["y"]

    def products(self, chosen: Places = ALL) -> np.ndarray:
        """(groups, places, rows) by the module."""
        columns = places(self.x, self.node, self.layer, self.kernel, chosen)
        return columns @ np.swapaxes(as_matrix(self.weight, self.layer), 1, 2)

    def check_inverse(self) -> None:
        matrix = as_matrix(self.weight, self.layer)
        back = from_matrix(matrix, self.layer, self.weight.shape)
        np.testing.assert_array_equal(back, self.weight)


def channels_last(output: np.ndarray) -> np.ndarray:
    """(places of all pictures, channels)."""
    return np.moveaxis(output, 1, -1).reshape(-1, output.shape[1])


def joined(products: np.ndarray) -> np.ndarray:
    """Groups side by side: (places, channels)."""
    return np.concatenate(list(products), axis=1)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_convolution_of_any_form_is_a_matrix_product(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 3), "rank")

    def each(low: int, high: int) -> list[int]:
        return [data.draw(st.integers(low, high)) for _ in range(rank)]

    groups, ins, outs = (data.draw(st.integers(1, 3)) for _ in range(3))
    kernel, strides, dilations = each(1, 3), each(1, 3), each(1, 2)
    attributes: dict[str, Any] = {"group": groups, "strides": strides, "dilations": dilations}
    auto = data.draw(st.sampled_from(["", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"]))
    if auto:
        attributes["auto_pad"] = auto
    if auto in ("", "NOTSET"):
        attributes["pads"] = each(0, 2) + each(0, 2)
    if auto.startswith("SAME"):
        attributes["dilations"] = [1] * rank  # onnxruntime takes no others with SAME
    batch = data.draw(st.integers(1, 2))
    net = Net(
        "Conv",
        [batch, groups * ins, *each(5, 7)],
        [groups * outs, ins, *kernel],
        **attributes,
    )
    np.testing.assert_array_equal(joined(net.products()), channels_last(net.output))
    net.check_inverse()


def test_a_depthwise_convolution_has_one_row_in_each_group() -> None:
    net = Net("Conv", [1, 4, 6, 6], [4, 1, 3, 3], group=4, pads=[0, 1, 2, 1])
    assert as_matrix(net.weight, net.layer).shape == (4, 1, 9)
    np.testing.assert_array_equal(joined(net.products()), channels_last(net.output))


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)
)
def test_the_products_of_a_transposed_convolution_add_up_to_its_output(
    groups: int, ins: int, outs: int, kernel: int, stride: int
) -> None:
    net = Net(
        "ConvTranspose",
        [2, groups * ins, 3, 4],
        [groups * ins, outs, kernel, kernel + 1],
        group=groups,
        strides=[stride, 1],
    )
    products = net.products().reshape(groups, 2, 3, 4, outs, kernel, kernel + 1)
    added = np.zeros((2, groups, outs, 2 * stride + kernel, 3 + kernel + 1), np.float32)
    for i, j in np.ndindex(3, 4):
        window = np.moveaxis(products[:, :, i, j], 0, 1)
        added[:, :, :, i * stride : i * stride + kernel, j : j + kernel + 1] += window
    output = net.output
    np.testing.assert_array_equal(added.reshape(output.shape), output)
    net.check_inverse()


@pytest.mark.parametrize("transposed", [0, 1])
def test_a_gemm_is_a_matrix_product(transposed: int) -> None:
    net = Net("Gemm", [5, 4], [3, 4] if transposed else [4, 3], transB=transposed)
    np.testing.assert_array_equal(net.products()[0], net.output)
    net.check_inverse()


@pytest.mark.parametrize("shape", [[5, 4], [2, 5, 4], [2, 3, 5, 4]])
def test_a_product_with_a_constant_is_a_matrix_product_whatever_its_batch(shape: list[int]) -> None:
    net = Net("MatMul", shape, [4, 3])
    np.testing.assert_array_equal(net.products()[0], net.output.reshape(-1, 3))
    net.check_inverse()


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("operator", OPERATORS)
def test_no_more_places_are_taken_than_asked_for_whatever_the_batch(
    operator: str, batch: int
) -> None:
    if operator.startswith("Conv"):
        net = Net(operator, [batch, 4, 9, 9], [4, 4, 1, 1])
    else:
        net = Net(operator, [batch * 81, 4], [4, 4])
    everything = {tuple(row) for row in net.products()[0]}
    some = net.products(Places(50, 1))
    assert some.shape == (1, 50, 4)
    assert {tuple(row) for row in some[0]} <= everything
    np.testing.assert_array_equal(some, net.products(Places(50, 1)))
    assert not np.array_equal(some, net.products(Places(50, 2)))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("operator", OPERATORS)
def test_scales_and_factors_reach_the_weights_that_they_are_for(operator: str, groups: int) -> None:
    if operator.startswith("Conv"):
        net = Net(operator, [1, 4, 5, 5], [4, 4 // groups, 2, 3], group=groups)
    else:
        net = Net(operator, [5, 4], [4, 3])
    layer, shape = net.layer, net.weight.shape
    matrix = as_matrix(net.weight, layer)

    # Along the axis that Q/DQ has its scales on.
    scales = np.arange(2.0, 2 + shape[layer.axis], dtype=np.float32)
    by_axis = [-1 if i == layer.axis else 1 for i in range(len(shape))]
    rows = row_scales(scales, layer, shape)
    assert rows.shape == matrix.shape[:2]
    np.testing.assert_array_equal(
        from_matrix(matrix * rows[:, :, None], layer, shape),
        net.weight * scales.reshape(by_axis),
    )

    # Multiplying the input's channels is the same as multiplying the columns.
    factors = np.array([1, 2, 4, 8], np.float32)
    moved = from_matrix(matrix * column_factors(factors, layer, matrix.shape[2]), layer, shape)
    by_channel = [1, -1, 1, 1] if operator.startswith("Conv") else [1, -1]
    expected = Net.__new__(Net)
    expected.__dict__ |= {**net.__dict__, "x": net.x * factors.reshape(by_channel)}
    net.weight = moved
    np.testing.assert_array_equal(net.products(), expected.products())


def transposed(channels: int, stride: int, groups: int) -> Layer:
    assert channels % groups == 0
    return Layer("up", "ConvTranspose", "x", "w", 1, 1, groups, 1, (stride, stride))


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(2, 2, 1), (4, 2, 1), (4, 2, 2)])
def test_a_mean_of_each_row_is_what_an_output_of_a_transposed_convolution_sees(
    kernel: int, stride: int, groups: int
) -> None:
    layer = transposed(4, stride, groups)
    shape = (4, 3, kernel, kernel)
    rng = np.random.default_rng(0)
    weight = rng.integers(-9, 9, shape).astype(np.float32)
    node = helper.make_node(
        "ConvTranspose", ["x", "w"], ["y"], "up", strides=[stride] * 2, group=groups
    )
    model = prepare(
        Model.of(make_model([node], {"w": weight}, {"x": [1, 4, 20, 20]}, ["y"])), 17, {}
    )
    with opened(load_backend("onnxruntime", threads=1, exact=True), model) as session:
        output = session.run({"x": np.ones((1, 4, 20, 20), np.float32)})["y"]
    inner = output[0, :, kernel:-kernel, kernel:-kernel].mean(axis=(1, 2))  # no borders
    rows = as_matrix(weight, layer).sum(axis=2)
    np.testing.assert_allclose(output_channels(rows, layer, shape), inner, rtol=1e-6)
