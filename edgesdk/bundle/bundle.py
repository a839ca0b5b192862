"""Writing a bundle whole or not at all, and opening one only when every byte is as written."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from edgesdk import _config
from edgesdk._digest import sha256_bytes, sha256_file
from edgesdk._files import folder_atomic
from edgesdk.bundle.manifest import FORMAT, READABLE, Manifest
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
    graph_digest: str = ""
    """SHA-256 of model.onnx."""

    def model(self) -> Model:
        """The graph to run, with its precision written into it."""
        try:
            data = (self.path / GRAPH).read_bytes()
            proto = onnx.load_from_string(data)
        except (OSError, DecodeError) as error:
            message = f"{self.path}: {GRAPH} cannot be read: {error}"
            raise BundleError(message, REBUILD) from error
        digest = sha256_bytes(data)
        if digest != self.graph_digest:
            raise BundleError(f"{self.path}: {GRAPH} has changed since it was checked", REBUILD)
        if any(t.data_location == onnx.TensorProto.EXTERNAL for t in proto.graph.initializer):
            raise BundleError(f"{self.path}: {GRAPH} names files outside the bundle", REBUILD)
        return Model.of(proto, self.manifest.name, digest)


def write_bundle(path: Path, model: Model, manifest: Manifest) -> Bundle:
    """Write a bundle folder, replacing a bundle that is there.

    Raises BundleError when something that is no bundle stands at `path`, or when it cannot be
    written; then nothing is left behind and what was there stays.
    """
    check_place(path)
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
    return Bundle(path, manifest, sha256_bytes(sums.encode()), sha256_bytes(model.to_bytes()))


def check_place(path: Path) -> None:
    """Raise BundleError when no bundle can be written at `path`: before the work, not after."""
    if path.exists() and not (path / MANIFEST).is_file() and not _is_empty_folder(path):
        raise BundleError(
            f"{path} is there and is not a bundle, so it is not replaced",
            "name another place with --out, or remove it",
        )
    parent = next(p for p in path.resolve().parents if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise BundleError(
            f"cannot write {path}: {parent} takes no files", "name another with --out"
        )


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


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
    sums, graph_digest = _check_digests(path)
    manifest = _read_manifest(path / MANIFEST)
    return Bundle(path, manifest, sha256_bytes(sums), graph_digest)


def _check_digests(path: Path) -> tuple[bytes, str]:
    """The content of SHA256SUMS, after every file agreed with it, and the graph's digest."""
    try:
        special = [n for n in (LABELS, MANIFEST, GRAPH, SUMS) if not (path / n).is_file()]
        if special:
            raise FileNotFoundError(f"{special[0]} is missing, or no plain file")
        stated = (path / SUMS).read_bytes()
        actual = {name: sha256_file(path / name) for name in (LABELS, MANIFEST, GRAPH)}
    except OSError as error:
        message = f"{path}: a file of the bundle cannot be read: {error}"
        raise BundleError(message, REBUILD) from error
    if _sums(actual).encode() != stated:
        lines = stated.decode(errors="replace").splitlines()
        changed = [n for n, digest in actual.items() if f"{digest}  {n}" not in lines] or [SUMS]
        raise BundleError(
            f"{path}: the bundle is not what was built: {', '.join(changed)} "
            + ("was changed" if changed == [SUMS] else f"does not agree with {SUMS}"),
            REBUILD,
        )
    return stated, actual[GRAPH]


def _read_manifest(path: Path) -> Manifest:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BundleError(f"{path}: not readable as JSON: {error}", REBUILD) from error
    found = table.get("format") if isinstance(table, dict) else None
    if found not in READABLE:
        hint = "update edgesdk" if isinstance(found, int) and found > FORMAT else REBUILD
        message = f"{path}: bundle format {found!r}; this edgesdk reads {_listed(READABLE)}"
        raise BundleError(message, hint)
    try:
        return _config.parse(Manifest, table, str(path))
    except ConfigError as error:
        raise BundleError(error.message, error.hint or REBUILD) from error


def _listed(formats: tuple[int, ...]) -> str:
    return "formats " + " and ".join(map(str, formats))


def _to_json(manifest: Manifest) -> str:
    table = _config.plain(manifest)
    calibration = table["calibration"]
    # Most bundles have none, and an edgesdk that does not know the key can read those.
    if calibration and not calibration["implicit_ranges"]:
        del calibration["implicit_ranges"]
    accuracy = table["accuracy"]
    if accuracy and accuracy["threshold"] is None:
        del accuracy["threshold"]
    return json.dumps(table, indent=1, allow_nan=False) + "\n"


def _sums(digests: dict[str, str]) -> str:
    """In the form of the command sha256sum, so that `sha256sum -c SHA256SUMS` checks a bundle."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
