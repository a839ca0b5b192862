"""TensorRT on a Jetson. Today it only says whether it could work here."""

from edgesdk.backends.tensorrt.backend import TensorRTBackend

__all__ = ["TensorRTBackend"]
