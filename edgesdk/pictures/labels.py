"""Which label file belongs to which picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from edgesdk.errors import DataError

Key = tuple[str, ...]


def pair_labels(pictures: Iterable[str], texts: Iterable[str]) -> dict[str, str]:
    """Label file of each picture that has one.

    Of cam1/images/train/a.jpg it is cam1/labels/train/a.txt (YOLO's convention: the last `images`
    becomes `labels`). Label files kept elsewhere are found by the name of their folder and their
    own. Raises DataError where such a file could belong to two pictures, or two to a picture.
    """
    exact = {name: _exact(name) for name in pictures}
    stored = {PurePosixPath(name): name for name in texts}
    # What lies in some picture's own label folder is never lent to a picture of another folder.
    own = {path.parent for path in exact.values()}
    spare: dict[Key, list[str]] = defaultdict(list)
    for path, name in stored.items():
        if path.parent not in own:
            spare[_key(path)].append(name)
    pairs = {name: stored[path] for name, path in exact.items() if path in stored}
    return pairs | _pair_spare([name for name in exact if name not in pairs], spare)


def _pair_spare(pictures: Iterable[str], spare: dict[Key, list[str]]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    taken: dict[Key, str] = {}
    for name in pictures:
        key = _key(PurePosixPath(name))
        found = spare.get(key, [])
        if len(found) > 1:
            raise _ambiguous(f"{found[0]} and {found[1]} could both label {name}")
        if found:
            first = taken.setdefault(key, name)
            if _exact(first) != _exact(name):
                raise _ambiguous(f"{found[0]} could label both {first} and {name}")
            pairs[name] = found[0]
    return pairs


def _ambiguous(what: str) -> DataError:
    return DataError(
        what, "keep the labels of DIR/images/a.jpg in DIR/labels/a.txt, or name one set's folder"
    )


def _exact(name: str) -> PurePosixPath:
    path = PurePosixPath(name).with_suffix(".txt")
    parts = list(path.parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return PurePosixPath(*parts)


def _key(path: PurePosixPath) -> Key:
    """What images/val/a.jpg and object_detection/labels/val/a.txt have in common."""
    folder = [part for part in path.parts[-2:-1] if part not in ("images", "labels")]
    return (*folder, path.stem)
