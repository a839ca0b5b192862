"""README tables of what the two apps are made of: trackers, parts on a line, learned tiles."""

from __future__ import annotations

from typing import Any

PETS = "PETS09-S2L1, yolox-nano from 0.25"
"""The middle of the scores that were tried; the report has the others."""


def tracking(report: dict[str, Any]) -> list[str]:
    """Identities on a real clip, and what a frame costs."""
    quality, speed = report["parts"]["quality"], report["parts"]["speed"]
    lines = [
        f"| {name} | {one['HOTA']:.1f} | {one['IDF1']:.1f} | {one['switches']} |"
        for name, one in quality["sequences"][PETS].items()
    ]
    costs = ", ".join(
        f"{boxes} boxes {one['edgesdk, cpu_ms']:.2f} ms ({one['ours_over_theirs']:.2f})"
        for boxes, one in speed["boxes"].items()
    )
    return [
        f"Tracking: {PETS}, by TrackEval; CPU time of a frame (share of ByteTrack's): {costs}"
        f" ({_source(quality, 'tracking')}):",
        "",
        "| | HOTA | IDF1 | switches |",
        "|---|---|---|---|",
        *lines,
    ]


def inspection(report: dict[str, Any]) -> list[str]:
    """Escapes and false rejects of simulated parts, and whether verdicts were in time."""
    sides = [report["fp32"], report["int8"]]
    told = [side["accuracy"] for side in sides]
    timed = [side["in_time"] for side in sides]
    rows = [
        ("bad parts that passed", [f"{one['escapes']} of {one['bad']}" for one in told]),
        ("good parts rejected", [f"{one['false_rejects']} of {one['good']}" for one in told]),
        (
            f"late at {timed[0]['parts_per_second']:.0f} parts a second,"
            f" {timed[0]['deadline_ms']:.0f} ms allowed",
            [f"{one['late']} of {one['verdicts']}" for one in timed],
        ),
        (
            "ms from a part being due to its verdict, median and worst",
            [f"{o['latency_ms']['median']:.1f}, {o['latency_ms']['max']:.0f}" for o in timed],
        ),
    ]
    lines = [f"| {title} | {' | '.join(cells)} |" for title, cells in rows]
    source = f"`scripts/bench inspection`, {report['date_utc'][:10]}, {report['machine']['cpu']}"
    return [
        f"Line inspection, simulated parts matched one by one ({source}):",
        "",
        "| | float | INT8 |",
        "|---|---|---|",
        *lines,
    ]


def anomaly(report: dict[str, Any]) -> list[str]:
    """Real tiles, learned from good ones, and the same pictures by others."""
    peers = report["baselines"]
    rows = {
        "float": report["float"],
        "INT8": report["int8"],
        "plain PatchCore, 30,000 places": peers["plain_patchcore"],
        "logistic regression, taught with the defects": peers["logistic_with_labels"],
    }
    return [
        "Magnetic tiles, learned from good ones only, no tile on both sides; goal: .95 AUROC of"
        f" pictures ({_source(report, 'anomaly')}):",
        "",
        "| | AUROC of pictures | of pixels | bad tiles caught at .5 % false rejects |",
        "|---|---|---|---|",
        *(f"| {name} | {_ranking(side)} |" for name, side in rows.items()),
    ]


def _ranking(side: dict[str, Any]) -> str:
    """Three cells; a peer has the first only."""
    image = side["image_auroc"]
    over = f"{image['least']:.2f} to {image['most']:.2f}, {image['splits']} splits"
    pixel = f"{side['pixel_auroc']['mean']:.2f}" if "pixel_auroc" in side else ""
    caught = f"{side['caught']['mean']:.0%}" if "caught" in side else ""
    return f"{image['mean']:.3f} ({over}) | {pixel} | {caught}"


def _source(part: dict[str, Any], name: str) -> str:
    return f"`scripts/bench {name}`, {part['date'][:10]}, {part['machine']['cpu']}"
