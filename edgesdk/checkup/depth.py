"""How the error of INT8 grows on its way through the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from math import log10

import numpy as np

from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.tensors import Array, Runner

Opener = Callable[[Model], AbstractContextManager[Runner]]
"""E.g. functools.partial(edgesdk.backends.opened, backend)."""


def accumulated_db(
    reference: Model,
    built: Model,
    nodes: Sequence[str],
    feeds: Iterable[Mapping[str, Array]],
    open_session: Opener,
) -> dict[str, float]:
    """Signal to noise of each node's output with everything before it as built, in dB.

    10 log10(energy of the reference's output / energy of the difference), over all `feeds`; a
    few pictures are enough. `reference` is the float model with its channels balanced, so that
    its tensors mean the same. A node that one of the graphs lacks, and one without any error,
    has no entry.
    """
    before, after = _outputs(reference), _outputs(built)
    shared = [node for node in nodes if node in before and node in after]
    signal, noise = dict.fromkeys(shared, 0.0), dict.fromkeys(shared, 0.0)
    one = with_outputs(reference, [before[node] for node in shared])
    two = with_outputs(built, [after[node] for node in shared])
    with open_session(one) as float_session, open_session(two) as built_session:
        for feed in feeds:
            expected, found = float_session.run(feed), built_session.run(feed)
            for node in shared:
                wanted = expected[before[node]].astype(np.float64)
                signal[node] += float(np.square(wanted).sum())
                noise[node] += float(np.square(wanted - found[after[node]]).sum())
    return {
        node: 10 * log10(signal[node] / noise[node])
        for node in shared
        if signal[node] > 0 and noise[node] > 0
    }


def _outputs(model: Model) -> dict[str, str]:
    return {node.name: node.output[0] for node in model.proto.graph.node if node.output}
