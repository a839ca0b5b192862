"""One streaming pass: run the float model on each picture and count what its tensors hold."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Protocol

from edgesdk.calibration.cache import CacheFile, Progressed
from edgesdk.calibration.counting import Counter
from edgesdk.calibration.statistics import Statistics
from edgesdk.calibration.watch import Watch, watch_model
from edgesdk.errors import DataError
from edgesdk.model import Model
from edgesdk.tensors import Array, Runner

Feeds = Mapping[str, Array]

SAVE_EVERY_S = 60.0
"""A killed process loses at most so much."""


class OpenRunner(Runner, Protocol):
    """A session: `run` may be called from several threads, and its outputs are the caller's."""

    def close(self) -> None:
        """Free everything."""
        ...


def collect(
    model: Model,
    watch: Mapping[str, int],
    feeds: Iterable[tuple[str, Feeds]],
    open_session: Callable[[Model], OpenRunner],
    *,
    pictures: int | None = None,
    workers: int = 1,
    cache: CacheFile | None = None,
    skipped: Mapping[str, str] | None = None,
) -> Statistics:
    """What the tensors of `model` hold, over all pictures.

    `watch` is tensor name -> axis of its channels; `feeds` are (picture name, model inputs), of
    which about `pictures` will come (they decide how many positions of each are sampled). The
    result is the same to the bit for any order of the feeds and any number of `workers` (threads
    that run one session). Memory does not grow with the pictures.

    With a `cache`, a finished pass is read from it without touching `feeds`, and one that was
    interrupted by an error or Ctrl-C goes on where it stopped. `skipped` is the mapping that the
    feeds fill while they are iterated; a copy is part of the result.

    Raises DataError, naming picture and tensor, when a tensor holds NaN or infinity.
    """
    watched = watch_model(model, watch, pictures)
    begun = cache.load(watched) if cache else None
    if begun and begun.finished:
        return begun.statistics
    with closing(open_session(watched.model)) as session:
        collecting = _Pass(watched, session, begun, cache, {} if skipped is None else skipped)
        collecting.run(feeds, workers)
    return collecting.end()


class _Pass:
    """Worker threads that share a session, each with a counter that is its own while it works."""

    def __init__(
        self,
        watch: Watch,
        session: Runner,
        begun: Progressed | None,
        cache: CacheFile | None,
        skipped: Mapping[str, str],
    ) -> None:
        self._watch = watch
        self._session = session
        self._cache = cache
        self._skipped = skipped
        self._whole = Counter(watch)
        if begun:
            self._whole.statistics, self._whole.done = begun.statistics, set(begun.done)
        self._counters: list[Counter] = []
        self._idle: queue.SimpleQueue[Counter] = queue.SimpleQueue()
        self._next_save = time.monotonic() + SAVE_EVERY_S

    def run(self, feeds: Iterable[tuple[str, Feeds]], workers: int) -> None:
        """See every picture that was not seen before. What was seen is saved on any error."""
        self._counters = [Counter(self._watch) for _ in range(workers)]
        for counter in self._counters:
            self._idle.put(counter)
        seen = frozenset(self._whole.done)
        waiting: deque[Future[None]] = deque()
        with ThreadPoolExecutor(workers, "calibrate") as pool:
            try:
                for index, (picture, feed) in enumerate(feeds):
                    if index not in seen:
                        waiting.append(pool.submit(self._see, index, picture, feed))
                    # Feeds are large: no more of them wait than keep the workers busy.
                    if len(waiting) > workers:
                        waiting.popleft().result()
                    self._save_in_time(waiting)
                _await(waiting)
                self._gather()
            except BaseException:
                pool.shutdown(wait=True)
                self._save_what_is_sound()
                raise

    def end(self) -> Statistics:
        """The whole result; it is kept in the cache."""
        statistics = self._whole.statistics
        statistics.skipped |= self._skipped
        self._save(finished=True)
        return statistics

    def _see(self, index: int, picture: str, feed: Feeds) -> None:
        counter = self._idle.get()
        try:
            counter.add(index, picture, feed, self._session.run(feed))
        finally:
            self._idle.put(counter)

    def _gather(self) -> None:
        """Merge what the workers counted; none may be at work."""
        for counter in self._counters:
            counter.flush()
            self._whole.statistics.merge(counter.statistics)
            self._whole.done |= counter.done
            counter.start_anew()

    def _save_in_time(self, waiting: deque[Future[None]]) -> None:
        if self._cache and time.monotonic() >= self._next_save:
            _await(waiting)
            self._gather()
            self._save(finished=False)
            self._next_save = time.monotonic() + SAVE_EVERY_S

    def _save_what_is_sound(self) -> None:
        for counter in self._counters:
            try:
                counter.flush()
            except DataError:  # that batch is not counted, and will be seen again
                continue
        self._gather()
        self._save(finished=False)

    def _save(self, finished: bool) -> None:
        if self._cache and (finished or self._whole.done):
            done = frozenset(self._whole.done)
            self._cache.save(Progressed(self._whole.statistics, done, finished))


def _await(waiting: deque[Future[None]]) -> None:
    while waiting:
        waiting.popleft().result()
