"""The user's classes from the model's: what is counted, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesdk.detections import Detections
from edgesdk.errors import UnknownName, UsageError


@dataclass(frozen=True, eq=False)
class ClassMap:
    """Which of the model's classes are wanted, and under which name each is counted."""

    labels: tuple[str, ...]
    """The user's classes, in the order in which they were named."""
    index: NDArray[np.int64]
    """Place in `labels` for each class of the model, -1 for one that is passed over."""

    @classmethod
    def of(
        cls,
        wanted: Sequence[str] | Mapping[str, str],
        known: Sequence[str],
        optional: Sequence[str] = (),
    ) -> ClassMap:
        """`wanted` names the model's labels, or maps each to the user's class (several to one).

        `known` are the model's labels. A name of `optional` may be absent from them. Raises
        UnknownName for any other that is, and UsageError when none is there.
        """
        names = dict(wanted) if isinstance(wanted, Mapping) else {name: name for name in wanted}
        if not known:
            raise UsageError(
                "the model names no classes, so none can be counted by its name",
                "is it a detector? one without labels gets them in its spec: labels = [...]",
            )
        if not names:
            raise UsageError(
                "classes is empty, so nothing would be counted",
                f"the model knows {', '.join(known[:12])}",
            )
        if not set(names) & set(known):
            raise UsageError(
                f"the model knows none of the classes to count: {', '.join(names)}",
                f"it knows {', '.join(known[:12])}; choose with --set classes=[...]",
            )
        for name in names:
            if name not in known and name not in optional:
                raise UnknownName("class in the model", name, known)
        labels = tuple(dict.fromkeys(own for name, own in names.items() if name in known))
        places = [labels.index(names[name]) if name in names else -1 for name in known]
        return cls(labels, np.array(places, np.int64))

    @property
    def wanted(self) -> list[int]:
        """The model's class indices that are counted."""
        return [int(i) for i in np.flatnonzero(self.index >= 0)]

    def select(self, detections: Detections) -> Detections:
        """Those of a wanted class, with the model's own class indices."""
        return detections[np.isin(detections.class_id, self.wanted)]

    def rename(self, class_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The user's class indices of selected detections.

        To be done after tracking, which sees that two boxes are one vehicle as car and as truck.
        """
        return self.index[class_ids]
