"""Writing a bundle whole or not at all, and opening one only when every byte is as written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import onnx

from edgesdk import _config
from edgesdk._digest import sha256_bytes, sha256_file
from edgesdk._files import folder_atomic
from edgesdk.bundle.manifest import FORMAT, Manifest
from edgesdk.errors import BundleError, ConfigError, EdgeError
from edgesdk.model import Model

MANIFEST, GRAPH, LABELS, SUMS = "manifest.json", "model.onnx", "labels.txt", "SHA256SUMS"
REBUILD = "copy it again from where it was built, or build it again"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files were all found to be what they were when it was built."""

    path: Path
    manifest: Manifest
    digest: str
    """SHA-256 over the digests of all files: names this bundle and no other."""

    def model(self) -> Model:
        """The graph to run, with its precision written into it."""
        data = (self.path / GRAPH).read_bytes()
        return Model.of(onnx.load_from_string(data), self.manifest.name, sha256_bytes(data))


def write_bundle(path: Path, model: Model, manifest: Manifest) -> Bundle:
    """Write a bundle folder, replacing a bundle that is there.

    Raises BundleError when something that is no bundle stands at `path`, or when it cannot be
    written; then nothing is left behind and what was there stays.
    """
    if path.exists() and not (path / MANIFEST).is_file():
        raise BundleError(
            f"{path} is there and is not a bundle, so it is not replaced",
            "name another place with --out, or remove it",
        )
    labels = manifest.spec.labels if manifest.spec else ()
    try:
        with folder_atomic(path) as folder:
            (folder / GRAPH).write_bytes(model.to_bytes())
            (folder / MANIFEST).write_text(_to_json(manifest), encoding="utf-8")
            (folder / LABELS).write_text("".join(f"{n}\n" for n in labels), encoding="utf-8")
            sums = _sums({name: sha256_file(folder / name) for name in (LABELS, MANIFEST, GRAPH)})
            (folder / SUMS).write_text(sums, encoding="utf-8")
    except BundleError:
        raise
    except EdgeError as error:
        raise BundleError(error.message, error.hint) from error
    return Bundle(path, manifest, sha256_bytes(sums.encode()))


def open_bundle(path: Path) -> Bundle:
    """Open a bundle folder and check every byte of it.

    Raises BundleError when it is no bundle, when a file is missing or changed, or when it was
    made by a newer edgesdk.
    """
    if not (path / MANIFEST).is_file():
        found = "a file" if path.is_file() else "no bundle" if path.exists() else "nothing"
        raise BundleError(
            f"{path}: expected a bundle (a folder with {MANIFEST}), found {found}",
            "make one with `edgesdk build`",
        )
    sums = _check_digests(path)
    manifest = _read_manifest(path / MANIFEST)
    return Bundle(path, manifest, sha256_bytes(sums))


def _check_digests(path: Path) -> bytes:
    """The content of SHA256SUMS, after every file agreed with it."""
    try:
        stated = (path / SUMS).read_bytes()
        actual = {name: sha256_file(path / name) for name in (LABELS, MANIFEST, GRAPH)}
    except OSError as error:
        message = f"{path}: a file of the bundle cannot be read: {error}"
        raise BundleError(message, REBUILD) from error
    if _sums(actual).encode() != stated:
        lines = stated.decode(errors="replace").splitlines()
        changed = [n for n, digest in actual.items() if f"{digest}  {n}" not in lines] or [SUMS]
        raise BundleError(
            f"{path}: {', '.join(changed)} does not agree with {SUMS}: "
            "the bundle is not what was built",
            REBUILD,
        )
    return stated


def _read_manifest(path: Path) -> Manifest:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BundleError(f"{path}: not readable as JSON: {error}", REBUILD) from error
    found = table.get("format") if isinstance(table, dict) else None
    if found != FORMAT:
        hint = "update edgesdk" if isinstance(found, int) and found > FORMAT else REBUILD
        message = f"{path}: bundle format {found!r}; this edgesdk reads format {FORMAT}"
        raise BundleError(message, hint)
    try:
        return _config.parse(Manifest, table, str(path))
    except ConfigError as error:
        raise BundleError(error.message, error.hint or REBUILD) from error


def _to_json(manifest: Manifest) -> str:
    return json.dumps(_config.plain(manifest), indent=1, allow_nan=False) + "\n"


def _sums(digests: dict[str, str]) -> str:
    """In the form of the command sha256sum, so that `sha256sum -c SHA256SUMS` checks a bundle."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
