"""Writes the figures of the committed reports into the README, between its two marks.

`scripts/bench readme` after a new report; a test holds the README to the reports.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parent.parent
REPORTS = ROOT / "benchmarks" / "reports"
BEGIN, END = "<!-- numbers:begin -->\n", "<!-- numbers:end -->\n"


def rendered() -> str:
    """The tables, from the reports alone."""
    return "\n".join([*quantization(_read("quantization")), "", *counting(_read("counting")), ""])


def with_figures(readme: str) -> str:
    """The README with its figures replaced."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{rendered()}{END}{after}"


def quantization(report: dict[str, Any]) -> list[str]:
    """mAP by method, models side by side."""
    models = list(dict.fromkeys(row["model"] for row in report["rows"]))
    methods = list(dict.fromkeys(row["method"] for row in report["rows"]))
    rows = {(row["model"], row["method"]): row for row in report["rows"]}
    lines = [
        "INT8 in TensorRT's documented form, mAP50-95 on 64 COCO pictures that calibration "
        f"did not see ({_source(report)}):",
        "",
        f"| | {' | '.join(models)} | calibration, CPU s | memory it took, MB |",
        f"|---|{'---|' * len(models)}---|---|",
    ]
    for method in methods:
        of_method = [rows[model, method] for model in models]
        figures = " | ".join(f"{row['map50_95']:.3f}" for row in of_method)
        spent = " / ".join(f"{row['cpu_seconds']:.0f}" for row in of_method)
        memory = " / ".join(f"{row['peak_growth_mb']:,.0f}" for row in of_method)
        costs = f"{spent} | {memory}" if method != "float" else "|"
        lines.append(f"| {method} | {figures} | {costs} |")
    return lines


def counting(report: dict[str, Any]) -> list[str]:
    """Wrong counts, simulated and real."""
    simulated = [row for row in report["rows"] if "true_crossings" in row]
    real = [row for row in report["rows"] if "counted" in row]
    total = sum(row["true_crossings"] for row in simulated)
    lines = [
        f"Counting ({_source(report)}):",
        "",
        "| | float | INT8 |",
        "|---|---|---|",
    ]
    for key, words in {
        "wrong_by_direction": "wrong by direction",
        "wrong_by_class_and_direction": "wrong by class and direction (a wrong class is two)",
    }.items():
        wrong = [sum(row[p][key] for row in simulated) for p in ("fp32", "int8")]
        title = f"simulated road, {len(simulated)} scenes, {total} crossings: {words}"
        lines.append(f"| {title} | {wrong[0]} | {wrong[1]} |")
    counted = {row["precision"]: row["counted"] for row in real}
    shown = [f"{c.get('down', 0)} down, {c.get('up', 0)} up" for c in counted.values()]
    lines.append(f"| real road, YOLOX-nano; 8 cross, all down | {shown[0]} | {shown[1]} |")
    return lines


def _source(report: dict[str, Any]) -> str:
    return f"`{report['command']}`, {report['date'][:10]}, {report['machine']['cpu']}"


def _read(name: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((REPORTS / f"{name}.json").read_text())
    return report


@click.command()
def main() -> None:
    """Update README.md."""
    path = ROOT / "README.md"
    path.write_text(with_figures(path.read_text()))


if __name__ == "__main__":
    main()
