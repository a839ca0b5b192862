"""The one door through which heavy or optional packages come in."""

from __future__ import annotations

import importlib
from types import ModuleType

from edgesdk.errors import MissingExtra

EXTRA_OF = {
    "cv2": "video",
    "onnxruntime": "cpu",
    "pycocotools": "accuracy",
    "torch": "torch",
    "pycuda": "jetson",
    "jtop": "telemetry",
    "paho": "mqtt",
    "prometheus_client": "metrics",
    "uvicorn": "web",
    "pymodbus": "modbus",
    "Jetson": "gpio",
}
"""Top-level module name -> the extra of edgesdk that installs it."""


def require(module: str, purpose: str) -> ModuleType:
    """Import `module` (dotted names allowed), or say which extra brings it.

    `purpose` completes the sentence "... is needed to <purpose>".
    Raises MissingExtra when the package is absent or cannot be loaded.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        top = module.partition(".")[0]
        extra = EXTRA_OF.get(top)
        hint = f"pip install 'edgesdk[{extra}]'" if extra else f"install the package {top!r}"
        if not isinstance(error, ModuleNotFoundError):
            hint = f"it is installed but does not load ({error}); try reinstalling: {hint}"
        raise MissingExtra(
            f"{top!r} is needed to {purpose}, and is not usable here", hint
        ) from error


def available(module: str) -> bool:
    """True when `module` can be imported here (it is imported to find out)."""
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True
