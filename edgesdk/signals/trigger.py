"""Something outside the picture that says a part is there: a light barrier, a PLC, a message."""

from __future__ import annotations

from typing import Protocol


class Trigger(Protocol):
    """An input that fires once for each part."""

    @property
    def name(self) -> str:
        """For messages, without secrets."""
        ...

    def fired(self) -> tuple[int, ...]:
        """Monotonic times (time.monotonic_ns) at which it fired since the last call, in order.

        Never waits. Raises EdgeError while the input cannot be read, and not as if nothing had
        fired.
        """
        ...

    def close(self) -> None:
        """Let go of the input."""
        ...
