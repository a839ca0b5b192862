"""The whole path once, on simulated traffic: build, count, compare with the truth, measure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesdk._files import write_atomic
from edgesdk._progress import Progress, silent
from edgesdk._resources import assets_folder, data_folder
from edgesdk.apps import App, RunRequest, load_app, prepare_run
from edgesdk.bench import BenchRequest, bench
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.bundle import Bundle, Precision
from edgesdk.pipeline import Sink
from edgesdk.report import LatencyReport, to_json
from edgesdk.sim import LABELS, TrafficScene, parse_uri

APP = "traffic_counting"
SCENE = "sim://traffic?seed=7&frames=480&light=varying"
"""What is counted: a scene that neither training nor calibration has seen."""
HELD_OUT = "sim://traffic?seed=8&frames=64&fps=2&light=varying"
"""What accuracy is measured on."""
ROAD, ROAD_LINE = "road_8_vehicles.mp4", (0.0, 220.0, 640.0, 220.0)
ROAD_TRUTH = {"down": 8, "up": 0}
"""The clip's own truth: 8 vehicles cross y = 220, all downwards."""

MADE = ("traffic.webm", "crossings.csv", "road.webm", "latency.html", "latency.json")
"""Files beside the bundles, which replace older ones by themselves."""

ANY = "any"
Counts = dict[str, dict[str, int]]
"""By class, then by direction."""


Watch = Callable[[str, int | None], Sequence[Sink]]
"""From the title of a run and the number of its frames, if known, to sinks that show it."""


def nobody(title: str, frames: int | None) -> Sequence[Sink]:
    """No sinks: nobody watches."""
    return ()


@dataclass(frozen=True)
class Counted:
    """What one model counted on one source, beside what really crossed."""

    title: str
    counts: Counts
    truth: Counts
    """Under the class "any" where only the directions are known."""
    frames: int
    fps: float
    """Of the whole pipeline on this machine, drawing of the clip included where one is drawn."""

    @property
    def is_right(self) -> bool:
        """True when every direction agrees and, where the truth knows them, every class."""
        if ANY in self.truth:
            return totals(self.counts) == totals(self.truth)
        return _filled(self.counts) == _filled(self.truth)


@dataclass(frozen=True)
class DemoResult:
    """Everything that the demo made."""

    bundle: Bundle
    runs: tuple[Counted, ...]
    latency: LatencyReport
    files: dict[str, Path]
    """What it is -> where it is."""


@dataclass(frozen=True)
class Demo:
    """One run of the demo; everything it makes is in `out`."""

    out: Path
    progress: Progress = silent
    """Shows long loops over pictures."""
    watch: Watch = nobody
    """Makes the sinks that show a run over frames."""

    def run(self) -> DemoResult:
        """Build, count, measure. Raises EdgeError as its steps do."""
        app = load_app(data_folder("apps") / APP)
        clip, events = self.out / "traffic.webm", self.out / "crossings.csv"
        self.clear()
        exact = self._build(str(app.folder), "fp32", app.calibration)
        bundle = self._build(str(app.folder), "int8", app.calibration, HELD_OUT)
        runs = [
            self._count("simulated road, float", app, RunRequest(SCENE, exact.path), _truth()),
            self._count(
                "simulated road, INT8",
                app,
                RunRequest(SCENE, bundle.path, events=events, video=clip),
                _truth(),
            ),
            *self._real_road(app),
        ]
        latency, page = self._measure(bundle)
        files = {"bundle": bundle.path, "report": page, "clip": clip, "crossings": events}
        files["latency"] = self.out / "latency.json"
        return DemoResult(bundle, tuple(runs), latency, files)

    def clear(self) -> None:
        """Remove the files of an earlier or broken-off demo: old and new never stand together."""
        for name in MADE:
            (self.out / name).unlink(missing_ok=True)

    def _build(self, model: str, precision: Precision, data: str, held_out: str = "") -> Bundle:
        name = Path(model).name.replace("-", "_")
        order = BuildOrder(
            device="orin",
            model=model,
            precision=precision,
            data=data if precision == "int8" else "",
            held_out=held_out,
            out=self.out / f"{name}_{precision}.edge",
        )
        request, path = resolve(order)
        return build(request, path, self.progress)

    def _count(self, title: str, app: App, request: RunRequest, truth: Counts) -> Counted:
        scene = parse_uri(SCENE)
        sinks = self.watch(title, scene.frames if request.source == SCENE else None)
        with prepare_run(app, request, sinks) as run:
            summary = run.pipeline.run()
        return Counted(title, summary.counts, truth, summary.frames_processed, summary.fps)

    def _real_road(self, app: App) -> list[Counted]:
        """The same with YOLOX-nano on a real clip, where the assets are at hand."""
        assets = assets_folder()
        clip = assets / "video" / ROAD if assets else None
        coco = assets / "data" / "coco192.tar" if assets else None
        if clip is None or coco is None or not (clip.is_file() and coco.is_file()):
            return []
        bundle = self._build("yolox-nano", "int8", f"{coco}#train2017", f"{coco}#val2017")
        chosen = app.with_settings({"line": list(ROAD_LINE)})
        request = RunRequest(str(clip), bundle.path, video=self.out / "road.webm")
        return [self._count("real road, YOLOX-nano INT8", chosen, request, {ANY: ROAD_TRUTH})]

    def _measure(self, bundle: Bundle) -> tuple[LatencyReport, Path]:
        from edgesdk.report.html import to_html  # noqa: PLC0415 - brings jinja2 along

        report = bench(BenchRequest(bundle.path, command=f"edgesdk bench {bundle.path}"))
        page = self.out / "latency.html"
        write_atomic(page, to_html(report))
        write_atomic(self.out / "latency.json", to_json(report))
        return report, page


def _truth() -> Counts:
    scene = TrafficScene(parse_uri(SCENE))
    pairs = Counter((LABELS[c.class_id], c.direction) for c in scene.crossings())
    counts: Counts = {}
    for (label, direction), count in sorted(pairs.items()):
        counts.setdefault(label, {})[direction] = count
    return counts


def totals(counts: Counts) -> dict[str, int]:
    """Crossings by direction, over all classes."""
    directions = ("down", "up")
    return {d: sum(row.get(d, 0) for row in counts.values()) for d in directions}


def _filled(counts: Counts) -> Counter[tuple[str, str]]:
    return Counter({(k, d): n for k, row in counts.items() for d, n in row.items() if n})
