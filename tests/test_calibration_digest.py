"""The digest of a set of pictures: it changes with what is in it, and costs no decoding."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesdk.errors import DataError
from edgesdk.pictures import Picture, PictureSet, open_pictures
from edgesdk.pictures.set import Loader
from edgesdk.sim.pictures import simulated_pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "set"
    made.mkdir()
    for index in range(6):
        cv2.imwrite(str(made / f"{index}.png"), np.full((4, 5, 3), index * 20, np.uint8))
    return made


def test_the_same_pictures_have_the_same_digest_wherever_they_lie(
    folder: Path, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    expected = open_pictures(folder).digest()
    assert open_pictures(folder).digest() == expected
    assert open_pictures(tmp_path / "set.tar").digest() == expected


@pytest.mark.parametrize("change", ["edited", "added", "removed", "renamed"])
def test_any_change_of_the_pictures_changes_it(folder: Path, change: str) -> None:
    before = open_pictures(folder).digest()
    if change == "edited":
        cv2.imwrite(str(folder / "3.png"), np.full((4, 5, 3), 1, np.uint8))
    elif change == "added":
        cv2.imwrite(str(folder / "9.png"), np.full((4, 5, 3), 1, np.uint8))
    elif change == "removed":
        (folder / "0.png").unlink()
    else:
        (folder / "0.png").rename(folder / "7.png")
    assert open_pictures(folder).digest() != before


def test_a_thinned_set_has_the_digest_of_what_is_left(folder: Path) -> None:
    everything = open_pictures(folder)
    thin = everything.thinned(3)
    assert thin.digest() != everything.digest()
    assert everything.thinned(100).digest() == everything.digest()
    before = thin.digest()
    cv2.imwrite(str(folder / "1.png"), np.full((4, 5, 3), 1, np.uint8))  # not one of 0, 2, 4
    assert open_pictures(folder).thinned(3).digest() == before
    twice = open_pictures(folder).thinned(3).thinned(2)
    assert [picture.name for picture in twice] == ["0.png", "2.png"]
    cv2.imwrite(str(folder / "4.png"), np.full((4, 5, 3), 1, np.uint8))
    assert open_pictures(folder).thinned(3).thinned(2).digest() == twice.digest()


def test_an_unreadable_picture_does_not_stop_it(folder: Path) -> None:
    (folder / "2.png").write_bytes(b"")
    assert len(open_pictures(folder).digest()) == 64


def test_arrays_and_simulated_scenes_have_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", X=rng.integers(0, 255, (4, 6, 6, 3), np.uint8))
    one, other = open_pictures(tmp_path / "a.npz"), open_pictures(tmp_path / "b.npz")
    scenes = [simulated_pictures(f"sim://traffic?frames={n}") for n in (4, 5)]
    digests = [s.digest() for s in (one, other, one.thinned(2), *scenes, scenes[1].thinned(4))]
    assert len(set(digests)) == 6


def test_a_file_that_went_away_is_a_data_error(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.zeros((4, 6, 6, 3), np.uint8))
    pictures = open_pictures(tmp_path / "a.npz")
    (tmp_path / "a.npz").unlink()
    with pytest.raises(DataError, match=r"a\.npz"):
        pictures.digest()


def test_a_set_made_by_hand_is_named_by_its_pixels() -> None:
    def made(value: int) -> PictureSet:
        def load(index: int) -> Picture:
            return Picture(f"p{index}", np.full((3, 3, 3), value, np.uint8))

        return PictureSet("mine", 2, lambda: ((f"p{i}", partial(load, i)) for i in range(2)))

    assert made(1).digest() == made(1).digest() != made(2).digest()


def test_of_a_hundred_thousand_pictures_only_the_wanted_ones_are_read() -> None:
    read: list[int] = []

    def load(index: int) -> Picture:
        read.append(index)
        return Picture(f"p{index}", np.zeros((2, 2, 3), np.uint8))

    def loaders() -> Iterator[tuple[str, Loader]]:
        return ((f"p{i}", partial(load, i)) for i in range(100_000))

    thin = PictureSet("large", 100_000, loaders).thinned(50)
    assert [picture.name for picture in thin] == [f"p{i}" for i in range(0, 100_000, 2000)]
    assert len(read) == 50


def test_a_large_folder_is_digested_without_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(2000):
        (tmp_path / f"{index}.jpg").write_bytes(os.urandom(64))  # no pictures at all
    monkeypatch.setattr("cv2.imdecode", None)
    assert len(open_pictures(tmp_path).thinned(100).digest()) == 64
