"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class BackOff:
    """Doubles up to a cap; each wait is drawn from its upper half, so that a fleet spreads out."""

    first_s: float = 0.5
    cap_s: float = 30.0
    _attempts: int = field(default=0, init=False)
    _random: random.Random = field(default_factory=random.Random, init=False, repr=False)

    def next_s(self) -> float:
        """Seconds to wait after one more failure."""
        full = min(self.first_s * 2.0 ** min(self._attempts, 30), self.cap_s)
        self._attempts += 1
        return full * self._random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """After a success."""
        self._attempts = 0
