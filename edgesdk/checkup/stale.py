"""Is the bundle still that of the model and spec at hand?"""

from __future__ import annotations

from collections.abc import Iterator

from edgesdk._config import plain
from edgesdk.bundle import Manifest
from edgesdk.checkup.finding import Finding
from edgesdk.spec import ModelSpec

REBUILD = "build it again; engines made from the old bundle are then made anew"


def stale_findings(
    manifest: Manifest,
    model_digest: str = "",
    spec: ModelSpec | None = None,
    fingerprint: str = "",
) -> Iterator[Finding]:
    """What disagrees with what is given: SHA-256 of the float model's file, its spec, and the
    fingerprint that calibration would be cached under now. What is left out is not compared."""
    if model_digest and model_digest != manifest.origin.digest:
        yield Finding(
            "stale-model",
            "problem",
            f"the bundle was built from a model with sha256 {manifest.origin.digest[:12]}; the "
            f"one given has {model_digest[:12]}",
            "The bundle holds the weights of another model.",
            REBUILD,
        )
    if spec is not None:
        yield from _spec(manifest, spec)
    known = manifest.calibration.fingerprint if manifest.calibration else ""
    if fingerprint and known and fingerprint != known:
        yield Finding(
            "stale-calibration",
            "warning",
            f"calibration was that of fingerprint {known[:12]}; now it is {fingerprint[:12]}",
            "Model, preprocessing, pictures or recipe changed since the ranges were found.",
            REBUILD,
        )


def _spec(manifest: Manifest, spec: ModelSpec) -> Iterator[Finding]:
    if manifest.spec is None:
        return
    before, now = plain(manifest.spec), plain(spec)
    changed = [
        f"preprocess.{key}: {value!r}, now {now['preprocess'][key]!r}"
        for key, value in before["preprocess"].items()
        if value != now["preprocess"][key]
    ]
    if changed:
        yield Finding(
            "stale-preprocessing",
            "problem",
            f"the bundle's preprocessing is not that of the spec: {'; '.join(changed)}",
            "Its ranges were found with the old one, and it runs with the old one.",
            REBUILD,
        )
    other = [key for key in ("decoder", "labels") if before[key] != now[key]]
    if other:
        yield Finding(
            "stale-spec",
            "warning",
            f"the bundle's {' and '.join(other)} differ from the spec's",
            "The bundle reads its outputs as the old spec said.",
            REBUILD,
        )
