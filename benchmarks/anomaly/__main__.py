"""Magnetic tiles: fitted on good ones, told from bad ones, float against INT8, against baselines.

Splits are by runs of 20 neighbouring good pictures, since neighbours can show the same tile. One
row is split by single pictures, as published figures are, to show what that is worth.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import mean

import click
import numpy as np

from benchmarks.anomaly.baselines import logistic, plain_patchcore, pooled_features
from benchmarks.anomaly.scoring import Scored, figures, pixel_auroc, score
from benchmarks.anomaly.tiles import RUN, Tiles, kind, open_tiles, split
from edgesdk._progress import silent
from edgesdk._resources import assets_folder
from edgesdk.anomaly import Backbone, FitSettings, Fitted, fit
from edgesdk.build import BuildRequest, build
from edgesdk.devices import load_device, load_jetpack
from edgesdk.model import read_model
from edgesdk.preprocess import Preprocess
from edgesdk.quantize.fp16 import simulate_fp16
from edgesdk.report import read_machine

REPORT = Path(__file__).parent.parent / "reports" / "anomaly.json"
PARTS = 5
POOLED = "gap"
SIZE = 320


@dataclass(frozen=True)
class Bench:
    tiles: Tiles
    backbone: Backbone
    settings: FitSettings

    def split(self, part: int, run: int, int8: bool) -> dict[str, object]:
        learned, tested = split(self.tiles.good, part, PARTS, run)
        names = [*tested, *self.tiles.bad]
        started, wall = time.process_time(), time.monotonic()
        fitted = fit(self.tiles.pictures(learned), self.backbone, self.settings)
        row: dict[str, object] = {
            "split": part,
            "run": run,
            "fit_cpu_s": round(time.process_time() - started, 1),
            "fit_wall_s": round(time.monotonic() - wall, 1),
            "good_fitted": len(learned),
            "good_tested": len(tested),
            "bad_tested": len(self.tiles.bad),
            "threshold": asdict(fitted.threshold),
        }
        found = score(fitted.model, fitted.spec, self.tiles, names, exact=False)
        row["float"] = self.row(found, fitted.threshold.value)
        click.echo(f"split {part}, runs of {run}: {row['float']}")
        if int8:
            row["int8"] = self.int8(fitted, learned, names)
            click.echo(f"  int8: {row['int8']}")
        return row

    def row(self, found: Scored, threshold: float) -> dict[str, object]:
        good = [s for n, s in found.scores.items() if kind(n) == "Free"]
        bad = [s for n, s in found.scores.items() if kind(n) != "Free"]
        return {
            **figures(found.scores),
            "pixel_auroc": pixel_auroc(found),
            "false_rejects": round(float(np.mean(np.array(good) >= threshold)), 4),
            "caught": round(float(np.mean(np.array(bad) >= threshold)), 4),
        }

    def int8(self, fitted: Fitted, learned: list[str], names: list[str]) -> dict[str, object]:
        """The same graph after `edgesdk build`, calibrated on the good pictures alone."""
        device = load_device("orin")
        request = BuildRequest(
            fitted.model,
            fitted.spec,
            device,
            load_jetpack(device, ""),
            data=self.tiles.pictures(learned),
        )
        with tempfile.TemporaryDirectory() as folder:
            bundle = build(request, Path(folder) / "part.edge", silent)
            graph = simulate_fp16(bundle.model())
        manifest = bundle.manifest
        assert manifest.spec is not None
        assert manifest.accuracy is not None
        assert manifest.accuracy.threshold is not None
        found = score(graph, manifest.spec, self.tiles, names, exact=True)
        return {
            **self.row(found, manifest.accuracy.threshold.value),
            "int8_share": round(manifest.int8_share, 3),
            "threshold": asdict(manifest.accuracy.threshold),
        }

    def baselines(self, part: int) -> dict[str, object]:
        """Plain PatchCore without labels, and logistic regression with them."""
        learned, tested = split(self.tiles.good, part, PARTS)
        names = [*tested, *self.tiles.bad]
        layers = self.settings.layers  # none named: those that edgesdk chooses
        plain = plain_patchcore(self.tiles, self.backbone, learned, names, layers)
        bad_learned, bad_tested = split(self.tiles.bad, part, PARTS)
        train, test = [*learned, *bad_learned], [*tested, *bad_tested]
        features = pooled_features(self.tiles, self.backbone, [*train, *test], POOLED)
        labels = np.array([kind(name) != "Free" for name in train])
        odds = logistic(features[: len(train)], labels, features[len(train) :])
        return {
            "split": part,
            "plain_patchcore": figures(plain),
            "logistic_with_labels": figures(dict(zip(test, odds.tolist(), strict=True))),
        }


def ranges(rows: list[dict[str, object]], kind: str) -> dict[str, dict[str, float]]:
    """Mean, least and most of each figure over the splits."""
    found: dict[str, dict[str, float]] = {}
    tables = [row[kind] for row in rows if kind in row]
    for name in ("image_auroc", "pixel_auroc", "false_rejects", "caught"):
        values = [float(table[name]) for table in tables if name in table]  # type: ignore[index,operator,call-overload]
        if values:
            found[name] = {
                "mean": round(mean(values), 4),
                "least": min(values),
                "most": max(values),
                "splits": len(values),
            }
    return found


@dataclass(frozen=True)
class Report:
    """Written after each row, so that a run that is stopped leaves what it has."""

    out: Path
    bench: Bench

    def write(
        self,
        rows: list[dict[str, object]],
        leaking: dict[str, object] | None,
        baselines: list[dict[str, object]],
    ) -> None:
        kinds = ("plain_patchcore", "logistic_with_labels")
        report = {
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "machine": asdict(read_machine()),
            "backbone": "efficientnet_lite0.onnx",
            "size_px": self.bench.backbone.preprocess.width,
            "settings": asdict(self.bench.settings),
            "float": ranges(rows, "float"),
            "int8": ranges(rows, "int8"),
            "splits": rows,
            "split_by_single_pictures": leaking,
            "baselines": {name: ranges(baselines, name) for name in kinds},
            "baseline_splits": baselines,
        }
        self.out.write_text(json.dumps(report, indent=1) + "\n")


@click.command()
@click.option("--splits", default=PARTS, help="Splits by runs of neighbours.")
@click.option("--int8", "int8_splits", default=1, help="Of these, so many are built as INT8 too.")
@click.option("--baselines", "baseline_splits", default=1, help="Of these, so many for the peers.")
@click.option("--leaking/--no-leaking", default=True, help="One split by single pictures.")
@click.option("--out", type=click.Path(path_type=Path), default=REPORT)
def main(splits: int, int8_splits: int, baseline_splits: int, leaking: bool, out: Path) -> None:
    assets = assets_folder()
    if assets is None:
        raise click.ClickException("needs the assets: set EDGESDK_ASSETS")
    net = Backbone(
        read_model(assets / "models/efficientnet_lite0.onnx"),
        Preprocess(SIZE, SIZE, "stretch", "rgb", scale=1 / 128, mean=(127 / 128,) * 3),
    )
    bench = Bench(open_tiles(assets / "data/magnetic_tile.tar"), net, FitSettings())
    report, rows, peers = Report(out, bench), [], []
    for part in range(splits):
        rows.append(bench.split(part, RUN, part < int8_splits))
        report.write(rows, None, [])
    for part in range(baseline_splits):
        peers.append(bench.baselines(part))
        report.write(rows, None, peers)
    report.write(rows, bench.split(0, 1, False) if leaking else None, peers)


if __name__ == "__main__":
    main()
