"""What models are fed with while they are calibrated: pictures, groups of them, or arrays."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.build.arrays import ArrayFeeds, open_arrays
from edgesdk.build.feeds import PictureFeeds
from edgesdk.errors import DataError
from edgesdk.pictures import Picture, PictureSet, open_pictures
from edgesdk.pictures.set import given as loaded
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import FeedSource, TensorSpec

PLAIN = Preprocess(8, 8, "stretch", "bgr")


def pictures(count: int, flat: bool = False) -> PictureSet:
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    if flat:
        images[:] = images[:, :1, :1]
    taken = [Picture(f"{i}.png", image) for i, image in enumerate(images)]
    return PictureSet("test", count, lambda: [(p.name, lambda p=p: loaded(p)) for p in taken])


def feeds(count: int, batch: int = 1, flat: bool = False) -> PictureFeeds:
    spec = TensorSpec("images", "float32", (batch, 3, 8, 8))
    return PictureFeeds(pictures(count, flat), PLAIN, (spec,))


# --- pictures ---------------------------------------------------------------------------------


def test_each_picture_is_prepared_and_keeps_its_name() -> None:
    found = list(feeds(3))
    assert [name for name, _ in found] == ["0.png", "1.png", "2.png"]
    for (_, feed), picture in zip(found, pictures(3), strict=True):
        expected = picture.image.transpose(2, 0, 1)[None].astype(np.float32)
        np.testing.assert_array_equal(feed["images"], expected)


def test_a_fixed_batch_groups_pictures_and_fills_the_last_group_with_its_own() -> None:
    grouped = feeds(6, batch=4)
    found = list(grouped)
    assert grouped.count == len(found) == 2
    assert [name for name, _ in found] == ["0.png, 1.png, 2.png, 3.png", "4.png, 5.png"]
    assert grouped.samples == 6
    single = [feed["images"][0] for _, feed in feeds(6)]
    last = found[1][1]["images"]
    for row, index in zip(last, (4, 5, 4, 5), strict=True):
        np.testing.assert_array_equal(row, single[index])


def test_flat_pictures_teach_nothing_but_one_varied_one_does() -> None:
    with pytest.raises(DataError, match="all 3 pictures are one flat colour"):
        list(feeds(3, flat=True))
    assert len(list(feeds(1))) == 1


def test_unreadable_pictures_are_named() -> None:
    def fail() -> Picture:
        raise DataError("torn")

    good = pictures(2)
    both = PictureSet("test", 3, lambda: [("bad.png", fail), *good.loaders()])
    source = PictureFeeds(both, PLAIN, feeds(1).inputs)
    assert len(list(source)) == 2
    assert source.skipped == {"bad.png": "torn"}


def test_a_hundred_thousand_pictures_are_only_listed() -> None:
    read = []

    def load(index: int) -> Picture:
        read.append(index)
        return Picture(str(index), np.eye(8, dtype=np.uint8)[..., None].repeat(3, 2) * 255)

    count = 100_000
    huge = PictureSet("huge", count, lambda: ((str(i), lambda i=i: load(i)) for i in range(count)))
    tracemalloc.start()
    few = PictureFeeds(huge, PLAIN, feeds(1).inputs).thinned(10)
    names = [name for name, _ in few]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert names == [str(i) for i in range(0, count, count // 10)]
    assert len(read) == 10
    assert peak < 5_000_000


# --- arrays -----------------------------------------------------------------------------------

GRID = TensorSpec("grid", "float32", (1, 2, 3))
IDS = TensorSpec("ids", "int64", (1, 4))


def saved(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def arrays_of(path: Path, *inputs: TensorSpec) -> ArrayFeeds:
    return ArrayFeeds(open_arrays(path), inputs)


def two(count: int) -> dict[str, np.ndarray]:
    return {
        "grid": np.arange(count * 6, dtype=np.float32).reshape(count, 2, 3),
        "ids": np.arange(count * 4, dtype=np.int64).reshape(count, 4),
    }


def test_samples_of_several_inputs_come_together(tmp_path: Path) -> None:
    held = two(3)
    source = arrays_of(saved(tmp_path / "f.npz", **held, other=np.zeros(2)), GRID, IDS)
    for _ in range(2):
        found = list(source)
        assert [name for name, _ in found] == ["f.npz[0]", "f.npz[1]", "f.npz[2]"]
        for index, (_, feed) in enumerate(found):
            np.testing.assert_array_equal(feed["grid"], held["grid"][index : index + 1])
            np.testing.assert_array_equal(feed["ids"], held["ids"][index : index + 1])
            assert feed["grid"].flags.writeable


@pytest.mark.parametrize("compressed", [False, True])
def test_thinned_samples_are_spread_and_read_from_their_place(
    tmp_path: Path, compressed: bool
) -> None:
    save = np.savez_compressed if compressed else np.savez
    save(tmp_path / "f.npz", **two(100))
    few = arrays_of(tmp_path / "f.npz", GRID, IDS).thinned(4)
    assert few.count == 4
    assert [int(feed["ids"][0, 0]) for _, feed in few] == [0, 100, 200, 300]


def test_a_fixed_batch_takes_rows_in_groups(tmp_path: Path) -> None:
    batch = TensorSpec("ids", "int64", (4, 4))
    source = arrays_of(saved(tmp_path / "f.npz", ids=two(6)["ids"]), batch)
    (first, one), (second, other) = source
    assert (source.count, source.samples) == (2, 6)
    assert (first, second) == ("f.npz[0:4]", "f.npz[4:6]")
    assert one["ids"][:, 0].tolist() == [0, 4, 8, 12]
    assert other["ids"][:, 0].tolist() == [16, 20, 16, 20]


def test_an_axis_more_holds_a_whole_input_in_each_row(tmp_path: Path) -> None:
    spec, scalar = TensorSpec("m", "float32", (2, 3)), TensorSpec("gain", "float32", ())
    held = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    path = saved(tmp_path / "f.npz", m=held, gain=np.arange(4, dtype=np.float32))
    for index, (_, feed) in enumerate(arrays_of(path, spec, scalar)):
        np.testing.assert_array_equal(feed["m"], held[index])
        assert feed["gain"] == index
        assert feed["gain"].shape == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ids": None}, "has no array 'ids'"),
        ({"grid": np.zeros((3, 2, 3))}, r"float64\[3x2x3\] should be float32\[Nx2x3\]"),
        ({"grid": np.zeros((3, 3, 2), np.float32)}, r"should be float32\[Nx2x3\]"),
        ({"grid": np.zeros((0, 2, 3), np.float32)}, r"should be float32\[Nx2x3\]"),
        ({"grid": np.zeros((4, 2, 3), np.float32)}, r"different numbers of runs \(grid: 4, ids: 3"),
        ({"grid": np.asfortranarray(two(3)["grid"])}, "Fortran order"),
        ({"grid": np.zeros((3, 2, 3), ">f4")}, "expected plain numbers"),
        ({"ids": np.array([object()] * 3)}, "expected plain numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, change: dict[str, np.ndarray | None], words: str
) -> None:
    held = {k: v for k, v in (two(3) | change).items() if v is not None}
    with pytest.raises(DataError, match=words) as caught:
        arrays_of(saved(tmp_path / "f.npz", **held), GRID, IDS)
    assert caught.value.hint


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_sample_that_is_not_finite_is_named_with_its_input(tmp_path: Path, value: float) -> None:
    held = two(5)
    held["grid"][3, 1, 1] = value
    with pytest.raises(DataError, match=r"f\.npz\[3\]: the input 'grid' holds NaN"):
        list(arrays_of(saved(tmp_path / "f.npz", **held), GRID, IDS))


def test_damage_is_said(tmp_path: Path) -> None:
    whole = saved(tmp_path / "f.npz", **two(500)).read_bytes()
    (tmp_path / "text.npz").write_text("no")
    (tmp_path / "cut.npz").write_bytes(whole[:2000])
    for name in ("text", "cut"):
        with pytest.raises(DataError, match="cannot be read as an npz"):
            open_arrays(tmp_path / f"{name}.npz")
    place = whole.index(two(500)["ids"][-8:].tobytes())
    (tmp_path / "bad.npz").write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
    with pytest.raises(DataError, match="damaged"):
        list(arrays_of(tmp_path / "bad.npz", GRID, IDS))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "f.npz", x=np.zeros((200, 64, 1000), np.float32))  # 51 MB
    source = arrays_of(path, TensorSpec("x", "float32", (1, 64, 1000)))
    tracemalloc.start()
    assert sum(1 for _ in source) == 200
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


# --- both -------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 50), st.integers(1, 5))
def test_a_thinned_source_is_part_of_the_whole(count: int, limit: int, batch: int) -> None:
    whole = feeds(count, batch)
    few = whole.thinned(limit)
    names = ", ".join(name for name, _ in few).split(", ")
    assert len(names) == min(count, limit)
    assert few.count == len(list(few)) == -(-min(count, limit) // batch)


@pytest.mark.parametrize("kind", ["pictures", "arrays"])
def test_a_digest_is_that_of_the_content(tmp_path: Path, kind: str) -> None:
    def source(changed: bool) -> FeedSource:
        if kind == "pictures":
            folder = tmp_path / f"set{changed}"
            folder.mkdir(exist_ok=True)
            for index in range(2):
                image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3) + index
                image[7, 7, 2] += changed
                cv2.imwrite(str(folder / f"{index}.png"), image)
            return PictureFeeds(open_pictures(folder), PLAIN, feeds(1).inputs)
        held = two(3)
        held["ids"][2, 3] += changed
        return arrays_of(saved(tmp_path / "f.npz", **held), GRID, IDS)

    plain = source(False).digest()
    assert source(False).digest() == plain
    assert source(True).digest() != plain
    assert source(False).thinned(1).digest() != plain
