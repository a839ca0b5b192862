"""Our own checks, before TensorRT sees anything: it takes some graphs that it should not."""

from __future__ import annotations

from edgesdk.backends.tensorrt.building.dla import check_dla
from edgesdk.backends.tensorrt.building.shapes import check_ranges
from edgesdk.backends.tensorrt.features import Features
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.errors import BackendError
from edgesdk.lint import check_for_tensorrt
from edgesdk.model import Model

LISTED = 5


def check_settings(features: Features, model: Model, settings: EngineSettings) -> None:
    """Raise UsageError or BackendError for settings that this TensorRT or graph cannot take."""
    for asked, there, what, since in (
        (settings.strip_weights, features.strip_plan, "engines without weights", "10"),
        (settings.version_compatible, features.version_compatible, "engines for later ones", "8.6"),
        (
            settings.optimization_level is not None,
            features.optimization_level,
            "optimization levels",
            "8.6",
        ),
    ):
        if asked and not there:
            raise BackendError(
                f"TensorRT {features.version} has no {what}: {since} and later have",
                "leave that setting out",
            )
    check_dla(features, settings)
    check_ranges(model, settings.shapes)


def check_graph(features: Features, model: Model) -> None:
    """Raise BackendError with the findings of our rules, except for sizes that vary.

    Those are `check_ranges`' matter.
    """
    findings = check_for_tensorrt(model, features.max_opset)
    found = [finding for finding in findings if finding.rule != "dynamic-shape"]
    if found:
        listed = "; ".join(
            f"{one.node or 'the graph'}: {one.message} [{one.rule}]" for one in found[:LISTED]
        )
        more = f"; and {len(found) - LISTED} more" if len(found) > LISTED else ""
        raise BackendError(
            f"TensorRT {features.version} would not take this graph as it is meant: {listed}{more}",
            "build the bundle again with this edgesdk, for the JetPack of this board",
        )
