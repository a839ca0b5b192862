"""Writes graphs in the form of tf2onnx and paddle2onnx: `python make_helper.py` (onnx alone).

TensorFlow and PaddlePaddle were not installed: names, operators and operator sets follow what
their converters write, the weights are random.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HERE = Path(__file__).parent
FLOAT = TensorProto.FLOAT


class Graph:
    """Collects nodes; each method returns the name of what it made."""

    def __init__(self, opset: int, constants_as_nodes: bool = False) -> None:
        self.opset, self.constants_as_nodes = opset, constants_as_nodes
        self.rng = np.random.default_rng(11)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def op(
        self, kind: str, inputs: list[str], name: str, output: str = "", **attributes: object
    ) -> str:
        output = output or f"{name}:0"
        self.nodes.append(helper.make_node(kind, inputs, [output], name, **attributes))
        return output

    def const(self, value: object, name: str, dtype: type = np.float32) -> str:
        tensor = numpy_helper.from_array(np.asarray(value, dtype), name)
        if self.constants_as_nodes:
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.weights.append(tensor)
        return name

    def weight(self, name: str, *shape: int, fan: int = 0, bias: bool = False) -> str:
        scale = 0.3 if bias else np.sqrt(2 / (fan or np.prod(shape[1:])))
        self.weights.append(
            numpy_helper.from_array(self.rng.normal(0, scale, shape).astype(np.float32), name)
        )
        return name

    def save(self, name: str, inputs: dict[str, list[int]], outputs: list[str]) -> None:
        values = [helper.make_tensor_value_info(n, FLOAT, s) for n, s in inputs.items()]
        results = [helper.make_tensor_value_info(n, FLOAT, None) for n in outputs]
        graph = helper.make_graph(self.nodes, name, values, results, self.weights)
        opsets = [helper.make_opsetid("", self.opset)]
        ir = helper.OP_SET_ID_VERSION_MAP[("ai.onnx", self.opset)]
        proto = helper.make_model(graph, opset_imports=opsets, ir_version=ir)
        answers = ReferenceEvaluator(proto).run(
            outputs, {n: np.ones(s, np.float32) for n, s in inputs.items()}
        )
        del proto.graph.output[:]
        for output, answer in zip(outputs, answers, strict=True):
            shape = list(answer.shape)
            proto.graph.output.append(helper.make_tensor_value_info(output, FLOAT, shape))
        onnx.checker.check_model(proto)
        path = HERE / f"{name}.onnx"
        path.write_bytes(proto.SerializeToString(deterministic=True))
        print(path.name, path.stat().st_size, self.opset)


class Tf(Graph):
    """tf2onnx: BatchNorm folded by TensorFlow, SAME padding on one side, names of layers."""

    def conv(self, x: str, name: str, i: int, o: int, k: int = 3, s: int = 1, g: int = 1) -> str:
        w = self.weight(f"{name}/ReadVariableOp:0", o, i // g, k, k)
        b = self.weight(f"{name}_bn/FusedBatchNormV3/bias:0", o, bias=True)
        pads = [0, 0, 1, 1] if s == 2 else [k // 2] * 4
        return self.op(
            "Conv",
            [x, w, b],
            f"{name}/Conv2D",
            kernel_shape=[k, k],
            strides=[s, s],
            pads=pads,
            group=g,
            dilations=[1, 1],
        )

    def relu6(self, x: str, name: str) -> str:
        """Clip, as tf2onnx writes Relu6 from operator set 11 on."""
        return self.op("Clip", [x, "const_zero", "const_six"], f"{name}/Relu6")

    def min6(self, x: str, name: str) -> str:
        """Relu and Min, as older ones did."""
        return self.op("Min", [self.op("Relu", [x], f"{name}/Relu"), "const_six"], f"{name}/min")

    def numbers(self) -> None:
        self.const(0.0, "const_zero")
        self.const(6.0, "const_six")

    def inverted(self, x: str, name: str) -> str:
        y = self.relu6(self.conv(x, f"{name}/expand", 8, 16, 1), f"{name}/expand_relu")
        y = self.relu6(self.conv(y, f"{name}/depthwise", 16, 16, 3, g=16), f"{name}/depthwise_relu")
        y = self.conv(y, f"{name}/project", 16, 8, 1)
        return self.op("Add", [x, y], f"{name}/add")


def tf2onnx_mobilenet() -> None:
    net = Tf(15)
    net.numbers()
    x = net.op("Transpose", ["input_1"], "model/Conv1/Conv2D__6", perm=[0, 3, 1, 2])
    x = net.relu6(net.conv(x, "model/Conv1", 3, 8, 3, 2), "model/Conv1_relu")
    x = net.inverted(net.inverted(x, "model/block_1"), "model/block_2")
    x = net.op("GlobalAveragePool", [x], "model/global_average_pooling2d/Mean")
    axes = net.const([2, 3], "const_axes", np.int64)
    x = net.op("Squeeze", [x, axes], "model/global_average_pooling2d/Mean_Squeeze__120")
    w = net.weight("model/predictions/MatMul/ReadVariableOp:0", 8, 10, fan=8)
    x = net.op("MatMul", [x, w], "model/predictions/MatMul")
    b = net.weight("model/predictions/BiasAdd/ReadVariableOp:0", 10, bias=True)
    x = net.op("Add", [x, b], "model/predictions/BiasAdd")
    net.op("Softmax", [x], "model/predictions/Softmax", "predictions", axis=1)
    net.save("tf2onnx_mobilenet", {"input_1": [1, 32, 32, 3]}, ["predictions"])


def tf2onnx_detector() -> None:
    """Input as NCHW, transposes left between the convolutions, heads reshaped as NHWC."""
    net = Tf(13)
    net.numbers()
    x = net.min6(net.conv("images", "det/stem", 3, 8, 3, 2), "det/stem")
    x = net.op("Transpose", [x], "det/to_nhwc", perm=[0, 2, 3, 1])
    x = net.op(
        "Pad", [x, net.const([0, 1, 1, 0, 0, 1, 1, 0], "pads", np.int64)], "det/ZeroPadding2D"
    )
    x = net.op("Transpose", [x], "det/to_nchw", perm=[0, 3, 1, 2])
    w = net.weight("det/valid/kernel:0", 8, 8, 3, 3)
    b = net.weight("det/valid/bias:0", 8, bias=True)
    x = net.op("Conv", [x, w, b], "det/valid/Conv2D", kernel_shape=[3, 3], strides=[2, 2])
    x = net.min6(x, "det/valid")
    outputs = []
    for kind, width in (("box", 4), ("class", 3)):
        y = net.min6(net.conv(x, f"det/{kind}_tower", 8, 8), f"det/{kind}_tower")
        y = net.conv(y, f"det/{kind}_out", 8, 2 * width)
        y = net.op("Transpose", [y], f"det/{kind}_nhwc", perm=[0, 2, 3, 1])
        shape = net.const([1, -1, width], f"det/{kind}_shape", np.int64)
        y = net.op("Reshape", [y, shape], f"det/{kind}_Reshape")
        outputs.append(net.op("Sigmoid", [y], "det/Sigmoid") if kind == "class" else y)
    net.op("Concat", outputs, "det/concat", "detections", axis=2)
    net.save("tf2onnx_detector", {"images": [1, 3, 32, 32]}, ["detections"])


class Paddle(Graph):
    """paddle2onnx: operator set 11, BatchNorm apart, constants as nodes, names of temporaries."""

    def __init__(self) -> None:
        super().__init__(11, constants_as_nodes=True)
        self.convs = self.count = 0

    def tmp(self) -> str:
        self.count += 1
        return f"p2o.{self.count}"

    def conv(
        self, x: str, i: int, o: int, k: int = 3, s: int = 1, g: int = 1, norm: bool = True
    ) -> str:
        n = self.convs
        self.convs += 1
        w = self.weight(f"conv2d_{n}.w_0", o, i // g, k, k)
        x = self.op(
            "Conv",
            [x, w],
            f"Conv.{n}",
            f"conv2d_{n}.tmp_0",
            kernel_shape=[k, k],
            strides=[s, s],
            pads=[k // 2] * 4,
            group=g,
            dilations=[1, 1],
        )
        if not norm:
            b = self.const(np.full((1, o, 1, 1), 0.1), self.tmp())
            return self.op("Add", [x, b], f"Add.bias{n}", f"conv2d_{n}.tmp_1")
        parts = []
        for kind, low, high in (
            ("w_0", 0.5, 1.5),
            ("b_0", -0.4, 0.4),
            ("w_1", -0.2, 0.2),
            ("w_2", 0.5, 1.5),
        ):
            name = f"batch_norm2d_{n}.{kind}"
            value = self.rng.uniform(low, high, o).astype(np.float32)
            self.weights.append(numpy_helper.from_array(value, name))
            parts.append(name)
        return self.op(
            "BatchNormalization",
            [x, *parts],
            f"BatchNormalization.{n}",
            f"batch_norm_{n}.tmp_2",
            epsilon=1e-5,
            momentum=0.9,
        )

    def hardswish(self, x: str) -> str:
        """x * clip(x + 3, 0, 6) / 6, decomposed as operator set 11 has no HardSwish."""
        a = self.op("Add", [x, self.const(3.0, self.tmp())], self.tmp(), self.tmp())
        low, high = self.const(0.0, self.tmp()), self.const(6.0, self.tmp())
        c = self.op("Clip", [a, low, high], self.tmp(), self.tmp())
        m = self.op("Mul", [x, c], self.tmp(), self.tmp())
        return self.op(
            "Div", [m, self.const(6.0, self.tmp())], self.tmp(), f"hardswish_{self.count}.tmp_0"
        )

    def block(self, x: str, squeeze: bool) -> str:
        x = self.hardswish(self.conv(x, 8, 8, 5, g=8))
        if squeeze:
            s = self.op("GlobalAveragePool", [x], self.tmp(), self.tmp())
            s = self.op("Relu", [self.conv(s, 8, 4, 1, norm=False)], self.tmp(), self.tmp())
            s = self.conv(s, 4, 8, 1, norm=False)
            s = self.op("HardSigmoid", [s], self.tmp(), self.tmp(), alpha=0.1666667, beta=0.5)
            x = self.op("Mul", [x, s], self.tmp(), self.tmp())
        return self.hardswish(self.conv(x, 8, 8, 1))

    def sizes(self, x: str, begin: int, end: int) -> str:
        """Part of a tensor's shape, by Shape and Slice."""
        shape = self.op("Shape", [x], self.tmp(), self.tmp())
        bounds = [self.const([v], self.tmp(), np.int64) for v in (begin, end, 0)]
        return self.op("Slice", [shape, *bounds], self.tmp(), self.tmp())


