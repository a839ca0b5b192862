"""Writes the figures of the committed reports into the README, between its two marks.

`scripts/bench readme` after a new report; a test holds the README to the reports.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from benchmarks.app_figures import anomaly, inspection, tracking
from benchmarks.pipeline.figures import pipeline

ROOT = Path(__file__).parent.parent
REPORTS = ROOT / "benchmarks" / "reports"
BEGIN, END = "<!-- numbers:begin -->\n", "<!-- numbers:end -->\n"


def rendered() -> str:
    """The tables, from the reports alone."""
    sections = (
        quantization(_read("quantization")),
        counting(_read("counting")),
        tracking(_read("tracking")),
        inspection(_read("inspection")),
        anomaly(_read("anomaly")),
        pipeline(_read("pipeline")),
    )
    return "\n".join(line for lines in sections for line in (*lines, ""))


def with_figures(readme: str) -> str:
    """The README with its figures replaced."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{rendered()}{END}{after}"


def quantization(report: dict[str, Any]) -> list[str]:
    """Accuracy, form and cost: methods down, models across."""
    rows = {(row["model"], row["method"]): row for row in report["rows"]}
    models = list(dict.fromkeys(model for model, _ in rows))
    methods = list(dict.fromkeys(method for _, method in rows))
    dates = sorted({date[:10] for date in report["runs"]})
    cpus = sorted({run["machine"]["cpu"] for run in report["runs"].values()})
    source = f"`scripts/bench quantization`, {' and '.join(dates)}, {', '.join(cpus)}"

    def table(cell: Callable[[dict[str, Any]], str], first: list[str]) -> list[str]:
        lines = [f"| | {' | '.join(models)} |", f"|---|{'---|' * len(models)}", *first]
        for method in methods:
            cells = [_cell(rows.get((model, method)), cell) for model in models]
            lines.append(f"| {method} | {' | '.join(cells)} |")
        return lines

    floats = [_float(next(r for r in rows.values() if r["model"] == m)) for m in models]
    return [
        "INT8 on pictures that calibration did not see; in brackets the 95 % interval of the drop "
        "from float (paired bootstrap over pictures). Detectors: mAP50-95; classifiers: top-1 and "
        "SQNR of the logits; yolov8-form, random weights: SQNR of boxes and of scores "
        f"({source}):",
        "",
        *table(_accuracy, [f"| float | {' | '.join(floats)} |"]),
        "",
        "Share of multiply-accumulates in INT8, and what stands outside TensorRT's documented "
        "form (int8, zero point 0, one scale for an activation, float bias, no pair on an output):",
        "",
        *table(_form, []),
        "",
        "Calibrating and quantizing: CPU seconds (times the pure inference of the same pictures), "
        "peak memory of the process:",
        "",
        *table(_cost, []),
        *_recovery(rows.values()),
        *_failures(rows.values()),
    ]


def _cell(row: dict[str, Any] | None, cell: Callable[[dict[str, Any]], str]) -> str:
    if row is None:
        return ""
    return "failed" if "failed" in row else cell(row)


def _main(row: dict[str, Any]) -> dict[str, Any]:
    """Figures on the pictures that calibration did not see."""
    metrics: dict[str, Any] = row["metrics"].get("unseen", row["metrics"]["all"])
    return metrics


def _float(row: dict[str, Any]) -> str:
    for name in ("mAP50-95", "top-1"):
        if name in row.get("metrics", {}).get("all", {}):
            return f"{_main(row)[name]['float']:.3f}"
    return ""


