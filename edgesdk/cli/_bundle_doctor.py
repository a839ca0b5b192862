"""The doctor's look at a bundle: what is asked, and what is answered."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from edgesdk._config import plain
from edgesdk._digest import sha256_file
from edgesdk._files import write_atomic
from edgesdk.apps import app_names, load_app
from edgesdk.apps.folder import APP_FILE
from edgesdk.bundle import Bundle, Manifest, open_bundle
from edgesdk.checkup import Checkup, Finding, examine, stale_findings
from edgesdk.errors import DataError, EdgeError, UsageError
from edgesdk.spec import ModelSpec, read_spec


@dataclass(frozen=True)
class BundleQuestion:
    """What a user wants to know of a bundle."""

    bundle: Path
    model: str = ""
    """Compare with this: an ONNX file, or an app (its folder or a shipped one's name)."""
    spec: Path | None = None
    """Compare with this spec; empty: the app's own, where an app is named."""
    html: Path | None = None


def examined(question: BundleQuestion) -> tuple[Bundle, Checkup]:
    """Open the bundle and examine it. Raises EdgeError for what cannot be read."""
    if question.html is not None:
        check_page(question.html, question.bundle)
    bundle = open_bundle(question.bundle)
    return bundle, examine(bundle.manifest, _stale(bundle.manifest, question))


def write_page(path: Path, bundle: Bundle, checkup: Checkup) -> None:
    """The report as one HTML file."""
    from edgesdk.report.quantization import quantization_html  # noqa: PLC0415 - loads jinja2

    write_atomic(path, quantization_html(bundle, checkup))
    click.echo(f"wrote {path}", err=True)


def report_json(bundle: Bundle, checkup: Checkup) -> str:
    """One object."""
    table = {"bundle": str(bundle.path), "digest": bundle.digest, "healthy": checkup.healthy}
    return json.dumps({**table, "verdict": checkup.verdict, **plain(checkup)}, indent=2)


def _stale(manifest: Manifest, question: BundleQuestion) -> Iterator[Finding]:
    digest, spec = _given(question.model)
    if question.spec is not None:
        spec = read_spec(question.spec)
    return stale_findings(manifest, digest, spec)


def _given(model: str) -> tuple[str, ModelSpec | None]:
    """SHA-256 and spec of what --model names."""
    if not model:
        return "", None
    path = Path(model)
    if (path / APP_FILE).is_file() or (model in app_names() and not path.exists()):
        app = load_app(path if path.exists() else model)
        found = app.model_path()
        return _digest(found) if found else "", app.spec()
    return _digest(path), None


def _digest(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise DataError(
            f"{path}: the model cannot be read: {error.strerror}",
            "--model takes an ONNX file, an app's folder or the name of an app",
        ) from error


def check_page(page: Path, bundle: Path) -> None:
    """Raise EdgeError when no page can be written there: before the work, not after."""
    if page.resolve().is_relative_to(bundle.resolve()):
        raise UsageError(
            f"{page} is inside the bundle, which would be damaged", "name another place"
        )
    folder = next(parent for parent in page.absolute().parents if parent.exists())
    if page.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise EdgeError(f"cannot write {page}: {folder} takes no files", "name another place")
