"""Putting the weights of a bundle back into an engine that was stripped of them."""

from __future__ import annotations

from typing import cast

from edgesdk.backends.tensorrt.api import from_ten
from edgesdk.backends.tensorrt.api.always import ILogger, TensorRT
from edgesdk.backends.tensorrt.api.always.running import ICudaEngine
from edgesdk.backends.tensorrt.features import features_of
from edgesdk.backends.tensorrt.logging import Messages
from edgesdk.errors import BackendError
from edgesdk.model import Model

LISTED = 5
AGAIN = "the engine was built from another graph: build it again from this bundle"


def refit(
    trt: TensorRT, engine: ICudaEngine, model: Model, logger: ILogger, messages: Messages
) -> None:
    """Fill a loaded engine with the weights of the graph that it was built from.

    `messages` is what `logger` fills. Raises BackendError when they do not fit or some are
    missing; the engine must not be run then.
    """
    if not features_of(trt).strip_plan:
        raise BackendError(
            f"TensorRT {trt.__version__} knows no engines without weights: 10 and later do",
            "build the engine with its weights",
        )
    refitter = trt.Refitter(engine, logger)
    parser = cast("from_ten.TensorRT", trt).OnnxParserRefitter(refitter, logger)
    if not parser.refit_from_bytes(model.to_bytes()):
        raise messages.failed("does not take the bundle's weights", AGAIN)
    missing = refitter.get_missing_weights()
    if missing:
        names = ", ".join(missing[:LISTED])
        raise BackendError(f"{len(missing)} weights are not in the bundle: {names}", AGAIN)
    if not refitter.refit_cuda_engine():
        raise messages.failed("could not put the weights back", AGAIN)
