"""Build: from a float ONNX model to a bundle for a device."""

from edgesdk.build.build import build
from edgesdk.build.request import BuildRequest

__all__ = ["BuildRequest", "build"]
