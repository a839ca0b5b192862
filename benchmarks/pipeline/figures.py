"""The report's figures as the README shows them, beside what was to be reached."""

from __future__ import annotations

from typing import Any

Rows = list[str]


def pipeline(report: dict[str, Any]) -> Rows:
    """One table: what, goal, measured."""
    parts = report["parts"]
    dates = sorted({part["date"][:10] for part in parts.values()})
    cpus = sorted({str(_cpu(part)) for part in parts.values()})
    makers = {
        "preprocessing": _preprocessing,
        "decoding": _decoding,
        "own_time": _own_time,
        "starting": _starting,
        "reading": _reading,
        "throughput": _throughput,
        "recovery": _recovery,
        "broker": _broker,
    }
    rows = [row for name, make in makers.items() if name in parts for row in make(parts[name])]
    source = f"`scripts/bench pipeline`, {' and '.join(dates)}, {', '.join(cpus)}"
    return [
        "Camera pipelines on the CPU, one thread where libraries are compared; ratios are medians "
        f"of CPU time within one round ({source}):",
        "",
        "| | goal | measured |",
        "|---|---|---|",
        *rows,
    ]


def _cpu(part: dict[str, Any]) -> object:
    machine = part["machine"]
    return machine["cpu"] if isinstance(machine, dict) else machine


def _row(what: str, goal: str, measured: str) -> str:
    return f"| {what} | {goal} | {measured} |"


def _preprocessing(part: dict[str, Any]) -> Rows:
    rows = []
    for size, figures in part["sizes"].items():
        cases = dict(figures["cases"])
        ours, ultralytics = cases.pop("edgesdk"), cases.pop("ultralytics")
        others = {name: c for name, c in cases.items() if not name.startswith("edgesdk")}
        best = min(others, key=lambda name: others[name]["cpu_times_ours"])
        rows.append(
            _row(
                f"preprocess {size}",
                "2.5 x Ultralytics, 1.3 x the best other, 0.1 MB a frame",
                f"{ours['least_ms']:.2f} ms; {ultralytics['cpu_times_ours']:.1f} x Ultralytics, "
                f"{others[best]['cpu_times_ours']:.1f} x {best}; "
                f"{figures['allocated_bytes_a_frame'] / 1e6:.3f} MB",
            )
        )
    return rows


def _decoding(part: dict[str, Any]) -> Rows:
    rows = []
    for head, counts in part["heads"].items():
        for count, figures in counts.items():
            cases = figures["cases"]
            predict = cases["ultralytics, as predict"]["cpu_times_ours"]
            whole = cases.get("ultralytics, predict's postprocess", {}).get("cpu_times_ours")
            more = f", {whole:.1f} x all that it does with a head" if whole else ""
            bare = cases["ultralytics, torchvision not loaded"]["cpu_times_ours"]
            same = "torchvision's boxes" if figures["kept_equal_torchvision"] else "other boxes"
            rows.append(
                _row(
                    f"decode + NMS, {head}, {int(count):,} candidates",
                    f"{3 if count == '1000' else 5} x Ultralytics",
                    f"{cases['edgesdk']['least_ms']:.3f} ms; {predict:.1f} x its `predict`{more}, "
                    f"{bare:.1f} x its function without torchvision; {same}",
                )
            )
    return rows


def _own_time(part: dict[str, Any]) -> Rows:
    cases = part["cases"]
    ours, drawn = cases["edgesdk"], cases["edgesdk, every frame drawn"]
    theirs = {
        name: cases[f"ultralytics, ObjectCounter, {tracker}"]
        for name, tracker in {"BoT-SORT, its default": "botsort", "ByteTrack": "bytetrack"}.items()
    }
    said = [
        f"{case['cpu_ms']:.2f} with {name} ({case['cpu_times_ours']:.1f} x)"
        for name, case in theirs.items()
    ]
    return [
        _row(
            "CPU ms a frame outside inference and video decoding",
            "a third of Ultralytics' track + ObjectCounter",
            f"{ours['cpu_ms']:.2f}, drawn {drawn['cpu_ms']:.2f}; Ultralytics {', '.join(said)}",
        )
    ]


def _starting(part: dict[str, Any]) -> Rows:
    cases = part["cases"]

    def said(name: str) -> str:
        return f"{cases[name]['median_s']:.2f} s"

    return [
        _row(
            "start: `import edgesdk`, `edgesdk --version`, `edgesdk run` of one frame to its exit",
            "0.15, 0.25, 1 s",
            f"{said('import edgesdk')}, {said('edgesdk --version')}, "
            f"{said('edgesdk run, one frame, to its end')}; Ultralytics' import and version "
            f"{said('from ultralytics import YOLO')}, {said('ultralytics version')}, supervision's "
            f"import {said('import supervision')}",
        )
    ]


def _reading(part: dict[str, Any]) -> Rows:
    ratios = [f"{clip['cpu_over_opencv'] - 1:+.1%}" for clip in part["clips"].values()]
    return [_row("reading a file against grab + retrieve", "within 5 %", ", ".join(ratios))]


def _throughput(part: dict[str, Any]) -> Rows:
    against = {
        "elsewhere": "a session that leaves the CPU alone",
        "cpu": "ONNX Runtime with all cores, called back to back",
        "cpu, equal": "the same sessions, called back to back by as many threads",
    }
    return [
        _row(
            f"frames a second on a file over {what}, YOLOX-nano",
            f"{part['goal']:.2f}",
            "{:.3f} (quartiles {:.3f} to {:.3f}); {:.0f} of {:.0f} fps".format(
                part[case]["ratio_median"],
                *part[case]["ratio_quartiles"][::2],
                part[case]["pipeline_fps_median"],
                part[case]["session_fps_median"],
            ),
        )
        for case, what in against.items()
    ]


def _recovery(part: dict[str, Any]) -> Rows:
    return [
        _row(
            f"RTSP server killed for {part['away_s']:g} s, {figures['killed']} times ({reader})",
            "all back, at most 2 s beyond the back-off; frozen noticed in 1.5 x the watchdog",
            f"{figures['recovered']} of {figures['killed']}, "
            f"at most {figures['beyond_back_off_s']['max']:.2f} s; "
            f"{figures['noticed_over_setting']:.2f} x",
        )
        for reader, figures in part["readers"].items()
    ]


def _broker(part: dict[str, Any]) -> Rows:
    return [
        _row(
            f"broker stopped {row['broker_stops']} times by {row['stopped_by']}, "
            f"{part['rate_hz']} events/s: {row['sender']}",
            "none lost, none twice by id",
            f"of {row['events_sent']:,} events {row['ids_missing']} lost, "
            f"{row['ids_more_than_once']} twice",
        )
        for row in part["rows"]
        if row["sender"].startswith("edgesdk")
    ]
