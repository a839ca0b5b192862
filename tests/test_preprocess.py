"""Preprocessing: the numbers a model gets, and where its boxes lie in the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk import _config
from edgesdk.errors import ConfigError
from edgesdk.preprocess import Preprocess, Resize
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
