"""The report of a build as one HTML page: what INT8 costs, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from edgesdk._config import plain
from edgesdk.bundle import Accuracy, Bundle, Manifest, TaskMetric
from edgesdk.checkup import Checkup
from edgesdk.report import quantization_charts as charts
from edgesdk.report.html import Card


@dataclass(frozen=True)
class Added:
    """An operator that the float model does not have."""

    tensor: str
    node: str
    reason: str


def quantization_html(bundle: Bundle, checkup: Checkup) -> str:
    """The whole page as text."""
    manifest = bundle.manifest
    environment = Environment(
        loader=PackageLoader("edgesdk.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    calibration = manifest.calibration
    page: str = environment.get_template("quantization.html.j2").render(
        generator=manifest.sdk_version,
        bundle=bundle,
        manifest=manifest,
        calibration=calibration,
        checkup=checkup,
        cards=_cards(manifest, checkup),
        statement=_statement(manifest),
        errors=charts.error_chart(manifest.layers),
        ranges=charts.range_chart(calibration.ranges) if calibration else None,
        pareto=charts.pareto_chart(manifest.recovery) if manifest.recovery else None,
        total_macs=sum(layer.macs for layer in manifest.layers) or 1,
        has_accumulated=any(layer.accumulated_db is not None for layer in manifest.layers),
        has_float=any(layer.precision != "int8" for layer in manifest.layers),
        facts=_facts(bundle),
        added=_added(manifest),
        short=charts.short,
        db=_db,
    )
    return page


def _cards(manifest: Manifest, checkup: Checkup) -> tuple[Card, ...]:
    inside = sum(layer.precision == "int8" for layer in manifest.layers)
    share = Card(
        "In INT8",
        f"{100 * manifest.int8_share:.1f}",
        "%",
        f"of the multiply-accumulates; {inside} of {len(manifest.layers)} layers",
    )
    return (share, _drop_card(manifest.accuracy), _worst_card(manifest), _verdict_card(checkup))


def _drop_card(accuracy: Accuracy | None) -> Card:
    metric = accuracy.metrics[0] if accuracy and accuracy.metrics else None
    if accuracy is None or metric is None:
        return Card("Drop", "–", "", "not measured: no labelled pictures")  # noqa: RUF001
    drop = metric.float_model - metric.bundle
    note = f"{metric.name}: {metric.float_model:.3f} in float, {metric.bundle:.3f} now"
    return Card(f"Drop of {metric.name}", _signed(drop), "", note + _interval(metric))


def _interval(metric: TaskMetric) -> str:
    known = plain(metric)
    low, high = known.get("drop_low"), known.get("drop_high")
    if low is None or high is None:
        return ""
    return f"; 95 % interval {_signed(low)} to {_signed(high)}"


def _signed(value: float) -> str:
    return f"{round(value, 3) or 0.0:+.3f}"  # never "-0.000"


def _worst_card(manifest: Manifest) -> Card:
    outputs = manifest.accuracy.outputs if manifest.accuracy else {}
    measured = {n: o.sqnr_db for n, o in outputs.items() if o.sqnr_db is not None}
    if not measured:
        return Card("Noisiest output", "–", "", "exact, or not measured")  # noqa: RUF001
    name = min(measured, key=lambda group: measured[group])
    return Card("Noisiest output", f"{measured[name]:.1f}", "dB", f"signal to noise of {name}")


def _verdict_card(checkup: Checkup) -> Card:
    problems, warnings = checkup.count("problem"), checkup.count("warning")
    if problems:
        return Card("Doctor", str(problems), "problem" + "s" * (problems > 1), "mend first")
    if warnings:
        return Card("Doctor", str(warnings), "warning" + "s" * (warnings > 1), "no problem")
    return Card("Doctor", "fine", "", "nothing speaks against it")


def _statement(manifest: Manifest) -> str:
    accuracy = manifest.accuracy
    if accuracy is None:
        return f"Built in {manifest.precision}; what that costs was not measured"
    kind = "that calibration did not see" if accuracy.held_out else "of the calibration itself"
    return (
        f"Float against {manifest.precision}, computed on a CPU as the graph is written, on "
        f"{accuracy.pictures} pictures {kind}"
    )


def _facts(bundle: Bundle) -> tuple[tuple[str, str], ...]:
    manifest, target = bundle.manifest, bundle.manifest.target
    facts = [
        ("bundle digest", bundle.digest),
        ("float model", f"{manifest.origin.name}, sha256 {manifest.origin.digest}"),
        ("built for", f"{target.device}, JetPack {target.jetpack}, TensorRT {target.tensorrt}"),
        ("operator set", str(target.opset)),
        ("other operators", manifest.other_nodes),
        ("edgesdk", manifest.sdk_version),
        ("built", manifest.created),
    ]
    calibration = manifest.calibration
    if calibration:
        facts += [
            ("calibrated with", f"{calibration.pictures} pictures of {calibration.source}"),
            ("recipe", f"{calibration.recipe}, observer {calibration.observer}"),
            ("calibration fingerprint", calibration.fingerprint),
        ]
    if manifest.accuracy:
        facts.append(("measured on", manifest.accuracy.source))
    return tuple((what, value) for what, value in facts if value)


def _added(manifest: Manifest) -> tuple[Added, ...]:
    """Operators that balance channels, with what they balance."""
    calibration = manifest.calibration
    if calibration is None:
        return ()
    return tuple(
        Added(
            tensor,
            node,
            "channels of very different size; not foldable into the layer before"
            if node.startswith(f"{tensor}_balance")
            else "channels of very different size; folded, costs nothing",
        )
        for tensor, node in calibration.balanced.items()
    )


def _db(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"  # noqa: RUF001 - a dash for the eye
