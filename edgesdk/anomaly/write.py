"""A fitted model as files: the graph, and the spec that `edgesdk build --spec` takes."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

from edgesdk._config import plain
from edgesdk._files import write_atomic
from edgesdk.anomaly.settings import Fitted


def write_fitted(fitted: Fitted, path: Path) -> Path:
    """Write `path` (the graph) and the spec beside it; gives the spec's path.

    Raises EdgeError where they cannot be written.
    """
    spec = path.with_suffix(".toml")
    write_atomic(spec, spec_text(fitted))
    write_atomic(path, fitted.model.to_bytes())
    return spec


def spec_text(fitted: Fitted) -> str:
    """The spec as TOML, with what the threshold promises beside it."""
    found = fitted.threshold
    lines = ["[preprocess]"]
    for field in fields(fitted.spec.preprocess):
        value = plain(getattr(fitted.spec.preprocess, field.name))
        given = tuple(value) if isinstance(value, list) else value
        if given != field.default:
            lines.append(f"{field.name} = {json.dumps(value)}")
    lines += [
        "",
        "[decoder]",
        f"# {found.pictures} good pictures that were not learned: {found.rejected} turned down.",
        f"# Of all good parts {found.rate:.2%} are to be expected above the threshold "
        f"(95 %: {found.rate_low:.2%} to {found.rate_high:.2%}).",
    ]
    lines += [f"# {found.note}."] if found.note else []
    lines += [f"{key} = {json.dumps(value)}" for key, value in fitted.spec.decoder.items()]
    return "\n".join(lines) + "\n"
