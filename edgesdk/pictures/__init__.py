"""Sets of pictures to calibrate and measure with: a folder, a tar, an npz or a video."""

from edgesdk.pictures.chosen import is_pattern, open_pattern
from edgesdk.pictures.open import open_pictures
from edgesdk.pictures.parts import GOOD
from edgesdk.pictures.set import Picture, PictureSet

__all__ = ["GOOD", "Picture", "PictureSet", "is_pattern", "open_pattern", "open_pictures"]