def paddle_lcnet() -> None:
    net = Paddle()
    x = net.hardswish(net.conv("x", 3, 8, 3, 2))
    x = net.block(net.block(x, False), True)
    x = net.op("GlobalAveragePool", [x], net.tmp(), "pool2d_0.tmp_0")
    x = net.op("Identity", [x], net.tmp(), "dropout_0.tmp_0")
    minus = net.const([-1], net.tmp(), np.int64)
    shape = net.op("Concat", [net.sizes(x, 0, 1), minus], net.tmp(), net.tmp(), axis=0)
    x = net.op("Reshape", [x, shape], net.tmp(), "flatten_0.tmp_0")
    x = net.op("MatMul", [x, net.weight("linear_0.w_0", 8, 10, fan=8)], net.tmp(), "linear_0.tmp_0")
    x = net.op("Add", [x, net.weight("linear_0.b_0", 10, bias=True)], net.tmp(), "linear_0.tmp_1")
    x = net.op("Softmax", [x], net.tmp(), net.tmp(), axis=1)
    net.op("Identity", [x], net.tmp(), "softmax_0.tmp_0")
    net.save("paddle_lcnet", {"x": [1, 3, 32, 32]}, ["softmax_0.tmp_0"])


def paddle_picodet() -> None:
    """Two levels, nearest resizing to the size of another tensor, distances by Softmax, MatMul."""
    net = Paddle()
    fine = net.hardswish(net.conv("image", 3, 8, 3, 2))
    coarse = net.block(net.hardswish(net.conv(fine, 8, 8, 3, 2)), True)
    target = [net.sizes(coarse, 0, 2), net.sizes(fine, 2, 4)]
    size = net.op("Concat", target, net.tmp(), net.tmp(), axis=0)
    roi, scales = net.const([], net.tmp()), net.const([], net.tmp())
    up = net.op(
        "Resize",
        [coarse, roi, scales, size],
        net.tmp(),
        "nearest_interp_v2_0.tmp_0",
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    joined = net.op("Concat", [up, fine], net.tmp(), "concat_0.tmp_0", axis=1)
    fine = net.hardswish(net.conv(net.hardswish(net.conv(joined, 16, 16, 5, g=16)), 16, 8, 1))
    scores, boxes = [], []
    project = net.const(np.arange(8.0), net.tmp())
    for level in (fine, coarse):
        y = net.conv(level, 8, 3 + 32, 1, norm=False)
        parts = [net.tmp(), net.tmp()]
        net.nodes.append(helper.make_node("Split", [y], parts, net.tmp(), axis=1, split=[3, 32]))
        score = net.op("Sigmoid", [parts[0]], net.tmp(), net.tmp())
        shape = net.const([1, 3, -1], net.tmp(), np.int64)
        scores.append(net.op("Reshape", [score, shape], net.tmp(), net.tmp()))
        box = net.op("Transpose", [parts[1]], net.tmp(), net.tmp(), perm=[0, 2, 3, 1])
        shape = net.const([-1, 8], net.tmp(), np.int64)
        box = net.op("Reshape", [box, shape], net.tmp(), net.tmp())
        box = net.op("Softmax", [box], net.tmp(), net.tmp(), axis=1)
        box = net.op("MatMul", [box, project], net.tmp(), net.tmp())
        shape = net.const([1, -1, 4], net.tmp(), np.int64)
        boxes.append(net.op("Reshape", [box, shape], net.tmp(), net.tmp()))
    net.op("Concat", scores, net.tmp(), "concat_8.tmp_0", axis=2)
    net.op("Concat", boxes, net.tmp(), "concat_9.tmp_0", axis=1)
    net.save("paddle_picodet", {"image": [1, 3, 32, 32]}, ["concat_8.tmp_0", "concat_9.tmp_0"])


if __name__ == "__main__":
    tf2onnx_mobilenet()
    tf2onnx_detector()
    paddle_lcnet()
    paddle_picodet()
