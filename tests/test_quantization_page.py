"""The page of a build, and the doctor's answer about a bundle in the terminal."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.bundle import (
    Bundle,
    LayerPrecision,
    Manifest,
    OutputAccuracy,
    Range,
    Recovery,
    RecoveryStep,
    write_bundle,
)
from edgesdk.checkup import examine
from edgesdk.cli.doctor import command
from edgesdk.errors import EdgeError, UsageError
from edgesdk.model import Model
from edgesdk.report import charts
from edgesdk.report import quantization_charts as depth
from edgesdk.report.quantization import quantization_html
from tests.checkup_samples import CALIBRATION, EVIDENCE, SOUND, calibrated
from tests.onnx_graphs import small_detector

STEPS = (
    RecoveryStep("all layers in INT8", 1.0, 0.30, 0.10, kept=False),
    RecoveryStep("conv0 in float", 0.75, 0.396, 0.004),
    RecoveryStep("conv0 in float, verified", 0.75, 0.348, 0.002, -0.004, 0.008),
)
RECOVERED = replace(SOUND, recovery=Recovery("mAP50-95", 0.0035, True, 0.35, 32, STEPS))
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


def page_of(manifest: Manifest) -> str:
    return quantization_html(Bundle(Path("net.edge"), manifest, "d" * 64), examine(manifest))


class Elements(HTMLParser):
    """Names and attributes of all elements, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def words(page: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_page_asks_for_nothing_and_runs_nothing() -> None:
    page = page_of(RECOVERED)
    assert "://" not in page
    assert "url(" not in page
    elements = Elements(page).found
    assert not {"script", "iframe", "object", "embed", "img"} & {tag for tag, _ in elements}
    policies = [a["content"] for _, a in elements if "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_the_headline_says_share_drop_and_verdict() -> None:
    text = words(page_of(SOUND))
    assert "In INT8 100.0 % of the multiply-accumulates; 4 of 4 layers" in text
    assert "Drop of mAP50-95 +0.002" in text
    assert "mAP50-95: 0.350 in float, 0.348 now" in text
    assert "Noisiest output 13.0 dB signal to noise of scores" in text
    assert "Nothing was found that speaks against this bundle" in text


def test_the_doctor_s_findings_stand_on_the_page_with_what_to_do() -> None:
    ill = calibrated(pictures=4)
    text = words(page_of(ill))
    for finding in examine(ill).findings:
        assert finding.means in text
        assert finding.do in text


def test_a_picture_that_sets_ranges_alone_is_shown() -> None:
    alone = replace(EVIDENCE, peak_ratio=5.0, peak_picture="flash.jpg")
    ranges = {**CALIBRATION.ranges, "r2": replace(CALIBRATION.ranges["r2"], evidence=alone)}
    shown = calibrated(ranges=ranges, thumbnails={"flash.jpg": "QUJD"})
    images = [a for tag, a in Elements(page_of(shown)).found if tag == "img"]
    assert images == [{"src": "data:image/jpeg;base64,QUJD", "alt": "flash.jpg"}]
    hidden = calibrated(ranges=ranges)
    assert not [a for tag, a in Elements(page_of(hidden)).found if tag == "img"]


def test_every_layer_range_and_step_stands_in_a_table() -> None:
    text = words(page_of(RECOVERED))
    for name in ("conv0", "conv3", "r1", "r3", "all layers in INT8", "conv0 in float, verified"):
        assert name in text
    assert "that holds" in text


def test_attempts_on_other_pictures_are_compared_with_the_float_model_on_the_same() -> None:
    text = words(page_of(RECOVERED))
    assert "Searched on 32 pictures, verified on 64" in text
    # .30 of .40, .396 of .40, .348 of .350
    assert all(share in text for share in ("75.00", "99.00", "99.43"))


def test_names_cannot_smuggle_markup_into_the_page() -> None:
    assert RECOVERED.recovery is not None
    assert SOUND.accuracy is not None
    layer = LayerPrecision(EVIL, EVIL, "fp16", 10, 3.0, EVIL)
    evil = replace(
        SOUND,
        name=EVIL,
        layers=(layer,),
        calibration=replace(
            CALIBRATION,
            source=EVIL,
            ranges={EVIL: Range(1.0, 1.0, 0.5, replace(EVIDENCE, peak_picture=EVIL))},
            skipped={EVIL: EVIL},
            balanced={EVIL: EVIL},
        ),
        accuracy=replace(SOUND.accuracy, outputs={EVIL: OutputAccuracy(0.0, 0.0)}, note=EVIL),
        recovery=replace(RECOVERED.recovery, steps=(replace(STEPS[0], action=EVIL),)),
    )
    assert not {"script", "img"} & {tag for tag, _ in Elements(page_of(evil)).found}


@pytest.mark.parametrize(
    "manifest",
    [
        replace(SOUND, layers=(), calibration=None, accuracy=None, precision="fp32"),
        replace(SOUND, layers=tuple(replace(x, sqnr_db=None) for x in SOUND.layers)),
        calibrated(ranges={}),
        calibrated(ranges={"r": Range(0.0, 0.0, 0.0)}, inputs={}, preprocessing=None, variety=None),
    ],
)
def test_bundles_that_lack_most_of_it_still_make_a_page(manifest: Manifest) -> None:
    text = words(page_of(manifest)).lower().split()
    assert "nan" not in text
    assert "none" not in text


@given(
    st.lists(st.tuples(st.floats(-30, 150), st.none() | st.floats(-30, 150)), min_size=1),
    st.lists(st.tuples(st.floats(1e-9, 1e9), st.floats(1e-12, 1)), min_size=1),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1)), min_size=1),
)
@settings(max_examples=50)
def test_charts_stay_inside_their_square(
    errors: list[tuple[float, float | None]],
    ranges: list[tuple[float, float]],
    steps: list[tuple[float, float, float]],
) -> None:
    layers = [
        LayerPrecision(f"n{i}", "Conv", "int8", 1, a, "", b) for i, (a, b) in enumerate(errors)
    ]
    seen = {
        f"t{i}": Range(amax, amax, 0, replace(EVIDENCE, channel_min=amax * s, channel_max=amax))
        for i, (amax, s) in enumerate(ranges)
    }
    path = tuple(RecoveryStep("x", share, v, d, d - 0.1, d + 0.1) for share, v, d in steps)
    drawn = (
        depth.error_chart(layers),
        depth.range_chart(seen),
        depth.pareto_chart(Recovery("m", 0.01, True, 0.5, 1, path)),
    )
    for chart in drawn:
        assert chart is not None
        assert all(-0.01 <= place <= 100.01 for place in places(chart))


