"""An ONNX model with what is known of it. It is never changed: changes make a new one."""

from edgesdk.model.model import Model
from edgesdk.model.read import read_model

__all__ = ["Model", "read_model"]
