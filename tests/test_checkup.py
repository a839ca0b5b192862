"""What the calibration doctor says of a build, and what it leaves unsaid."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgesdk.bundle import (
    InputChannel,
    Manifest,
    OutputAccuracy,
    PreprocessCheck,
    PreprocessTrial,
    Recovery,
    RecoveryStep,
    TaskMetric,
    ThresholdFit,
    Variety,
)
from edgesdk.checkup import (
    Finding,
    examine,
    stale_findings,
)
from edgesdk.preprocess import Preprocess
from tests.checkup_samples import (
    CALIBRATION,
    EVIDENCE,
    GIVEN,
    SOUND,
    STRETCHED,
    SWAPPED,
    ZERO_ONE,
    calibrated,
    ranged,
)


def only(manifest: Manifest, severity: str = "warning") -> Finding:
    """The one finding of this severity or a graver one."""
    order = ("problem", "warning", "info")
    found = [
        f for f in examine(manifest).findings if order.index(f.severity) <= order.index(severity)
    ]
    assert len(found) == 1, [f.id for f in found]
    assert found[0].found
    assert found[0].means
    assert found[0].do
    return found[0]


def checked(*trials: PreprocessTrial) -> Manifest:
    return calibrated(preprocessing=PreprocessCheck("score", (GIVEN, *trials)))


def test_a_sound_build_gives_no_findings() -> None:
    checkup = examine(SOUND)
    assert checkup.findings == ()
    assert checkup.unknown == ()
    assert checkup.healthy
    assert "nothing" in checkup.verdict


def test_a_bundle_of_an_older_build_is_told_what_could_not_be_looked_at() -> None:
    ranges = {name: replace(r, evidence=None) for name, r in CALIBRATION.ranges.items()}
    old = calibrated(ranges=ranges, inputs={}, variety=None, preprocessing=None)
    checkup = examine(old)
    assert checkup.findings == ()
    assert len(checkup.unknown) == 4


# --- what goes in -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gain", "t", "severity"),
    [(1000.0, 9.0, "problem"), (1.4, 5.0, "problem"), (1.1, 3.3, "warning")],
)
def test_values_that_the_model_takes_better_are_named(gain: float, t: float, severity: str) -> None:
    better = replace(ZERO_ONE, gain=gain, t=t, pictures=32)
    finding = only(checked(SWAPPED, better))
    assert (finding.id, finding.severity) == ("preprocessing-range", severity)
    assert "0..1" in finding.found


def test_swapped_colours_are_a_warning() -> None:
    finding = only(checked(replace(SWAPPED, gain=1.2, t=4.0), ZERO_ONE))
    assert (finding.id, finding.severity) == ("preprocessing-color", "warning")
    assert "swapped to bgr" in finding.found


@pytest.mark.parametrize(
    "doubtful",
    [
        replace(SWAPPED, gain=1.2, t=2.5),  # may be chance
        replace(SWAPPED, gain=1.02, t=6.0),  # surely better, by next to nothing
        replace(SWAPPED, gain=1.5, t=3.5, pictures=5),  # of too few pictures
        replace(SWAPPED, gain=None, t=None, score=None),
    ],
)
def test_what_may_be_chance_is_no_finding(doubtful: PreprocessTrial) -> None:
    assert examine(checked(doubtful)).findings == ()


def test_with_wrong_values_nothing_is_said_of_colours_and_resizing() -> None:
    other = (replace(t, gain=1.5, t=5.0, pictures=32) for t in (SWAPPED, STRETCHED, ZERO_ONE))
    assert only(checked(*other), "info").id == "preprocessing-range"


def test_a_better_resize_is_only_a_remark() -> None:
    finding = only(checked(replace(STRETCHED, gain=1.15, t=3.5)), "info")
    assert (finding.id, finding.severity) == ("preprocessing-resize", "info")


def test_an_input_far_from_the_first_layer_s_training_is_a_problem() -> None:
    off = (replace(GIVEN, deviation=4.0), replace(ZERO_ONE, deviation=0.2))
    finding = only(calibrated(preprocessing=PreprocessCheck("", off)))
    assert (finding.id, finding.severity) == ("preprocessing-first-layer", "problem")
    assert "0..1" in finding.found
    near = (replace(GIVEN, deviation=0.3), replace(ZERO_ONE, deviation=0.1))
    assert examine(calibrated(preprocessing=PreprocessCheck("", near))).findings == ()


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0.0, 0.00392, "input-values"),  # divided by 255 twice
        (0.0, 65025.0, "input-values"),  # multiplied by 255
        (-2.2, 2.64, ""),
        (0.0, 1.0, ""),
        (-1.0, 1.0, ""),
        (0.0, 255.0, ""),
    ],
)
def test_values_that_no_convention_has_are_a_problem(low: float, high: float, found: str) -> None:
    channel = InputChannel(low, high, (low + high) / 2, (high - low) / 4)
    manifest = calibrated(inputs={"images": (channel,) * 3})
    assert [f.id for f in examine(manifest).findings] == [found] * bool(found)


def test_a_constant_input_is_a_problem() -> None:
    flat, varied = InputChannel(0.5, 0.5, 0.5, 0.0), InputChannel(0.0, 1.0, 0.5, 0.2)
    finding = only(calibrated(inputs={"images": (varied, flat, varied)}))
    assert (finding.id, finding.severity) == ("input-constant", "problem")
    assert "1 channel of 3" in finding.found


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"pictures": 6}, "few-pictures"),
        ({"variety": Variety(128, 64, 80.0)}, "equal-pictures"),
        ({"variety": Variety(128, 128, 2.5)}, "uniform-pictures"),
        ({"skipped": {f"{i}.jpg": "torn" for i in range(40)}}, "skipped-pictures"),
    ],
)
def test_poor_sets_of_pictures_are_a_warning(changes: dict[str, object], found: str) -> None:
    assert only(calibrated(**changes)).id == found


def test_one_scene_is_remarked_and_many_are_not() -> None:
    scene = only(calibrated(variety=Variety(128, 128, 18.0)), "info")
    assert (scene.id, scene.severity) == ("uniform-pictures", "info")
    assert examine(calibrated(variety=Variety(128, 128, 60.0))).findings == ()


# --- ranges -------------------------------------------------------------------------------------


def test_saturation_names_the_tensor() -> None:
    finding = only(ranged(saturated=0.04))
    assert (finding.id, finding.tensors) == ("saturation", ("r2",))
    assert "4.0%" in finding.found


def test_ranges_that_still_grow_ask_for_more_pictures() -> None:
    growing = replace(EVIDENCE, half_share=0.8)
    settled = {f"t{i}": CALIBRATION.ranges["r1"] for i in range(30)}
    restless = {f"s{i}": replace(CALIBRATION.ranges["r1"], evidence=growing) for i in range(6)}
    finding = only(calibrated(ranges={**settled, **restless}))
    assert finding.id == "ranges-growing"
    assert "20%" in finding.found
    assert set(finding.tensors) >= {"s0", "s5"}
    few = {"s0": restless["s0"]}  # one tensor of thirty-one may
    assert examine(calibrated(ranges={**settled, **few})).findings == ()


def test_a_tensor_that_was_always_zero_is_named() -> None:
    finding = only(ranged(amax=0.0, largest=0.0, evidence=replace(EVIDENCE, dead=16)))
    assert (finding.id, finding.tensors) == ("zero-tensors", ("r2",))


@pytest.mark.parametrize(("dead", "severity"), [(2, "info"), (12, "warning")])
def test_dead_channels_are_counted(dead: int, severity: str) -> None:
    finding = only(ranged(evidence=replace(EVIDENCE, dead=dead)), "info")
    assert (finding.id, finding.severity) == ("dead-channels", severity)
    assert f"{dead} of 16" in finding.found


def test_a_picture_that_sets_a_range_alone_is_named() -> None:
    finding = only(ranged(evidence=replace(EVIDENCE, peak_ratio=5.0, peak_picture="flash.jpg")))
    assert (finding.id, finding.pictures) == ("one-picture-ranges", ("flash.jpg",))
    assert "5.0 times" in finding.found


def test_a_picture_whose_outlier_the_observer_cut_off_is_none() -> None:
    alone = replace(EVIDENCE, peak_ratio=5.0, peak_picture="flash.jpg")
    assert examine(ranged(evidence=alone, amax=0.7)).findings == ()


# --- what comes out -----------------------------------------------------------------------------


def with_output(output: OutputAccuracy, metrics: bool = True) -> Manifest:
    assert SOUND.accuracy is not None
    accuracy = replace(SOUND.accuracy, outputs={**SOUND.accuracy.outputs, "scores": output})
    return replace(SOUND, accuracy=accuracy if metrics else replace(accuracy, metrics=()))


def test_an_output_group_that_flatlines_is_a_problem() -> None:
    finding = only(with_output(OutputAccuracy(0.1, 0.2)))
    assert (finding.id, finding.severity, finding.tensors) == (
        "output-flat",
        "problem",
        ("scores",),
    )


def test_a_noisy_output_is_a_warning_only_where_the_task_was_not_measured() -> None:
    noisy = OutputAccuracy(5.0, 0.85)
    assert only(with_output(noisy, metrics=False)).id == "output-noisy"
    assert only(with_output(noisy), "info").severity == "info"


@pytest.mark.parametrize(("built", "severity"), [(0.10, "problem"), (0.30, "warning"), (0.335, "")])
def test_a_drop_is_weighed_against_the_float_model(built: float, severity: str) -> None:
    assert SOUND.accuracy is not None
    accuracy = replace(SOUND.accuracy, metrics=(TaskMetric("mAP50-95", 0.35, built),))
    findings = examine(replace(SOUND, accuracy=accuracy)).findings
    assert [(f.id, f.severity) for f in findings] == [("accuracy-drop", severity)] * bool(severity)


def test_a_bundle_that_was_never_measured_says_so() -> None:
    assert only(replace(SOUND, accuracy=None)).id == "not-measured"


def test_accuracy_on_the_calibration_pictures_is_remarked() -> None:
    assert SOUND.accuracy is not None
    flattering = replace(SOUND, accuracy=replace(SOUND.accuracy, held_out=False))
    assert only(flattering, "info").id == "not-held-out"


# --- layers and the way to the target -------------------------------------------------------------


def test_layers_in_float_are_listed_with_the_reason() -> None:
    kept = replace(SOUND.layers[0], precision="fp16", reason="4.2 dB in INT8")
    finding = only(replace(SOUND, layers=(kept, *SOUND.layers[1:])), "info")
    assert (finding.id, finding.tensors) == ("layers-in-float", ("conv0",))
    assert "25.0%" in finding.found
    assert "4.2 dB in INT8" in finding.means


def test_layers_in_float_for_different_reasons_are_told_apart() -> None:
    reasons = ("loses 4.2 dB", "named by --keep-float", "loses 4.2 dB")
    kept = [
        replace(layer, precision="fp16", reason=reason)
        for layer, reason in zip(SOUND.layers, reasons, strict=False)
    ]
    finding = only(replace(SOUND, layers=(*kept, *SOUND.layers[3:])), "info")
    assert "conv0, conv2: loses 4.2 dB; conv1: named by --keep-float." in finding.means


def test_a_layer_that_int8_ruins_is_named() -> None:
    ruined = replace(SOUND.layers[2], sqnr_db=3.0)
    finding = only(replace(SOUND, layers=(*SOUND.layers[:2], ruined)))
    assert (finding.id, finding.tensors) == ("layers-noisy", ("conv2",))


def test_operators_that_were_added_are_listed_and_folded_ones_are_not() -> None:
    finding = only(calibrated(balanced={"r1": "r1_balance", "r2": "conv1"}), "info")
    assert (finding.id, finding.tensors) == ("extra-operators", ("r1",))


@pytest.mark.parametrize(("reached", "found"), [(False, ["target-missed"]), (True, [])])
def test_a_target_that_was_missed_is_a_problem(reached: bool, found: list[str]) -> None:
    steps = (
        RecoveryStep("all layers in INT8", 1.0, 0.30, 0.05, kept=False),
        RecoveryStep("conv0 in float", 0.9, 0.349, 0.001),
        RecoveryStep("conv0 in float, verified", 0.9, 0.34, 0.01, 0.0, 0.02, kept=False),
    )
    recovery = Recovery("mAP50-95", 0.0035, reached, 0.35, 32, steps)
    findings = examine(replace(SOUND, recovery=recovery)).findings
    assert [f.id for f in findings] == found
    if found:
        assert findings[0].severity == "problem"
        assert "0.0100" in findings[0].found


# --- a model that inspects parts ----------------------------------------------------------------


INSPECTS = ThresholdFit(
    given=3.1,
    value=3.2,
    false_rejects=0.005,
    pictures=400,
    rejected_given=3,
    rejected=2,
    rate=0.004,
    rate_low=0.001,
    rate_high=0.009,
    drift=0.02,
    drift_spread=0.01,
    score_spread=0.4,
    caught=98,
    bad=100,
)


def inspecting(area: float = 0.97, **changes: object) -> Manifest:
    """A sound bundle that was learned from good parts; `area`: its AUROC."""
    assert SOUND.accuracy is not None
    assert SOUND.spec is not None
    accuracy = replace(
        SOUND.accuracy,
        pictures=200,
        metrics=(TaskMetric("AUROC", area, area),),
        threshold=replace(INSPECTS, **changes),  # type: ignore[arg-type]
    )
    spec = replace(SOUND.spec, decoder={"type": "anomaly", "threshold": 3.2})
    return replace(SOUND, spec=spec, accuracy=accuracy)


def test_an_inspection_that_catches_bad_parts_and_keeps_its_promise_is_sound() -> None:
    assert examine(inspecting()).findings == ()


def test_scores_of_good_parts_alone_may_differ_from_the_float_models() -> None:
    """They lie close together, so little is a large share; the threshold was set for them."""
    sound = inspecting()
    assert sound.accuracy is not None
    metrics = (TaskMetric("agreement", 1.0, 0.94, drop_low=0.05, drop_high=0.075),)
    drop = examine(replace(sound, accuracy=replace(sound.accuracy, metrics=metrics))).findings[0]
    assert (drop.id, drop.severity) == ("accuracy-drop", "info")
    assert "--eval" in drop.do


@pytest.mark.parametrize(
    ("area", "severity", "id_"),
    [
        (0.5, "problem", "tells-nothing"),
        (0.31, "problem", "tells-nothing"),
        (0.72, "warning", "tells-little"),
    ],
)
def test_scores_that_do_not_tell_bad_from_good_are_named(
    area: float, severity: str, id_: str
) -> None:
    finding = only(inspecting(area))
    assert (finding.id, finding.severity) == (id_, severity)
    assert f"AUROC {area:.2f} on 200 pictures" in finding.found
    assert "chance gives 50" in finding.found


@pytest.mark.parametrize(
    ("caught", "bad", "severity", "id_"),
    [
        (0, 100, "problem", "catches-nothing"),
        (14, 100, "problem", "catches-little"),
        (75, 100, "warning", "catches-little"),
        (0, 3, "warning", "catches-nothing"),  # three may be bad luck
    ],
)
def test_a_threshold_that_lets_bad_parts_pass_is_named(
    caught: int, bad: int, severity: str, id_: str
) -> None:
    finding = only(inspecting(caught=caught, bad=bad))
    assert (finding.id, finding.severity) == (id_, severity)
    assert f"{caught} of {bad} bad parts are turned down" in finding.found


def test_an_inspection_that_was_shown_no_bad_part_says_that_nobody_knows() -> None:
    finding = only(inspecting(caught=None, bad=None))
    assert finding.id == "catching-unknown"
    assert "--eval" in finding.do


def test_a_promise_that_is_worse_than_asked_says_how_many_pictures_it_takes() -> None:
    """To expect .5 % or less above the highest of n scores, 1 / (n + 1) <= .005: n = 199."""
    finding = only(inspecting(pictures=18, rate=1 / 19, rate_high=0.176))
    assert finding.id == "threshold-unsure"
    assert "5.26% of good parts" in finding.found
    assert "0.50% was asked for" in finding.found
    assert "199 or more" in finding.do


def test_a_threshold_that_was_not_set_anew_is_a_warning() -> None:
    made = inspecting()
    assert made.accuracy is not None
    assert made.spec is not None
    asked = replace(made.spec, decoder={**made.spec.decoder, "false_rejects": 0.005})
    left = replace(made, spec=asked, accuracy=replace(made.accuracy, threshold=None))
    assert only(left).id == "threshold-of-float"


# --- another model or spec ------------------------------------------------------------------------


def test_a_bundle_of_another_model_is_stale() -> None:
    found = list(stale_findings(SOUND, "b" * 64))
    assert [f.id for f in found] == ["stale-model"]
    assert not examine(SOUND, found).healthy
    assert list(stale_findings(SOUND, "a" * 64, SOUND.spec, "f" * 64)) == []


def test_a_changed_preprocessing_is_named_key_by_key() -> None:
    assert SOUND.spec is not None
    spec = replace(SOUND.spec, preprocess=Preprocess(32, 32, color="bgr"))
    (finding,) = stale_findings(SOUND, spec=spec)
    assert (finding.id, finding.severity) == ("stale-preprocessing", "problem")
    assert "preprocess.color: 'rgb', now 'bgr'" in finding.found


def test_other_labels_or_another_fingerprint_are_a_warning() -> None:
    assert SOUND.spec is not None
    found = stale_findings(SOUND, "", replace(SOUND.spec, labels=("cat",)), "0" * 64)
    assert [(f.id, f.severity) for f in found] == [
        ("stale-spec", "warning"),
        ("stale-calibration", "warning"),
    ]
