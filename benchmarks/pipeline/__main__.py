"""Camera pipelines against their peers: each part in a process or a turn of its own.

scripts/bench pipeline                      all parts
scripts/bench pipeline decoding reading     some, merged into the report
"""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from benchmarks.pipeline.environment import peers_python, quiet
from benchmarks.quantization.process import Failed, run
from edgesdk.report import read_machine

HERE = Path(__file__).parent
PATH = HERE.parent / "reports" / "pipeline.json"
WITH_PEERS = ("preprocessing", "decoding", "own_time")
"""Parts whose peers are libraries: they run in the peers' environment, edgesdk beside them."""
ALONE = ("starting", "reading", "throughput", "recovery", "broker")
"""Parts that need none of them. The soak has a report of its own: benchmarks.pipeline.soak."""
LIMIT_S = 1800.0


def parts() -> tuple[str, ...]:
    """Names of those that are there; each module's `main` gives its report."""
    return tuple(n for n in (*WITH_PEERS, *ALONE) if HERE.joinpath(f"{n}.py").is_file())


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(parts()), metavar="[PART]...")
def main(names: tuple[str, ...]) -> None:
    """Measure the PARTs, or all, and put them into the report."""
    for name in names or parts():
        click.echo(f"{name} ...", err=True)
        made = _measured(name)
        date = datetime.now(timezone.utc).isoformat(timespec="seconds")
        machine = asdict(read_machine(Path("/")))
        kept = {"command": f"scripts/bench pipeline {name}", "date": date, "machine": machine}
        # Read again: another call may have added a part meanwhile.
        report: dict[str, Any] = json.loads(PATH.read_text()) if PATH.is_file() else {"parts": {}}
        report["what"] = "Camera pipelines: edgesdk and its peers, side by side in one run."
        report["parts"][name] = {**made, **kept}
        PATH.write_text(json.dumps(report, indent=1) + "\n")


def _measured(name: str) -> dict[str, Any]:
    if name in WITH_PEERS:
        command = [peers_python(), "-m", f"benchmarks.pipeline.{name}"]
        try:
            return run(command, LIMIT_S, quiet()).answer
        except Failed as error:
            raise click.ClickException(f"{name}: {error}") from error
    made: dict[str, Any] = importlib.import_module(f"benchmarks.pipeline.{name}").main()
    return made


if __name__ == "__main__":
    sys.exit(main())
