"""One value for many viewers: each waits for the next one, none holds the others up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Latest:
    """The newest value, numbered. It belongs to one event loop; only its thread may touch it.

    A viewer that was slow finds the newest one: what it missed is not kept.
    """

    def __init__(self, watch: Callable[[bool], None]) -> None:
        """`watch` is told when the first viewer comes and when the last one goes."""
        self._watch = watch
        self.value = b""
        self.number = 0
        """0: there was none yet."""
        self.watchers = 0
        """Viewers that wait for values or take one."""
        self._ended = False
        self._changed = asyncio.Event()

    def come(self) -> int:
        """A viewer more; returns the number after which values are for them.

        The first one waits for the next value: what is left of an earlier viewer is old.
        """
        self.watchers += 1
        if self.watchers > 1:
            return 0
        self._watch(True)
        return self.number

    def go(self) -> None:
        """A viewer less."""
        self.watchers -= 1
        if self.watchers == 0:
            self._watch(False)

    def put(self, value: bytes) -> None:
        """Replace the value and wake everyone who waits."""
        self.value = value
        self.number += 1
        self._wake()

    def end(self) -> None:
        """No value comes any more."""
        self._ended = True
        self._wake()

    async def after(self, number: int) -> bytes | None:
        """The newest value as soon as its number is above `number`; None when all is over."""
        while self.number <= number and not self._ended:
            await self._changed.wait()
        return None if self._ended else self.value

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
