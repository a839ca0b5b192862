"""One streaming pass: run the float model on each picture and count what its tensors hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgesdk.calibration.histogram import ChannelHistogram
from edgesdk.errors import DataError
from edgesdk.tensors import Array, Runner

Feeds = Mapping[str, Array]


def collect(
    runner: Runner, watch: Mapping[str, int], feeds: Iterable[tuple[str, Feeds]]
) -> tuple[dict[str, ChannelHistogram], int]:
    """Histograms by tensor name, and how many pictures were seen.

    `watch` is tensor name -> axis of its channels; `runner` gives these tensors as outputs (an
    input is taken from the feeds); `feeds` are (picture name, model inputs). Memory does not
    grow with the number of pictures. Raises DataError, naming picture and tensor, when a tensor
    holds NaN or infinity.
    """
    histograms = {name: ChannelHistogram(axis) for name, axis in watch.items()}
    count = 0
    for picture, feed in feeds:
        outputs = runner.run(feed)
        for name, histogram in histograms.items():
            values = feed[name] if name in feed else outputs[name]
            _add(histogram, values, name, picture)
        count += 1
    return histograms, count


def _add(histogram: ChannelHistogram, values: Array, name: str, picture: str) -> None:
    try:
        histogram.add(values)
    except ValueError as error:
        raise DataError(
            f"the float model gives {error} in the tensor {name!r} for the picture {picture}",
            "check the preprocessing and the picture; the model itself has finite weights",
        ) from error
