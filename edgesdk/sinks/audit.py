"""`audit:FOLDER?limit_gb=10&file_mb=256`: every part that was judged, to be replayed.

Pictures as PNG and heat maps bit for bit, with the verdict and what it came from, in SQLite files
that any tool can read. A thread writes them; the pipeline waits when the disk is slower than the
line, since a log with holes is none. A run that is killed loses the last `COMMIT_S` at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgesdk._version import __version__
from edgesdk.errors import UsageError
from edgesdk.inspection.audit import LogWriter, Origin, Record, RecordedView
from edgesdk.inspection.verdict import Verdict
from edgesdk.pipeline.packet import Packet, wall_time
from edgesdk.sinks.facts import SinkFacts
from edgesdk.sinks.places import check_folder_place
from edgesdk.sinks.uri import SinkUri
from edgesdk.sinks.worker import Worker
from edgesdk.vision.parts import Part, View

COMMIT_S = 0.25
"""Pause between transactions."""
WAITING = 64
"""Parts that may wait for the disk."""
CLOSE_S = 10.0


@dataclass(frozen=True)
class AuditOptions:
    """What may stand after the "?"."""

    limit_gb: float = 10.0
    """Room for the logs of all runs in the folder; the oldest files make room."""
    file_mb: float = 256.0
    """A file is followed by the next one at this size: what is removed at once."""

    def __post_init__(self) -> None:
        if not 0 < self.file_mb * 1e6 <= self.limit_gb * 1e9:
            raise ValueError(
                f"file_mb should be positive and fit into limit_gb, found {self.file_mb:g} and"
                f" {self.limit_gb:g}"
            )


def make_sink(uri: SinkUri, facts: SinkFacts) -> AuditSink:
    """Open a log in the folder. Raises UsageError where the app gives no verdicts."""
    options = uri.options(AuditOptions)
    if not issubclass(facts.event, Verdict):
        raise UsageError(
            f"{uri.shown}: {facts.app} gives no verdicts, so there is nothing to keep an audit of",
            "write its events with jsonl:, csv: or sqlite:",
        )
    check_folder_place(uri.path)
    model = facts.model()
    origin = Origin(
        app=facts.app,
        run_id=facts.run_id,
        digest=model.digest,
        model=model.what,
        backend=model.backend,
        edgesdk=__version__,
        settings=model.settings,
        finder_digest=model.finder_digest,
        finder=model.finder,
    )
    room = round(options.file_mb * 1e6), round(options.limit_gb * 1e9)
    return AuditSink(uri.name, LogWriter(uri.path, origin, *room))


class AuditSink:
    """Writes a record for each verdict."""

    def __init__(self, name: str, writer: LogWriter) -> None:
        self.name = name
        self._writer = writer
        self._records = 0
        self._worker: Worker[Record] = Worker(name, writer.write, WAITING, COMMIT_S)

    def accept(self, packet: Packet) -> None:
        """Hand over what was judged in this packet."""
        verdicts = [event for event in packet.events if isinstance(event, Verdict)]
        if not verdicts:
            return
        now, parts = wall_time(packet), {part.number: part for part in packet.parts}
        for verdict in verdicts:
            self._worker.put(record_of(verdict, parts.get(verdict.part), now))
            self._records += 1

    def gauges(self) -> Mapping[str, float]:
        """How many parts were handed over."""
        return {"parts": self._records}

    def close(self) -> None:
        """Write what waits and complete the file."""
        try:
            self._worker.close(CLOSE_S)
        finally:
            self._writer.close()


def record_of(verdict: Verdict, part: Part | None, time_utc: str) -> Record:
    """What is kept of a part and its verdict."""
    if part is None:
        return Record(verdict, time_utc)
    return Record(verdict, time_utc, part.error, tuple(_view(view) for view in part.views))


def _view(view: View) -> RecordedView:
    found = view.inspected
    left, top, right, bottom = map(float, view.box)
    return RecordedView(
        picture=view.picture,
        box=(left, top, right, bottom),
        frame=int(view.frame),
        time_ms=float(view.time_ms),
        score=None if found is None else float(found.score),
        heat=None if found is None else found.heat,
    )
