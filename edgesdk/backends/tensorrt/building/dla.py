"""Building for a DLA core, and what it leaves to the GPU."""

from __future__ import annotations

from edgesdk.backends.tensorrt.api.always import (
    Builder,
    IBuilderConfig,
    INetworkDefinition,
    TensorRT,
)
from edgesdk.backends.tensorrt.building.built import DlaReport, FallbackLayer
from edgesdk.backends.tensorrt.building.inspector import onnx_nodes
from edgesdk.backends.tensorrt.features import Features
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings
from edgesdk.errors import BackendError

LISTED = 5


def check_dla(features: Features, settings: EngineSettings) -> None:
    """Raise BackendError for what no DLA of this TensorRT can do, before any object is made."""
    if settings.dla is None:
        return
    if features.no_dla:
        raise BackendError(features.no_dla, "build for the GPU: leave DLA out")
    varying = [n for n, given in settings.shapes.items() if given.min != given.max]
    if varying:
        raise BackendError(
            f"DLA takes fixed shapes only, and {', '.join(varying)} has a range",
            "give the same shape three times, or build for the GPU",
        )


def use_dla(trt: TensorRT, builder: Builder, config: IBuilderConfig, dla: DlaSettings) -> None:
    """Set device, core and fallback. Raises BackendError when the device lacks the core."""
    cores = builder.num_DLA_cores
    if dla.core not in range(cores):
        found = f"{cores} DLA cores" if cores else "no DLA"
        raise BackendError(
            f"DLA core {dla.core} was asked for, and TensorRT finds {found} here",
            "build for the GPU, or name a core from 0" if cores else "build for the GPU",
        )
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = dla.core
    if dla.gpu_fallback:
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def report_dla(
    trt: TensorRT,
    network: INetworkDefinition,
    config: IBuilderConfig,
    dla: DlaSettings,
    features: Features,
) -> DlaReport:
    """Ask for each layer whether DLA takes it. Raises BackendError where none may be left over.

    Constants and shapes are not counted: they are folded before anything runs.
    """
    folded = {int(trt.LayerType.CONSTANT), int(trt.LayerType.SHAPE)}
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    layers = [layer for layer in layers if int(layer.type) not in folded]
    left = tuple(
        FallbackLayer(
            layer.name,
            layer.type.name.lower(),
            onnx_nodes(layer.metadata if features.metadata else "", layer.name),
        )
        for layer in layers
        if not config.can_run_on_DLA(layer)
    )
    report = DlaReport(dla.core, len(layers) - len(left), left)
    if left and not dla.gpu_fallback:
        names = ", ".join(f"{layer.name} ({layer.kind})" for layer in left[:LISTED])
        more = f" and {len(left) - LISTED} more" if len(left) > LISTED else ""
        raise BackendError(
            f"DLA does not take {len(left)} layers, and none may fall back: {names}{more}",
            "allow the GPU to run them, or change the model",
        )
    return report
