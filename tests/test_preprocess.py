"""Preprocessing: the numbers a model gets, and where its boxes lie in the picture."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk import _config
from edgesdk.errors import ConfigError
from edgesdk.preprocess import Preparer, Preprocess, Resize
from edgesdk.spec import read_spec

RESIZES: tuple[Resize, ...] = ("letterbox", "letterbox-top-left", "stretch", "center-crop")


def test_channels_are_scaled_and_shifted_in_the_model_s_order() -> None:
    image = np.full((2, 2, 3), (10, 20, 30), np.uint8)  # B, G, R
    rgb = Preprocess(2, 2, "stretch", "rgb", 0.1, (1, 2, 3), (2, 2, 4))
    bgr = Preprocess(2, 2, "stretch", "bgr", 0.1, (1, 2, 3), (2, 2, 4))
    # By hand, for R, G, B = 30, 20, 10: (3 - 1) / 2, (2 - 2) / 2, (1 - 3) / 4.
    np.testing.assert_allclose(rgb(image)[0][0, :, 0, 0], [1, 0, -0.5], atol=1e-6)
    np.testing.assert_allclose(bgr(image)[0][0, :, 0, 0], [0, 0, 0], atol=1e-6)
    assert rgb(image)[0].dtype == np.float32


def test_a_letterbox_pads_both_sides_and_its_top_left_kin_one() -> None:
    image = np.full((50, 100, 3), 255, np.uint8)
    both, _ = Preprocess(40, 40, "letterbox")(image)
    one, _ = Preprocess(40, 40, "letterbox-top-left")(image)
    rows = both[0, 0, :, 0]
    assert (rows[:10] == 114).all()
    assert (rows[10:30] == 255).all()
    assert (rows[30:] == 114).all()
    assert (one[0, 0, :20, 0] == 255).all()
    assert (one[0, 0, 20:, 0] == 114).all()


def test_a_center_crop_shows_the_middle() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, 50:150] = 255
    tensor, _ = Preprocess(100, 100, "center-crop")(image)
    assert (tensor == 255).all()


@given(
    st.sampled_from(RESIZES),
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(8, 64),
    st.integers(8, 64),
)
def test_any_picture_fits_and_boxes_find_their_way_back(
    resize: Resize, width: int, height: int, in_width: int, in_height: int
) -> None:
    preprocess = Preprocess(in_width, in_height, resize)
    tensor, placement = preprocess(np.zeros((height, width, 3), np.uint8))
    assert tensor.shape == (1, 3, in_height, in_width)
    box = np.array([[0, 0, width, height]], np.float32)
    back = placement.to_picture(placement.to_input(box))
    np.testing.assert_allclose(back, box, atol=1e-2)


@given(st.sampled_from(RESIZES[:2]), st.integers(20, 300), st.integers(20, 300))
def test_a_letterboxed_picture_lies_where_its_placement_says(
    resize: Resize, width: int, height: int
) -> None:
    image = np.full((height, width, 3), 255, np.uint8)
    tensor, placement = Preprocess(64, 48, resize)(image)
    left, top, right, bottom = placement.to_input(np.array([[0, 0, width, height]], np.float32))[0]
    ys, xs = np.nonzero(tensor[0, 0] == 255)
    assert (xs.min(), ys.min()) == (left, top)
    assert (xs.max() + 1, ys.max() + 1) == (pytest.approx(right), pytest.approx(bottom))


def by_the_rule(preprocess: Preprocess, picture: np.ndarray) -> np.ndarray:
    """The tensor in plain numpy, float32, in the order of the rule: product, then difference."""
    height, width = picture.shape[:2]
    new_w, new_h = preprocess.resized(width, height)
    whole = cv2.resize(picture, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    across, down = preprocess.width, preprocess.height
    if preprocess.resize == "center-crop":
        left, top = (new_w - across + 1) // 2, (new_h - down + 1) // 2
        canvas = whole[top : top + down, left : left + across]
    else:
        middle = preprocess.resize == "letterbox"
        left, top = ((across - new_w) // 2, (down - new_h) // 2) if middle else (0, 0)
        canvas = np.full((down, across, 3), preprocess.pad_value, np.uint8)
        canvas[top : top + new_h, left : left + new_w] = whole
    if preprocess.color == "rgb":
        canvas = canvas[:, :, ::-1]
    std = np.float32(preprocess.std)
    product = canvas.astype(np.float32) * (np.float32(preprocess.scale) / std)
    difference = product - np.float32(preprocess.mean) / std
    return np.ascontiguousarray(difference.transpose(2, 0, 1))[None]


NORMALS = [
    (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    (1 / 255, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    (1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    (1.0, (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)),
]
pixels = st.tuples(st.integers(1, 90), st.integers(1, 90), st.integers(0, 9)).map(
    lambda p: np.random.default_rng(p[2]).integers(0, 256, (*p[:2], 3), np.uint8)
)


@given(
    st.builds(
        lambda resize, color, normal, size: Preprocess(*size, resize, color, *normal),
        st.sampled_from(RESIZES),
        st.sampled_from(["rgb", "bgr"]),
        st.sampled_from(NORMALS),
        st.tuples(st.integers(1, 70), st.integers(1, 70)),
    ),
    st.lists(pixels, min_size=1, max_size=5),
)
def test_reused_memory_gives_the_rule_s_numbers_to_the_last_bit(
    preprocess: Preprocess, pictures: list[np.ndarray]
) -> None:
    preparer = Preparer(preprocess)
    batch = np.full((2, 3, preprocess.height, preprocess.width), np.nan, np.float32)
    for picture in pictures:
        expected, placement = by_the_rule(preprocess, picture), preprocess(picture)[1]
        alone, ring = preprocess(picture)[0], preparer(picture)
        np.testing.assert_array_equal(alone, expected)
        np.testing.assert_array_equal(ring[0], expected)
        assert preparer.into(picture, batch[1:]) == ring[1] == placement
        np.testing.assert_array_equal(batch[1:], expected)
    assert np.isnan(batch[0]).all()


def test_a_prepared_tensor_is_good_until_the_promised_number_of_pictures_came() -> None:
    preparer = Preparer(Preprocess(8, 8, "stretch"), tensors=3)
    made = [preparer(np.full((8, 8, 3), level, np.uint8))[0] for level in (1, 2, 3, 4)]
    assert [int(tensor[0, 0, 0, 0]) for tensor in made] == [4, 2, 3, 4]


def test_preparing_a_camera_s_frames_allocates_next_to_nothing() -> None:
    preparer = Preparer(Preprocess(640, 640, scale=1 / 255))
    picture = np.zeros((1080, 1920, 3), np.uint8)
    tracemalloc.start()
    try:
        grown = []
        for _ in range(4):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            preparer(picture)
            grown.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    # The first makes room for pictures of this size: one channel of it alone is 0.2 MB.
    assert grown[0] > 200_000
    assert max(grown[1:]) < 100_000


@pytest.mark.parametrize("shape", [(3, 8, 9), (2, 3, 8, 8), (8, 8, 3)])
def test_a_tensor_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected float32 of \(3, 8, 8\), found float32"):
        Preparer(Preprocess(8, 8)).into(np.zeros((8, 8, 3), np.uint8), np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("width", 0, "positive"),
        ("std", [1, 0, 1], "should not be 0"),
        ("pad_value", 256, r"0\.\.255"),
        ("resize", "letterbx", "one of 'letterbox'"),
        ("short_side", 8, "smaller than the crop"),
        ("mean", [1, 2], "a list of 3"),
        ("colour", "rgb", "unknown key 'colour'"),
    ],
)
def test_a_wrong_setting_names_itself(key: str, value: object, says: str) -> None:
    table = {"width": 32, "height": 32, key: value}
    with pytest.raises(ConfigError, match=says):
        _config.parse(Preprocess, table, "SPEC.toml")


def test_a_spec_takes_its_labels_from_a_file_beside_it(tmp_path) -> None:
    (tmp_path / "names.txt").write_text("car\n\ntruck\n")
    (tmp_path / "spec.toml").write_text(
        'labels_file = "names.txt"\n[preprocess]\nwidth = 32\nheight = 32\n'
        '[decoder]\ntype = "yolox"\n'
    )
    spec = read_spec(tmp_path / "spec.toml")
    assert (spec.labels, spec.decoder) == (("car", "truck"), {"type": "yolox"})


def test_a_decoder_without_a_type_is_refused(tmp_path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text("[preprocess]\nwidth = 32\nheight = 32\n[decoder]\nstrides = [8]\n")
    with pytest.raises(ConfigError, match="needs a key 'type'"):
        read_spec(path)
