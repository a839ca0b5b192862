"""Layers that ruin the outputs go back to float, without labels and without a target."""

from __future__ import annotations

from edgesdk._progress import silent
from edgesdk.build.ranking import Jury
from edgesdk.build.rescue import rescue
from edgesdk.calibration import Recipe
from tests.searches import Truth, costs, draft_of, layers

RECIPE = Recipe("test", "mse", min_output_sqnr_db=20.0, max_float_share=0.3)
"""20 dB is a noise of 0.01."""


def rescued(truth: Truth, macs: dict[str, int] | None = None, recipe: Recipe = RECIPE) -> list[str]:
    jury = Jury(truth)  # type: ignore[arg-type]
    return sorted(rescue(draft_of(macs or layers(10)), jury, recipe, silent))


def test_outputs_that_are_good_enough_cost_one_look() -> None:
    truth = Truth(costs(10, {3: 0.009}))
    assert rescued(truth) == []
    assert len(truth.asked) == 1


def test_the_layers_that_make_the_noise_go_back_and_no_others() -> None:
    assert rescued(Truth(costs(10, {3: 0.2, 7: 0.1}))) == ["conv3", "conv7"]


def test_it_stops_when_the_outputs_are_good_enough() -> None:
    assert rescued(Truth(costs(10, {3: 0.2, 7: 0.009, 8: 0.0005}))) == ["conv3"]


def test_a_layer_beyond_the_budget_stays_and_a_smaller_one_goes() -> None:
    macs = layers(10) | {"conv3": 1000}
    assert rescued(Truth(costs(10, {3: 0.2, 7: 0.1})), macs) == ["conv7"]


def test_noise_that_all_layers_share_is_nobody_s_to_give_back() -> None:
    """Forty layers with a fortieth each: no layer ruins anything by itself."""
    even = dict.fromkeys(range(40), 0.01)
    assert rescued(Truth(costs(40, even)), layers(40)) == []


def test_a_recipe_without_a_limit_gives_nothing_back() -> None:
    truth = Truth(costs(10, {3: 0.9}))
    assert rescued(truth, recipe=Recipe("test", "mse")) == []
    assert truth.asked == []


def test_the_reason_says_what_it_brings() -> None:
    truth = Truth(costs(10, {3: 0.1}))
    found = rescue(draft_of(layers(10)), Jury(truth), RECIPE, silent)  # type: ignore[arg-type]
    # From 0.1 + 9e-6 to 9e-6 is 40.5 dB.
    assert found["conv3"] == "in INT8 it ruins the outputs: in float they gain 40.5 dB"
