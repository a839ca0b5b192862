"""The record of every part that was judged: written while the line runs, read to replay it."""

from edgesdk.inspection.audit.reader import Log, open_log
from edgesdk.inspection.audit.record import Origin, Record, RecordedView
from edgesdk.inspection.audit.writer import LogWriter

__all__ = ["Log", "LogWriter", "Origin", "Record", "RecordedView", "open_log"]
