"""TensorRT on a Jetson: engines built where the GPU is, kept beside their bundle, and run."""

from edgesdk.backends.tensorrt.backend import TensorRTBackend

__all__ = ["TensorRTBackend"]
