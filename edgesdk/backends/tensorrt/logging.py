"""What TensorRT says while it works: kept, bounded, and quoted when something fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Protocol, cast
from weakref import ref

from edgesdk.backends.tensorrt.api.always import Flag, ILogger, TensorRT
from edgesdk.backends.tensorrt.building.built import no_lines
from edgesdk.errors import BackendError

KEPT = 200
QUOTED = 3
ANOTHER_LOGGER = "differs from one already registered"
"""Said when another library of this process gave TensorRT its logger first."""
NOT_THE_REASON = ("cudaError 35",)
"""Said on every call where there is no driver; it hides the line that matters."""
_MAKING = Lock()
"""Two threads at once must not make two loggers: `cache` would keep one of them only."""


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


class Listeners:
    """Who hears one TensorRT. Those that are collected are left out; safe from several threads."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._all: tuple[ref[Messages], ...] = ()

    def add(self, messages: Messages) -> None:
        """From now on `messages` hears each line, for as long as somebody holds it."""
        with self._guard:
            others = (one for one in self._all if one() not in (None, messages))
            self._all = (*others, ref(messages))

    def alive(self) -> tuple[Messages, ...]:
        """In the order of their coming."""
        found = (one() for one in self._all)  # a tuple that is replaced, never changed
        return tuple(one for one in found if one is not None)


class Log(Protocol):
    """The logger of one TensorRT."""

    listeners: Listeners


def make_log(trt: TensorRT, messages: Messages) -> ILogger:
    """The one logger of this TensorRT, which from now on fills `messages` as well.

    TensorRT uses the first logger that it gets, whoever gives another later. So every line goes to
    all that listen: which of them a line belongs to, TensorRT does not say, and it may come from
    a thread of its own.
    """
    with _MAKING:
        log = _logger_of(trt)  # type: ignore[arg-type]  # a module is hashable
    log.listeners.add(messages)
    return cast("ILogger", log)


@cache
def _logger_of(trt: TensorRT) -> Log:
    """TensorRT keeps the address of the first logger for the whole process, and uses it for as
    long as any of its objects lives: so it is kept as long, and that is for ever."""
    error, warning = int(trt.ILogger.ERROR), int(trt.ILogger.WARNING)

    class Sorting(trt.ILogger):  # type: ignore[name-defined, misc]
        """Sorts the lines. TensorRT hands all of them over, whatever their severity."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.listeners = Listeners()

        def log(self, severity: Flag, msg: str) -> None:
            """Take one message."""
            level = int(severity)  # INTERNAL_ERROR is the lowest, VERBOSE the highest
            for messages in self.listeners.alive():
                if level <= error:
                    messages.error(msg.strip())
                elif level == warning:
                    messages.warning(msg.strip())
                messages.heard(msg)

    return Sorting()
