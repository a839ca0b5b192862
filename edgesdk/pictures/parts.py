"""Pictures of parts sorted into folders: `good`, and one for each kind of defect.

Masks of the defects, if any, lie in a folder `ground_truth` beside that of the pictures, as MVTec
has them: test/scratch/007.png and ground_truth/scratch/007_mask.png.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

GOOD = 0
"""Class of a good part; the kinds of defects follow in the order of their names."""
GOOD_FOLDER, MASKS_FOLDER = "good", "ground_truth"


def is_mask(name: str) -> bool:
    """Whether a picture shows where a defect is, and no part."""
    return MASKS_FOLDER in PurePosixPath(name).parts[:-1]


def part_classes(names: Sequence[str]) -> dict[str, int]:
    """The class of each picture; empty where no folder is called `good`."""
    kinds = {name: PurePosixPath(name).parent.name for name in names if not is_mask(name)}
    if GOOD_FOLDER not in kinds.values():
        return {}
    order = [GOOD_FOLDER, *sorted(set(kinds.values()) - {GOOD_FOLDER})]
    return {name: order.index(kind) for name, kind in kinds.items()}


def pair_masks(names: Sequence[str]) -> dict[str, str]:
    """Picture -> its mask, by folder and by name with or without `_mask`."""
    masks = {_mask_key(PurePosixPath(name)): name for name in names if is_mask(name)}
    keys = {name: _key(PurePosixPath(name)) for name in names if not is_mask(name)}
    return {name: masks[key] for name, key in keys.items() if key in masks}


def _mask_key(path: PurePosixPath) -> tuple[str, str]:
    return path.parent.name, path.stem.removesuffix("_mask")


def _key(path: PurePosixPath) -> tuple[str, str]:
    return path.parent.name, path.stem
