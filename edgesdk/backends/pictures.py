"""Sessions that take pictures as they are, because they preprocess where the model runs.

Only some sessions can. `pictures_of` asks, and says why the CPU has to do it where it has to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from edgesdk.backends.base import Session
from edgesdk.errors import BackendError
from edgesdk.preprocess import Preprocess
from edgesdk.tensors import PictureRunner

COSTS = "pictures are preprocessed on the CPU, which costs latency"


class ClosingPictureRunner(PictureRunner, Protocol):
    """A PictureRunner with memory of its own."""

    def close(self) -> None:
        """Free it, before its session is closed. Twice is harmless."""
        ...


@runtime_checkable
class TakesPictures(Protocol):
    """A session that can preprocess."""

    def for_pictures(self, preprocess: Preprocess) -> ClosingPictureRunner:
        """What preprocesses and runs in one. Raises BackendError where that is not possible."""
        ...


@dataclass(frozen=True)
class Pictures:
    """How pictures get into a session."""

    runner: ClosingPictureRunner | None = None
    """None: they are preprocessed on the CPU."""
    warnings: tuple[str, ...] = ()
    """Why the CPU has to, though the session could."""

    def close(self) -> None:
        """Free what the runner holds. Twice is harmless."""
        if self.runner is not None:
            self.runner.close()


def pictures_of(session: Session, preprocess: Preprocess) -> Pictures:
    """The best way that `session` has for pictures. To be closed before the session."""
    if not isinstance(session, TakesPictures):
        return Pictures()
    try:
        return Pictures(session.for_pictures(preprocess))
    except BackendError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return Pictures(None, (f"{COSTS}: {error.message}{hint}",))
