"""Exports as folders: each is written whole or not at all, and the bundle stays as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesdk._files import folder_atomic
from edgesdk._version import __version__
from edgesdk.backends.tensorrt.version import Version
from edgesdk.calibration.tensorrt_cache import cache_text, version_number
from edgesdk.errors import UnknownName, UsageError
from edgesdk.exports.deepstream import deepstream_files
from edgesdk.exports.files import CACHE, CONFIG, GRAPH, LABELS, RECORD, SCRIPT
from edgesdk.exports.target import ExportTarget
from edgesdk.exports.trtexec import trtexec_script


@dataclass(frozen=True)
class Export:
    """Files of one export, not yet written."""

    files: Mapping[str, bytes]
    """Name -> content."""
    warnings: tuple[str, ...]
    """What is otherwise than in the bundle, in sentences."""


def calibration_cache(target: ExportTarget) -> Export:
    """The cache, and the graph whose tensors it names.

    Raises UsageError for a bundle without INT8, and for TensorRT 11, which reads no caches.
    """
    if not target.takes_calibration:
        raise UsageError(
            f"TensorRT {target.tensorrt} reads no calibration caches: it takes INT8 from the "
            "Q/DQ in the graph only",
            "give it the bundle's own graph: --to trtexec",
        )
    implicit = target.implicit
    files = {CACHE: _cache(target), GRAPH: implicit.model.to_bytes()}
    return Export(files, implicit.warnings)


def trtexec(target: ExportTarget) -> Export:
    """A script that builds the engine, with what it reads."""
    files = {SCRIPT: trtexec_script(target).encode(), GRAPH: target.model.to_bytes()}
    if target.settings.implicit_int8:
        return Export(files | {CACHE: _cache(target)}, target.implicit.warnings)
    return Export(files, ())


def deepstream(target: ExportTarget) -> Export:
    """nvinfer's config and labels, and the script that builds the engine, with what they read."""
    made = deepstream_files(target)
    files = {CONFIG: made.config.encode(), **trtexec(target).files}
    if made.labels:
        files[LABELS] = made.labels.encode()
    if target.has_int8 and target.takes_calibration:
        files[CACHE] = _cache(target)
    return Export(files, made.differences)


FORMS: Mapping[str, Callable[[ExportTarget], Export]] = {
    "calibration-cache": calibration_cache,
    "deepstream": deepstream,
    "trtexec": trtexec,
}


def write_export(form: str, target: ExportTarget, out: Path) -> Export:
    """Write one of `FORMS` to the folder `out`; an export that is there is replaced.

    Raises UnknownName for a form, UsageError where something else stands at `out`, and what making
    the form raises; then nothing was written.
    """
    if form not in FORMS:
        raise UnknownName("export", form, FORMS)
    _check_place(out, target.bundle.path)
    made = FORMS[form](target)
    record = {
        "export": form,
        "sdk_version": __version__,
        "bundle": target.bundle.manifest.name,
        "bundle_digest": target.bundle.digest,
        "device": target.device.name,
        "tensorrt": str(target.tensorrt),
        "warnings": list(made.warnings),
    }
    made = Export(
        {**made.files, RECORD: (json.dumps(record, indent=1) + "\n").encode()}, made.warnings
    )
    with folder_atomic(out) as folder:
        for name, content in made.files.items():
            (folder / name).write_bytes(content)
            if name == SCRIPT:
                (folder / name).chmod(0o755)
    return made


def _cache(target: ExportTarget) -> bytes:
    version: Version = target.tensorrt
    number = version_number(version.major, version.minor, version.patch)
    return cache_text(target.implicit.ranges, number).encode()


def _check_place(out: Path, bundle: Path) -> None:
    if (
        out.exists()
        and not (out / RECORD).is_file()
        and not (out.is_dir() and not any(out.iterdir()))
    ):
        raise UsageError(
            f"{out} is there and is no export, so it is not replaced",
            "name another folder with --out, or remove it",
        )
    if bundle.resolve() in (out.resolve(), *out.resolve().parents):
        raise UsageError(
            f"{out} lies inside the bundle {bundle}, which stays as it was built",
            "name a folder beside it with --out",
        )
