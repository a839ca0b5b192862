"""Puts the parts of a field report together, and takes out of each what is private."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgesdk.backends.tensorrt.machine.driver import probe_driver
from edgesdk.doctor import diagnose
from edgesdk.fieldreport.facts import board_part, power_part, python_part, versions_part
from edgesdk.fieldreport.part import Part, json_part
from edgesdk.fieldreport.results import bench_part, bundle_parts, tests_part
from edgesdk.fieldreport.scrub import find_secrets


@dataclass(frozen=True)
class ReportRequest:
    """What the owner wants in it, beyond the machine itself."""

    bundles: tuple[Path, ...] = ()
    """The layers of their engines go in."""
    gpu_tests: Path | None = None
    """Of `scripts/test -m gpu --junitxml FILE`."""
    bench: tuple[Path, ...] = ()
    """Of `edgesdk bench --out FILE`."""
    root: Path = Path("/")
    """Where the machine is read; a recorded tree in tests."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    """Only to know what must not go in: none of it does."""
    home: Path = field(default_factory=Path.home)


def collect(request: ReportRequest) -> tuple[Part, ...]:
    """All parts, scrubbed and bounded.

    Raises DataError, ConfigError or BundleError for a named file that is not what it should be.
    """
    root = request.root
    parts = [
        json_part("doctor.json", "what `edgesdk doctor --json` says", diagnose(root)),
        board_part(root),
        versions_part(root, probe_driver()),
        python_part(),
    ]
    power = power_part(root)
    parts += [power] if power else []
    for index, bundle in enumerate(request.bundles):
        parts += bundle_parts(index, bundle)
    parts += [tests_part(request.gpu_tests)] if request.gpu_tests else []
    parts += [bench_part(index, path) for index, path in enumerate(request.bench)]
    secrets = find_secrets(root, request.environment, request.home)
    return tuple(
        replace(part, text=secrets.scrub(part.text), what=secrets.scrub(part.what)).bounded()
        for part in parts
    )
