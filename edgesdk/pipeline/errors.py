"""Errors of a running pipeline carry the name of the part where they arose."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

from edgesdk.errors import EdgeError


class StageError(EdgeError):
    """A source, stage or sink failed. The original error is its `__cause__`."""

    def __init__(self, stage: str, error: Exception, stream: str = "") -> None:
        """`stream` is the name of the stream, where there are several."""
        where = f"in {stage!r} of {stream!r}" if stream else f"in {stage!r}"
        if isinstance(error, EdgeError):
            super().__init__(f"{where}: {error.message}", error.hint)
            self.exit_code = error.exit_code
        else:
            super().__init__(
                f"{where}: {type(error).__name__}: {error}{_place(error)}",
                f"this is a defect in the code of {stage!r}, not in what it was given",
            )
        self.stage = stage
        self.stream = stream


class blame:  # noqa: N801 - reads as a verb: with blame("decode")
    """Any error of the body becomes a StageError that names `stage`, chained to the original."""

    def __init__(self, stage: str, stream: str = "") -> None:
        self._stage = stage
        self._stream = stream

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, StageError):
            raise StageError(self._stage, error, self._stream) from error


def _place(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return ""  # Its own text names file and line; the trace ends in the import system.
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
