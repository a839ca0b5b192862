"""Sets of pictures: what can be read is read in a fixed order, what cannot is named."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk._resources import assets_folder
from edgesdk.errors import ConfigError, DataError
from edgesdk.pictures import Picture, PictureSet, open_pictures
from edgesdk.pictures.files import natural
from edgesdk.pictures.yolo import parse_labels
from edgesdk.sim import simulated_pictures


def png(value: int, width: int = 20, height: int = 10) -> bytes:
    image = np.full((height, width, 3), (value, 0, 255 - value), np.uint8)
    return cv2.imencode(".png", image)[1].tobytes()


def folder(tmp_path: Path) -> Path:
    """a2, a10 (in that order), a broken one, an empty one, and a file of another kind."""
    for name, data in {
        "a10.png": png(10),
        "a2.png": png(2),
        "broken.jpg": b"\xff\xd8\xff\xe0 not a jpeg",
        "empty.png": b"",
        "notes.md": b"hello",
    }.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def as_tar(root: Path, path: Path) -> Path:
    with tarfile.open(path, "w") as archive:
        for file in sorted(root.rglob("*")):
            if file.is_file():
                archive.add(file, file.relative_to(root).as_posix())
    return path


def names(pictures: PictureSet) -> list[str]:
    return [picture.name for picture in pictures]


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_readable_pictures_come_in_natural_order_and_the_others_are_named(
    tmp_path: Path, kind: str
) -> None:
    root = tmp_path / "set"
    root.mkdir()
    folder(root)
    pictures = open_pictures(root if kind == "folder" else as_tar(root, tmp_path / "set.tar"))
    assert pictures.count == 4
    assert names(pictures) == ["a2.png", "a10.png"]
    assert names(pictures) == ["a2.png", "a10.png"], "a second pass gives the same"
    assert set(pictures.skipped) == {"broken.jpg", "empty.png"}
    assert pictures.skipped["empty.png"] == "the file is empty"


def test_pixels_come_as_bgr(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(7))
    picture = next(iter(open_pictures(tmp_path)))
    assert picture.image.shape == (10, 20, 3)
    assert picture.image[0, 0].tolist() == [7, 0, 248]


@pytest.mark.parametrize("place", ["absent", "empty folder", "text file"])
def test_a_place_without_pictures_is_refused(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    if place == "empty folder":
        path.mkdir()
    if place == "text file":
        path.write_text("hello")
    with pytest.raises(DataError, match=place):
        open_pictures(path)


def test_a_set_of_which_nothing_can_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"none of 1 pictures.*a\.png"):
        list(open_pictures(tmp_path))


def labelled(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        for part in ("images", "labels"):
            (tmp_path / part / split).mkdir(parents=True)
        (tmp_path / "images" / split / "a.png").write_bytes(png(1))
        (tmp_path / "images" / split / "b.png").write_bytes(png(2))
        (tmp_path / "labels" / split / "a.txt").write_text("3 0.5 0.5 0.5 1.0\n")
    return tmp_path


@pytest.mark.parametrize("where", ["", "#val", "/images/val"])
def test_yolo_labels_beside_the_pictures_are_found(tmp_path: Path, where: str) -> None:
    pictures = open_pictures(f"{labelled(tmp_path)}{where}")
    assert pictures.labelled
    found = {Path(p.name).stem: p.truth for p in pictures}
    assert found["a"] is not None
    assert found["b"] is not None
    # By hand: a picture of 20 x 10, centre in the middle, half as wide, as high.
    np.testing.assert_allclose(found["a"].xyxy, [[5, 0, 15, 10]])
    assert found["a"].class_id.tolist() == [3]
    assert len(found["b"]) == 0, "no label file in a labelled set: nothing is on the picture"
    assert len(list(pictures)) == (4 if where == "" else 2)


def write(root: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return root


def classes(pictures: PictureSet) -> dict[str, list[int]]:
    return {p.name: p.truth.class_id.tolist() for p in pictures if p.truth is not None}


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_cameras_with_the_same_file_names_keep_their_own_labels(tmp_path: Path, kind: str) -> None:
    root = write(
        tmp_path / "cams",
        {
            "cam1/images/0000.png": png(1),
            "cam1/labels/0000.txt": "1 .5 .5 .1 .1",
            "cam1/images/0001.png": png(1),
            "cam1/labels/0001.txt": "1 .5 .5 .1 .1",
            "cam1/labels/0002.txt": "1 .5 .5 .1 .1",  # its picture is gone
            "cam2/images/0000.png": png(2),
            "cam2/labels/0000.txt": "2 .5 .5 .1 .1",
            "cam2/images/0001.png": png(2),  # nothing on it
            "cam2/images/0002.png": png(2),  # nothing on it
        },
    )
    source = root if kind == "folder" else as_tar(root, tmp_path / "cams.tar")
    second = {"cam2/images/0000.png": [2], "cam2/images/0001.png": [], "cam2/images/0002.png": []}
    first = {"cam1/images/0000.png": [1], "cam1/images/0001.png": [1]}
    assert classes(open_pictures(source)) == first | second
    assert classes(open_pictures(f"{source}#cam2")) == second


def test_labels_kept_in_another_tree_are_found_by_folder_and_name(tmp_path: Path) -> None:
    tree = {
        "images/val2017/7.png": png(1),
        "images/train2017/7.png": png(1),
        "object_detection/labels/val2017/7.txt": "1 .5 .5 .1 .1",
        "object_detection/labels/train2017/7.txt": "2 .5 .5 .1 .1",
    }
    found = classes(open_pictures(write(tmp_path, tree)))
    assert found == {"images/val2017/7.png": [1], "images/train2017/7.png": [2]}


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (["images/7.png", "one/labels/7.txt", "two/labels/7.txt"], ["one/labels", "two/labels"]),
        (["a/images/7.png", "b/images/7.png", "c/labels/7.txt"], ["a/images", "b/images"]),
    ],
)
def test_labels_that_fit_twice_are_refused(
    tmp_path: Path, files: list[str], named: list[str]
) -> None:
    write(tmp_path, {n: png(1) if n.endswith("png") else "1 .5 .5 .1 .1" for n in files})
    with pytest.raises(DataError) as caught:
        open_pictures(tmp_path)
    assert all(name in caught.value.message for name in named)


def test_the_coco_pictures_have_their_labels() -> None:
    assets = assets_folder()
    if assets is None:
        pytest.skip("needs the assets (coco192.tar): set EDGESDK_ASSETS to their folder")
    pictures = open_pictures(f"{assets}/data/coco192.tar#val2017")
    assert (pictures.count, pictures.labelled) == (64, True)
    assert all(p.truth is not None and len(p.truth) for p in pictures.thinned(8))


def test_an_unlabelled_set_has_no_truth(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    pictures = open_pictures(tmp_path)
    assert not pictures.labelled
    assert next(iter(pictures)).truth is None


@pytest.mark.parametrize(
    "line",
    [
        "3 0.5 0.5 0.5",
        "car 0.5 0.5 0.5 0.5",
        "-1 0 0 1 1",
        "1 nan 0 1 1",
        "0 100 100 50 50",  # pixels
        "0 0.5 0.5 0.5 -0.5",
        "0.5 0.5 0.5 0.5 0.5",
        "inf 0.5 0.5 0.5 0.5",
    ],
)
def test_a_bad_label_line_is_shown(line: str) -> None:
    with pytest.raises(DataError, match="line 2"):
        parse_labels(f"1 0.5 0.5 0.1 0.1\n{line}\n", 10, 10)


def test_a_label_that_leaves_the_picture_by_rounding_is_taken() -> None:
    boxes = parse_labels("2.0 0.5 0.5 1.000001 1.0005\n", 100, 100)
    assert boxes.class_id.tolist() == [2]
    np.testing.assert_allclose(boxes.xyxy, [[0, 0, 100, 100]], atol=0.1)


def test_npz_pictures_are_rgb_and_have_classes(tmp_path: Path) -> None:
    pixels = np.zeros((3, 4, 5, 3), np.uint8)
    pixels[1, ..., 0] = 200  # red
    np.savez(tmp_path / "set.npz", X=pixels, Y=np.array([4, 5, 6]))
    pictures = list(open_pictures(tmp_path / "set.npz"))
    assert [p.class_id for p in pictures] == [4, 5, 6]
    assert pictures[1].image[0, 0].tolist() == [0, 0, 200]


@pytest.mark.parametrize(
    "held",
    [
        {"A": np.zeros(3)},
        {"X": np.zeros((2, 4, 4, 3), np.float32)},
        {"X": np.zeros((2, 4, 4, 1), np.uint8)},
        {"X": np.zeros((0, 4, 4, 3), np.uint8)},
        {"X": np.zeros((2, 4, 4, 3), np.uint8), "Y": np.zeros(3, np.int64)},
    ],
    ids=["no X", "float", "one channel", "empty", "classes of another number"],
)
def test_an_npz_of_another_form_says_what_was_expected(
    tmp_path: Path, held: dict[str, np.ndarray]
) -> None:
    np.savez(tmp_path / "set.npz", **held)
    with pytest.raises(DataError) as caught:
        open_pictures(tmp_path / "set.npz")
    assert "numpy.savez" in caught.value.hint


def test_a_truncated_npz_or_tar_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, X=np.zeros((50, 20, 20, 3), np.uint8))
    (tmp_path / "cut.npz").write_bytes(buffer.getvalue()[:500])
    with pytest.raises(DataError):
        open_pictures(tmp_path / "cut.npz")


@pytest.mark.parametrize("kind", ["npz", "tar.gz", "tar.bz2", "tar.xz"])
def test_damage_is_a_data_error_or_does_not_matter(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"set.{kind}"
    if kind == "npz":
        np.savez_compressed(path, X=np.ones((2, 4, 4, 3), np.uint8), Y=np.arange(2))
    else:
        (tmp_path / "a.png").write_bytes(png(1))
        with tarfile.open(path, f"w:{kind[4:]}") as archive:
            archive.add(tmp_path / "a.png", "a.png")
    assert len(list(open_pictures(path))) == (2 if kind == "npz" else 1)
    whole, refused = path.read_bytes(), 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            list(open_pictures(path))
        except DataError:
            refused += 1
    assert refused


def test_a_picture_and_a_wrong_split_are_refused_with_what_to_name(tmp_path: Path) -> None:
    labelled(tmp_path)
    with pytest.raises(DataError, match="name its folder"):
        open_pictures(tmp_path / "images" / "val" / "a.png")
    with pytest.raises(DataError, match="images, train, val"):
        open_pictures(f"{tmp_path}#val2018")


def test_a_video_is_a_set_of_its_frames(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 16))
    for value in range(5):
        writer.write(np.full((16, 32, 3), value * 40, np.uint8))
    writer.release()
    pictures = open_pictures(tmp_path / "v.avi")
    assert [round(float(p.image.mean()) / 40) for p in pictures] == [0, 1, 2, 3, 4]


@given(st.integers(1, 60), st.integers(1, 60))
def test_a_thinned_set_is_evenly_spread(count: int, limit: int) -> None:
    def loaders():  # type: ignore[no-untyped-def]
        return ((str(i), lambda i=i: _picture(str(i))) for i in range(count))

    taken = [int(name) for name in names(PictureSet("test", count, loaders).thinned(limit))]
    assert len(taken) == min(count, limit)
    gaps = np.diff(taken)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1


def _picture(name: str) -> Picture:
    return Picture(name, np.zeros((1, 1, 3), np.uint8))


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=6))
def test_natural_order_is_that_of_the_numbers(numbers: list[int]) -> None:
    texts = sorted((f"frame{n}.png" for n in numbers), key=natural)
    assert texts == [f"frame{n}.png" for n in sorted(numbers)]


def test_a_simulation_is_a_set_of_labelled_pictures() -> None:
    pictures = simulated_pictures("sim://traffic?frames=3&fps=1&width=320&height=180&seed=4")
    assert (pictures.count, pictures.labelled) == (3, True)
    assert all(p.truth is not None and p.image.shape == (180, 320, 3) for p in pictures)
    with pytest.raises(ConfigError):
        simulated_pictures("sim://traffic?frmes=3")
