"""edgesdk: from a trained model to an INT8 app on an NVIDIA Jetson."""

from edgesdk._version import __version__

__all__ = ["__version__"]
