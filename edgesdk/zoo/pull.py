"""Getting a model's file: from the assets, the cache or its URL; never with a wrong digest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from edgesdk._digest import sha256_file
from edgesdk._files import folder_atomic
from edgesdk._resources import assets_folder, cache_folder
from edgesdk.errors import EdgeError, ModelError
from edgesdk.zoo.entries import ZooEntry

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes that there will be."""


def pull(entry: ZooEntry, progress: Progress | None = None, cache: Path | None = None) -> Path:
    """The entry's file: under EDGESDK_ASSETS, in the cache, or downloaded into the cache.

    `cache` is the folder to use instead of the user's own. A file of the cache that was changed
    is downloaded anew. Raises ModelError for a file with another digest, and EdgeError when
    there is no URL, the server cannot be reached or answers with less than the whole file;
    then nothing is left behind.
    """
    given = _asset(entry)
    if given:
        _check_digest(entry, given, "put the right file there, or take it away to download it")
        return given
    folder = (cache or cache_folder()) / "zoo" / entry.sha256
    kept = folder / entry.file
    if kept.is_file() and sha256_file(kept) == entry.sha256:
        return kept
    if not entry.url:
        raise EdgeError(
            f"{entry.name} has no URL of its own: {entry.origin}",
            f"{_by_hand(entry)}, and run it again",
        )
    with folder_atomic(folder) as made:
        _download(entry, made / entry.file, progress)
        _check_digest(entry, made / entry.file, f"{entry.url} changed: do not use it; report it")
    return kept


def _asset(entry: ZooEntry) -> Path | None:
    assets = assets_folder()
    path = assets / "models" / entry.file if assets else None
    return path if path and path.is_file() else None


def _check_digest(entry: ZooEntry, path: Path, hint: str) -> None:
    found = sha256_file(path)
    if found != entry.sha256:
        raise ModelError(
            f"{path.name} is not the {entry.name} of the zoo: SHA-256 is {found}, "
            f"expected {entry.sha256}",
            hint,
        )


def _download(entry: ZooEntry, path: Path, progress: Progress | None) -> None:
    # An app whose model is there already does not load the network's libraries.
    from edgesdk.zoo.network import blocks  # noqa: PLC0415

    done = 0
    with path.open("wb") as file:
        for block in blocks(entry.url, _by_hand(entry)):
            file.write(block)
            done += len(block)
            if done > entry.size_bytes:
                break
            if progress:
                progress(done, entry.size_bytes)
    if done != entry.size_bytes:
        found = "more than that" if done > entry.size_bytes else f"{done} bytes"
        raise EdgeError(
            f"{entry.url} should give {entry.size_bytes} bytes, found {found}",
            f"the transfer was cut short or the file changed: run it again, or {_by_hand(entry)}",
        )


def _by_hand(entry: ZooEntry) -> str:
    return f"put {entry.file} in the folder models/ of the folder that EDGESDK_ASSETS names"
