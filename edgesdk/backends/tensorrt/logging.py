"""What TensorRT says while it works: kept, bounded, and quoted when something fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from edgesdk.backends.tensorrt.api.always import Flag, ILogger, TensorRT
from edgesdk.backends.tensorrt.building.built import no_lines
from edgesdk.errors import BackendError

KEPT = 200
QUOTED = 3
ANOTHER_LOGGER = "differs from one already registered"
"""Said of each logger but the first; each build has its own on purpose."""
_KEPT_ALIVE: list[ILogger] = []
"""TensorRT registers the first logger for the whole process by its address, and keeps using it for
as long as any of its objects lives: none may be collected. One is some strings."""
NOT_THE_REASON = ("cudaError 35",)
"""Said on every call where there is no driver; it hides the line that matters."""


class Messages:
    """The last errors and warnings. Safe from several threads: a deque's append is."""

    def __init__(self, listen: Callable[[str], None] = no_lines) -> None:
        """`listen` hears every line, verbose ones too; it must not raise."""
        self._errors: deque[str] = deque(maxlen=KEPT)
        self._warnings: dict[str, None] = {}
        self._listen = listen

    def error(self, line: str) -> None:
        """Take an error."""
        self._errors.append(line)

    def warning(self, line: str) -> None:
        """Take a warning; each is kept once."""
        if len(self._warnings) < KEPT and ANOTHER_LOGGER not in line:
            self._warnings[line] = None

    def heard(self, line: str) -> None:
        """Take any line."""
        self._listen(line)

    def stop_listening(self) -> None:
        """Let go of the listener; what it holds is free."""
        self._listen = no_lines

    @property
    def warnings(self) -> tuple[str, ...]:
        """In the order of their coming."""
        return tuple(self._warnings)

    def last_errors(self) -> str:
        """The last error lines, oldest first, each once; empty: TensorRT said nothing."""
        lines = list(dict.fromkeys(self._errors))
        telling = [line for line in lines if not any(part in line for part in NOT_THE_REASON)]
        return " | ".join((telling or lines)[-QUOTED:])

    def failed(self, what: str, hint: str) -> BackendError:
        """An error that says `what` went wrong, in TensorRT's words as well; each is said once."""
        said = self.last_errors() or "and gave no reason"
        self._errors.clear()
        return BackendError(f"TensorRT {what}: {said}", hint)


def make_log(trt: TensorRT, messages: Messages) -> ILogger:
    """A logger of TensorRT's class that fills `messages`. It is never collected.

    TensorRT hands every line to a logger of one's own, whatever its severity.
    """
    error, warning = int(trt.ILogger.ERROR), int(trt.ILogger.WARNING)

    class Log(trt.ILogger):  # type: ignore[name-defined, misc]
        """Sorts the lines."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Flag, msg: str) -> None:
            """Take one message."""
            level = int(severity)  # INTERNAL_ERROR is the lowest, VERBOSE the highest
            if level <= error:
                messages.error(msg.strip())
            elif level == warning:
                messages.warning(msg.strip())
            messages.heard(msg)

    log: ILogger = Log()
    _KEPT_ALIVE.append(log)
    return log
