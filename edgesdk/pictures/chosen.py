"""Files that a pattern names, as a set of pictures."""

from __future__ import annotations

import glob
from pathlib import Path

from edgesdk.errors import DataError
from edgesdk.pictures.files import SUFFIXES, pictures_of
from edgesdk.pictures.set import PictureSet


class ChosenFiles:
    """A store of the files that are listed."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths

    def names(self) -> list[str]:
        """As they were given."""
        return self._paths

    def read(self, name: str) -> bytes:
        """Content of one file."""
        try:
            return Path(name).read_bytes()
        except OSError as error:
            raise DataError(f"cannot be opened: {error.strerror}") from error


def is_pattern(text: str) -> bool:
    """True for a name with *, ? or [ in it that is not itself there."""
    return glob.has_magic(text) and not Path(text).exists()


def open_pattern(pattern: str) -> PictureSet:
    """The pictures that match `pattern` (`shots/*.jpg`; ** goes through subfolders).

    Raises DataError when nothing matches or no picture is among it.
    """
    # Path.glob takes no absolute patterns.
    paths = glob.glob(pattern, recursive=True)  # noqa: PTH207
    found = [path for path in paths if Path(path).is_file()]
    if not found:
        raise DataError(f"{pattern}: no file matches", "in a shell, put the pattern in quotes")
    if not any(Path(path).suffix.lower() in SUFFIXES for path in found):
        kinds = ", ".join(sorted(SUFFIXES))
        raise DataError(
            f"{pattern}: matches {len(found)} files, and no picture", f"their names end in {kinds}"
        )
    return pictures_of(ChosenFiles(found), pattern, "")
