"""The committed report: rows of several runs, each with the run it is from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[1] / "reports" / "quantization.json"
Row = dict[str, Any]


@dataclass
class Report:
    """Rows by (model, method); a new row takes the place of the old one."""

    what: str
    grid: list[tuple[str, str]]
    """All (model, method), in the order of the report."""
    rows: dict[tuple[str, str], Row]
    runs: dict[str, dict[str, Any]]
    """By date: the command and the machine."""

    @classmethod
    def read(cls, path: Path, what: str, grid: list[tuple[str, str]]) -> Report:
        """The report at `path`, or an empty one; rows that the grid no longer has are dropped."""
        old = json.loads(path.read_text()) if path.is_file() else {}
        runs = old.get("runs", {})
        rows = {(r["model"], r["method"]): r for r in old.get("rows", []) if r.get("run") in runs}
        return cls(what, grid, {key: rows[key] for key in grid if key in rows}, runs)

    def add(self, row: Row) -> None:
        """Put a row in its place."""
        self.rows[row["model"], row["method"]] = row

    def write(self, path: Path) -> None:
        """Write it; runs without a row are left out."""
        rows = [self.rows[key] for key in self.grid if key in self.rows]
        used = {row["run"] for row in rows}
        runs = {date: run for date, run in sorted(self.runs.items()) if date in used}
        path.parent.mkdir(exist_ok=True)
        report = {"what": self.what, "runs": runs, "rows": rows}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(report, indent=1) + "\n")
        part.replace(path)
