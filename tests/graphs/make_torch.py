"""Writes the graphs of PyTorch's two exporters: `python make_torch.py` (torch 2.13, onnxscript).

Random weights from one seed, random statistics of BatchNorm; notes and stack traces are taken out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import onnx
import torch
import torch_heads as heads
import torch_nets as nets
from torch import Tensor, nn

HERE = Path(__file__).parent
PICTURE = (1, 3, 32, 32)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(5)
    net = make()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 1.5)
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.normal_(0, 0.3)
        if isinstance(part, nn.PReLU):
            part.weight.data.uniform_(0.05, 0.4)
    return net.eval()


def inputs(*shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
    return tuple(torch.randn(*shape) for shape in shapes)


def script(
    name: str,
    make: Callable[[], nn.Module],
    args: tuple[Tensor, ...] = (),
    opset: int = 17,
    folded: bool = True,
    dynamic: dict[str, dict[int, str]] | None = None,
    names: tuple[str, ...] = ("images",),
) -> None:
    """By TorchScript; `folded` False keeps BatchNorm as an operator."""
    path = HERE / f"torchscript_{name}.onnx"
    mode = torch.onnx.TrainingMode.EVAL if folded else torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(
        seeded(make),
        args or inputs(PICTURE),
        str(path),
        dynamo=False,
        opset_version=opset,
        input_names=list(names),
        training=mode,
        do_constant_folding=folded,
        dynamic_axes=dynamic,
    )
    finish(path)


def dynamo(
    name: str,
    make: Callable[[], nn.Module],
    args: tuple[Tensor, ...] = (),
    opset: int = 18,
    names: tuple[str, ...] = ("images",),
) -> None:
    """By torch.export."""
    path = HERE / f"dynamo_{name}.onnx"
    program = torch.onnx.export(
        seeded(make),
        args or inputs(PICTURE),
        dynamo=True,
        opset_version=opset,
        input_names=list(names),
        verbose=False,
    )
    onnx.save(program.model_proto, str(path))
    finish(path)


def finish(path: Path) -> None:
    proto = onnx.load(str(path))
    proto.doc_string = proto.graph.doc_string = ""
    for part in (proto, proto.graph):
        del part.metadata_props[:]
    for node in proto.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del value.metadata_props[:]
    for tensor in proto.graph.initializer:
        del tensor.metadata_props[:]
    for function in proto.functions:
        print(path.name, "has the function", function.name)
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString(deterministic=True))
    print(path.name, path.stat().st_size, proto.opset_import[0].version)


def main() -> None:
    both: dict[str, Callable[[], nn.Module]] = {
        "mobilenet_v3": nets.mobilenet_v3,
        "efficientnet_lite": nets.efficientnet_lite,
        "resnet": nets.resnet,
        "silu": nets.silu,
        "shufflenet": nets.shufflenet,
        "vit": nets.Vit,
        "pyramid": nets.Pyramid,
        "upsampler": nets.Upsampler,
        "yolov8": heads.Yolov8,
    }
    for name, make in both.items():
        script(name, make)
        dynamo(name, make)
    alone: dict[str, Callable[[], nn.Module]] = {
        "leaky_relu": nets.leaky_relu,
        "prelu": nets.prelu,
        "pool_pyramid": nets.PoolPyramid,
        "unet": nets.UNet,
        "shared": nets.Shared,
        "dead_channels": nets.DeadChannels,
        "dilated": nets.Dilated,
        "yolox": heads.Yolox,
        "yolov5": functools.partial(heads.Yolov5, False),
        "yolov5_end_to_end": functools.partial(heads.Yolov5, True),
        "ssd": heads.Ssd,
    }
    for name, make in alone.items():
        script(name, make)
    script("resnet_unfolded", nets.resnet, folded=False, opset=13)
    script("vit_opset16", nets.Vit, opset=16)
    script("dynamic_batch", nets.resnet, dynamic={"images": {0: "batch"}})
    script("batch16", nets.silu, inputs((16, 3, 32, 32)))
    script("signal", nets.Signal, inputs((1, 4, 64)), names=("signal",))
    script("volume", nets.Volume, inputs((1, 2, 8, 8, 8)), names=("volume",))
    script("by_channel", nets.ByChannel, inputs((1, 4, 12, 8)), names=("x",))
    two = inputs((1, 6, 12, 12), (1, 4))
    script("two_inputs", nets.TwoInputs, two, names=("grid", "sensors"))
    dynamo("two_inputs", nets.TwoInputs, two, names=("grid", "sensors"))
    script("tokens", nets.Tokens, (torch.arange(12).view(1, 12),), names=("tokens",))


if __name__ == "__main__":
    main()
