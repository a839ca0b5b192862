"""Files for the tools beside edgesdk: calibration caches, DeepStream, trtexec."""

from edgesdk.exports.target import ExportTarget, export_target
from edgesdk.exports.trtexec import trtexec_arguments, trtexec_script
from edgesdk.exports.write import FORMS, Export, write_export

__all__ = [
    "FORMS",
    "Export",
    "ExportTarget",
    "export_target",
    "trtexec_arguments",
    "trtexec_script",
    "write_export",
]
