"""Half an hour of the whole pipeline under faults: does memory grow, is anything left?

    python -m benchmarks.pipeline.soak [SECONDS]

The same run as tests/test_soak.py, longer: two simulated cameras with every fault, a camera on
http:// whose server hangs up every 12 s and whose capture process is killed every 30 s, five sinks.
The slope is Theil and Sen's over the samples of every second, after a third as warm-up.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from dataclasses import asdict, fields
from datetime import datetime, timezone
from pathlib import Path

from tests.soaking import Sample, Soak, soak

OUT = Path(__file__).parents[1] / "reports" / "soak.json"


def report(result: Soak, seconds: float) -> dict[str, object]:
    """What is kept of a run."""
    frames_an_hour = result.summary.frames_processed / seconds * 3600
    step = max(1, len(result.samples) // 60)
    hourly = {
        what: result.growth(what) / 1000 * frames_an_hour
        for what in ("resident_bytes", "blocks", "threads", "files")
    }
    return {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "seconds": seconds,
        "frames_processed": result.summary.frames_processed,
        "growth_an_hour": hourly,
        "before": asdict(result.before),
        "after": asdict(result.after),
        "streams": [
            {
                "name": stream.name,
                "captured": stream.frames_captured,
                "processed": stream.frames_processed,
                "dropped": stream.frames_dropped,
                "age_ms": asdict(stream.age),
                "lost": stream.state.lost if stream.state else 0,
                "reconnects": stream.state.reconnects if stream.state else 0,
            }
            for stream in result.summary.streams
        ],
        "columns": [field.name for field in fields(Sample)],
        "samples": result.samples[::step].tolist(),
    }


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1800.0
    with tempfile.TemporaryDirectory() as folder:
        found = report(soak(seconds, Path(folder)), seconds)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({k: v for k, v in found.items() if k != "samples"}, indent=1))


if __name__ == "__main__":
    main()