def places(chart: charts.Chart) -> list[float]:
    found = [mark.place for mark in chart.marks]
    found += [place for axis in (chart.x, chart.y) for place, _ in axis.ticks]
    shapes = re.sub(r"<title>.*?</title>", "", chart.shapes)
    pairs = re.findall(r"(-?[\d.]+),(-?[\d.]+)", shapes)
    found += [float(number) for pair in pairs for number in pair]
    names = r'\b(?:x|y|x1|x2|y1|y2|width|height)="(-?[\d.]+)"'
    return found + [float(number) for number in re.findall(names, shapes)]


def test_a_decade_is_as_long_anywhere_on_a_logarithmic_axis() -> None:
    axis = depth.LogAxis("", -2, 2)
    assert [axis.percent(10.0**power) for power in range(-2, 3)] == [0, 25, 50, 75, 100]
    assert (axis.percent(0), axis.percent(1e9)) == (0, 100)
    assert [label for _, label in axis.ticks] == ["0.01", "0.1", "1", "10", "100"]


# --- the terminal ---------------------------------------------------------------------------------


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "sound.edge", Model.of(small_detector()), SOUND).path


@pytest.fixture
def ill(tmp_path: Path) -> Path:
    assert SOUND.accuracy is not None
    outputs = {"scores": OutputAccuracy(0.1, 0.1)}
    manifest = replace(SOUND, accuracy=replace(SOUND.accuracy, outputs=outputs))
    return write_bundle(tmp_path / "ill.edge", Model.of(small_detector()), manifest).path


def doctor(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_a_sound_bundle_ends_with_0_and_an_ill_one_with_1(sound: Path, ill: Path) -> None:
    good = doctor("--bundle", sound)
    assert good.exit_code == 0
    assert "nothing was found" in good.stdout
    bad = doctor("--bundle", ill)
    assert isinstance(bad.exception, EdgeError)
    assert bad.exception.exit_code == 1
    assert "output-flat" in bad.exception.hint
    assert "!! output-flat: the output group scores" in bad.stdout
    assert "to mend:" in bad.stdout


def test_json_is_one_object_whatever_the_verdict(sound: Path, ill: Path) -> None:
    for path, healthy in ((sound, True), (ill, False)):
        told = json.loads(doctor("--bundle", path, "--json").stdout)
        assert told["healthy"] is healthy
        assert [f["id"] for f in told["findings"]] == [] if healthy else ["output-flat"]


def test_the_page_is_written_even_for_an_ill_bundle(ill: Path, tmp_path: Path) -> None:
    doctor("--bundle", ill, "--html", tmp_path / "page.html")
    assert "says nothing any more" in (tmp_path / "page.html").read_text()


def test_a_page_inside_the_bundle_is_refused(sound: Path) -> None:
    result = doctor("--bundle", sound, "--html", sound / "page.html")
    assert isinstance(result.exception, UsageError)
    assert not (sound / "page.html").exists()


def test_another_model_or_spec_makes_a_bundle_stale(sound: Path, tmp_path: Path) -> None:
    (tmp_path / "new.onnx").write_bytes(b"another")
    (tmp_path / "spec.toml").write_text(
        'labels = ["car", "bus"]\n[preprocess]\nwidth = 32\nheight = 32\ncolor = "bgr"\n'
        '[decoder]\ntype = "yolox"\n'
    )
    asked = ("--bundle", sound, "--model", tmp_path / "new.onnx", "--spec", tmp_path / "spec.toml")
    told = json.loads(doctor(*asked, "--json").stdout)
    assert [f["id"] for f in told["findings"]] == ["stale-model", "stale-preprocessing"]


def test_a_model_that_is_not_there_is_said(sound: Path) -> None:
    result = doctor("--bundle", sound, "--model", "gone.onnx")
    assert isinstance(result.exception, EdgeError)
    assert "gone.onnx" in result.exception.message


@pytest.mark.parametrize("option", ["--html", "--model", "--spec"])
def test_questions_about_a_bundle_need_one(option: str) -> None:
    result = doctor(option, "x")
    assert isinstance(result.exception, UsageError)
    assert "--bundle" in result.exception.hint
