"""Shape ranges of inputs of varying size: checked against the graph, then handed to TensorRT.

TensorRT takes a range for any name and tells of a wrong one when it builds, so both directions
are checked here: every input of varying size needs a range, and no other input may have one.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgesdk.backends.tensorrt.api.always import Builder, IBuilderConfig
from edgesdk.backends.tensorrt.logging import Messages
from edgesdk.backends.tensorrt.settings import ShapeRange
from edgesdk.errors import UnknownName, UsageError
from edgesdk.model import Model
from edgesdk.tensors import TensorSpec

Ranges = Mapping[str, ShapeRange]


def check_ranges(model: Model, ranges: Ranges) -> None:
    """Raise UsageError (UnknownName for a name) unless the ranges are those the graph needs."""
    inputs = {spec.name: spec for spec in model.inputs}
    for name, given in ranges.items():
        if name not in inputs:
            raise UnknownName("input", name, inputs)
        _check_one(inputs[name], given)
    for spec in model.inputs:
        if not spec.is_static and spec.name not in ranges:
            raise UsageError(
                f"the size of the input {spec} varies, and no shape range was given for it",
                "give the smallest, the usual and the largest shape, such as "
                f"{_example(spec)}; or build the bundle with fixed sizes",
            )
    _check_named_sizes(inputs, ranges)


def _check_one(spec: TensorSpec, given: ShapeRange) -> None:
    if spec.is_static:
        raise UsageError(
            f"the input {spec} has a fixed size, and a shape range was given for it: {given}",
            "leave the range out",
        )
    if len(given.min) != len(spec.shape):
        raise UsageError(
            f"the input {spec} has {len(spec.shape)} dimensions, "
            f"the shape range {given} has {len(given.min)}",
            f"such as {_example(spec)}",
        )
    for axis, size in enumerate(spec.shape):
        found = {given.min[axis], given.opt[axis], given.max[axis]}
        if isinstance(size, int) and found != {size}:
            raise UsageError(
                f"the input {spec} is {size} along axis {axis}, the shape range is {given}",
                f"such as {_example(spec)}",
            )


def _check_named_sizes(inputs: Mapping[str, TensorSpec], ranges: Ranges) -> None:
    """Axes of one name, such as "batch", have one size at a time, so their ranges are alike."""
    seen: dict[str, tuple[str, tuple[int, int, int]]] = {}
    for name, given in ranges.items():
        for axis, size in enumerate(inputs[name].shape):
            found = (given.min[axis], given.opt[axis], given.max[axis])
            if isinstance(size, str) and not size.startswith("axis"):
                other, known = seen.setdefault(size, (name, found))
                if known != found:
                    raise UsageError(
                        f"{size!r} is one size, and its ranges differ: {known} for the input "
                        f"{other!r}, {found} for {name!r}",
                        "give both the same",
                    )


def _example(spec: TensorSpec) -> str:
    """A range that would fit."""
    sizes = [[s if isinstance(s, int) else n for s in spec.shape] for n in (1, 1, 8)]
    return str(ShapeRange(*(tuple(shape) for shape in sizes)))


def add_ranges(
    builder: Builder, config: IBuilderConfig, ranges: Ranges, messages: Messages
) -> None:
    """Hand over the ranges. Raises BackendError when TensorRT refuses them."""
    if not ranges:
        return
    profile = builder.create_optimization_profile()
    for name, given in ranges.items():
        profile.set_shape(name, given.min, given.opt, given.max)
    if config.add_optimization_profile(profile) < 0:
        listed = "; ".join(f"{name} {given}" for name, given in ranges.items())
        raise messages.failed(f"refuses the shape ranges {listed}", "give other ranges")
