"""The pictures that judge a build: to search on, to verify on, and the evidence they give."""

from __future__ import annotations

import os

from edgesdk._progress import Progress
from edgesdk.accuracy import Measured, Reference, split
from edgesdk.backends import load_backend
from edgesdk.build.evidence import evidence, refuse_flat
from edgesdk.build.feeds import FEW
from edgesdk.build.ranking import PICTURES, Jury
from edgesdk.build.request import BuildRequest, Data, make_feeds
from edgesdk.bundle import Accuracy
from edgesdk.calibration import load_recipe
from edgesdk.model import Model
from edgesdk.pictures import PictureSet
from edgesdk.quantize.fp16 import simulate_fp16
from edgesdk.quantize.layers import find_layers
from edgesdk.spec import ModelSpec
from edgesdk.tensors import FeedSource

MOST_WORKERS = 4
"""Pictures measured at a time: each has its own copy of both models."""
SEARCHED = 160
"""Pictures of the calibration set that recovery searches on."""
SELF_JUDGED = 256
"""Where none were kept apart, so many of the calibration pictures measure what INT8 costs."""
ONCE_BYTES, OFTEN_BYTES = 16 << 20, 128 << 20
"""For pictures and answers of the float model that are kept, when they are needed once or often."""
SEARCH_SHARE = 0.6
"""Where none were kept apart: on these is searched, on the others verified."""


class JuryRoom:
    """Runs the float model over the pictures when they are first needed, and once only."""

    def __init__(
        self, request: BuildRequest, model: Model, spec: ModelSpec | None, progress: Progress
    ) -> None:
        self._request, self._model, self._spec = request, model, spec
        self._progress = progress
        self._recipe = load_recipe(request.recipe)
        self._reference: Reference | None = None

    def few(self) -> Jury:
        """Some pictures of the calibration set."""
        data = self._request.data
        assert data is not None
        return Jury(self._opened(data, PICTURES))

    def some_feeds(self) -> FeedSource:
        """Some feeds of whatever data there is."""
        data = self._request.data or self._request.held_out
        assert data is not None
        return make_feeds(data, self._model, self._spec).thinned(self._recipe.fit_pictures)

    def both(self) -> tuple[Jury, Jury]:
        """To search on, and to verify on: other pictures."""
        request = self._request
        assert request.data is not None
        if request.held_out is not None:
            return Jury(self._opened(request.data, SEARCHED)), Jury(self._verifying())
        reference = self._verifying()
        search, verify = split(reference.names, SEARCH_SHARE)
        if not verify:
            return Jury(reference), Jury(reference)
        return Jury(reference, search), Jury(reference, verify)

    def evidence(self, built: Model, measured: Measured | None = None) -> Accuracy | None:
        """What the precision costs; None without any data.

        `measured` is what is known already. Raises ModelError when the built graph gives NaN or
        infinity, or when an output says the same always while the float model's does not.
        """
        if self._request.held_out is None and self._request.data is None:
            return None
        reference = self._verifying()
        if measured is None:
            measured = reference.measure(simulate_fp16(built), progress=self._progress)
        refuse_flat(measured)
        macs = sum(layer.macs for layer in find_layers(self._model, self._recipe.operators))
        check = reference.cross_check(built, macs)
        return evidence(reference, measured, self._request.held_out is not None, check)

    def _verifying(self) -> Reference:
        """Over what was kept apart; without it over the calibration data."""
        if self._reference is None:
            data, limit = self._request.held_out, None
            if data is None:
                data = self._request.data
                # For fp32, which only shows that the conversion changed nothing, a few.
                fp32 = self._request.precision == "fp32"
                limit = FEW if fp32 else min(self._recipe.max_pictures, SELF_JUDGED)
            assert data is not None
            self._reference = self._opened(data, limit)
        return self._reference

    def _opened(self, data: Data, limit: int | None) -> Reference:
        source: PictureSet | FeedSource
        single = self._model.inputs[0].shape[0] == 1
        if isinstance(data, PictureSet) and single and self._spec is not None:
            source = data if limit is None else data.thinned(limit)
        else:
            feeds = make_feeds(data, self._model, self._spec)
            source = feeds if limit is None else feeds.thinned(limit)
        return Reference(
            self._model,
            self._spec,
            load_backend("onnxruntime", threads=1, exact=True),
            source,
            progress=self._progress,
            workers=min(os.cpu_count() or 1, MOST_WORKERS),
            cache_bytes=ONCE_BYTES if self._request.max_drop is None else OFTEN_BYTES,
        )
