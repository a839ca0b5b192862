"""Versions of TensorRT, compared as numbers: "10.3" is newer than "8.6"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgesdk.errors import BackendError

_LEADING = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, order=True)
class Version:
    """The first three numbers of a version; what comes after them is the build."""

    major: int
    minor: int = 0
    patch: int = 0

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read "8.6.2", "10.3.0.30" or "10.3.0.30-1+cuda12.5". Raises BackendError."""
        found = _LEADING.match(text)
        if found is None:
            raise BackendError(f"{text!r} is not a version of TensorRT, such as 10.3.0")
        return cls(int(found[1]), int(found[2]), int(found[3] or 0))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


OLDEST = Version(8, 5)
"""The first with the calls by tensor name that everything here uses."""
STRONGLY_TYPED = Version(10)
"""From here on the graph alone can decide precision; 11 knows nothing else."""
WEAKLY_TYPED_BEFORE = Version(11)
"""11 has no flags for precision, no calibrators and no ranges beside the graph."""