def _accuracy(row: dict[str, Any]) -> str:
    figures = _main(row)
    if "boxes_sqnr_db" in figures:
        flat = figures["boxes_flat_share"], figures["scores_flat_share"]
        said = [
            f"{_db(figures[f'{name}_sqnr_db'])}{f', {share:.0%} flat' if share else ''}"
            for name, share in zip(("boxes", "scores"), flat, strict=True)
        ]
        return " / ".join(said)
    figure = figures["mAP50-95" if "mAP50-95" in figures else "top-1"]
    sqnr = f", {_db(figures['logits_sqnr_db'])}" if "logits_sqnr_db" in figures else ""
    return f"{figure['int8']:.3f} ({figure['low']:+.3f} to {figure['high']:+.3f}){sqnr}"


def _db(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f} dB"


def _form(row: dict[str, Any]) -> str:
    form = row["form"]
    outside = []
    for key, words in {
        "per_channel_activation_quantizers": "per-channel activations",
        "nonzero_zero_points": "zero points",
        "quantized_biases": "quantized biases",
    }.items():
        if form[key]:
            outside.append(f"{form[key]} {words}")
    outside += ["uint8"] if form["uint8_nodes"] else []
    outside += ["pair on an output"] if form["quantized_outputs"] else []
    outside += [] if row["tensorrt"]["verdict"] == "builds" else [row["tensorrt"]["verdict"]]
    extra = sum(number for number in form["extra_pointwise"].values() if number > 0)
    outside += [f"{extra} pointwise nodes more"] if extra else []
    return ", ".join([f"{form['int8_mac_share']:.1%}", *outside])


def _cost(row: dict[str, Any]) -> str:
    cost = row["cost"]
    return f"{cost['cpu_seconds']:.0f} ({cost['ratio']:.1f} x), {cost['peak_mb']:,.0f} MB"


def _recovery(rows: Iterable[dict[str, Any]]) -> list[str]:
    """What methods with a target say of their drop, beside that on pictures they did not see."""
    lines = []
    for row in rows:
        if "drop" in row.get("said", {}) and "failed" not in row:
            figures = _main(row)
            figure = figures.get("mAP50-95") or figures.get("top-1")
            if figure is None:
                continue  # random weights have no drop that means anything
            lines.append(
                f"| {row['method']} on {row['model']} | {row['cost']['wall_seconds']:.0f} "
                f"| {row['said']['drop']:+.3f} | {figure['drop']:+.3f} "
                f"({figure['low']:+.3f} to {figure['high']:+.3f}) |"
            )
    head = ["| recovery to a drop of 1 % | s | drop it states | drop on pictures it did not see |"]
    return ["", *head, "|---|---|---|---|", *lines] if lines else []


def _failures(rows: Iterable[dict[str, Any]]) -> list[str]:
    failed = [f"{r['method']} on {r['model']}: {r['failed']}" for r in rows if "failed" in r]
    return ["", f"Failed: {'; '.join(failed)}."] if failed else []


def counting(report: dict[str, Any]) -> list[str]:
    """Missed and extra crossings, simulated and real."""
    figures = [report["summary"][precision] for precision in ("fp32", "int8")]
    scenes, total = figures[0]["scenes"], figures[0]["true_crossings"]
    rows = [
        (
            f"simulated road, {scenes} scenes of 2 minutes, {total} crossings: missed or extra",
            [f"{f['wrong']} ({f['wrong_share']:.2%})" for f in figures],
        ),
        ("... scenes without any error", [f"{f['scenes_without_error']}" for f in figures]),
        ("... counted as another class", [f"{f['misnamed']}" for f in figures]),
    ]
    for name, words in {"vehicles": "the carried detector", "yolox-nano": "YOLOX-nano"}.items():
        counted = [r["counted"] for r in report["road"] if r["detector"] == name]
        shown = [f"{c['down']} down, {c['up']} up" for c in counted] or [
            "not measured",
            "not measured",
        ]
        rows.append((f"real road, {words}; 8 cross, all down", shown))
    lines = [f"| {title} | {' | '.join(cells)} |" for title, cells in rows]
    head = ["| | float | INT8 |", "|---|---|---|"]
    return [f"Counting, matched one by one ({_source(report)}):", "", *head, *lines]


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
