"""Runs one job for each sample on a few threads, each with sessions of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue
from typing import TypeVar

from edgesdk.backends import Backend, Session, opened
from edgesdk.model import Model

T = TypeVar("T")
S = TypeVar("S")
Job = Callable[[S, Sequence[Session]], T]
"""From a sample and a session for each model to whatever is wanted of them."""


def run_jobs(
    backend: Backend, models: Sequence[Model], items: Iterable[S], job: Job[S, T], workers: int
) -> Iterator[T]:
    """Results in the order of `items`, of which only a few are held at a time.

    With a backend of one thread, two workers are faster than one session with two threads:
    small layers leave the second one idle.
    """
    with ExitStack() as stack:
        idle: SimpleQueue[list[Session]] = SimpleQueue()
        for _ in range(workers):
            idle.put([stack.enter_context(opened(backend, model)) for model in models])
        if workers == 1:
            sessions = idle.get()
            for item in items:
                yield job(item, sessions)
            return

        def work(item: S) -> T:
            sessions = idle.get()
            try:
                return job(item, sessions)
            finally:
                idle.put(sessions)

        pool = stack.enter_context(ThreadPoolExecutor(workers))
        waiting: deque[Future[T]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:  # after an error, or when nobody asks for more
                future.cancel()
