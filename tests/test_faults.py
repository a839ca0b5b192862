"""Faults on purpose: the same for the same seed, as often as asked, every frame accounted for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.errors import ConfigError, DataError, UnknownName
from edgesdk.frames import Frame
from edgesdk.pipeline import Watched, open_source
from edgesdk.sim import (
    FaultSettings,
    FaultySource,
    LineSettings,
    SimSource,
    TrafficSettings,
    garbled,
    parse_simulation,
    parse_uri,
    simulated_pictures,
)

SECOND_NS = 1_000_000_000


class Still:
    """A source of `count` small pictures, 100 a second, of which each knows its number."""

    name, fps, size, live = "still", 100.0, (32, 24), False

    def __init__(self, count: int) -> None:
        self.count: int | None = count
        self.closed = False

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.count or 0):
            image = np.full((24, 32, 3), index % 200, np.uint8)
            yield Frame(image, index, index * 10_000_000, time.monotonic_ns(), self.name)

    def stop(self) -> None:
        """Its next frame always comes soon."""

    def close(self) -> None:
        self.closed = True


def faulty(count: int, **faults: object) -> FaultySource:
    return FaultySource(Still(count), FaultSettings(**faults))  # type: ignore[arg-type]


shares = st.floats(0, 1)
fault_settings = st.builds(
    FaultSettings,
    seed=st.integers(0, 2**63 - 1),
    drop=shares,
    corrupt=shares,
    clock_jump_s=st.floats(-1e5, 1e5),
    clock_jump_every_s=st.floats(0.01, 5),
    resize_every_s=st.floats(0.001, 2),
)


# Which frames are hit


@given(fault_settings, st.integers(0, 10**9), st.integers(0, 10**15))
def test_the_same_seed_brings_the_same_faults_whatever_came_before(
    faults: FaultSettings, index: int, time_ns: int
) -> None:
    first = faults.at(index, time_ns)
    faults.at(index + 1, time_ns)
    assert faults.at(index, time_ns) == first


@given(fault_settings)
@settings(max_examples=25, deadline=None)
def test_every_frame_is_handed_over_or_counted_as_lost(faults: FaultSettings) -> None:
    source = FaultySource(Still(200), faults)
    numbers = [frame.index for frame in source]
    stats = source.stats()
    assert stats.captured == len(numbers)
    assert stats.captured + stats.lost == 200
    assert set(range(200)) - set(numbers) == {
        i for i in range(200) if faults.at(i, i * 10_000_000).missing
    }
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("share", [0.01, 0.2, 0.9])
def test_frames_are_lost_and_garbled_as_often_as_asked(share: float) -> None:
    faults = [FaultSettings(3, drop=share, corrupt=share).at(i, 0) for i in range(20_000)]
    # Five standard deviations of a binomial share of 20,000.
    margin = 5 * (share * (1 - share) / 20_000) ** 0.5
    lost = np.array([fault.missing == "dropped" for fault in faults])
    spoilt = np.array([fault.corrupt for fault in faults])
    assert lost.mean() == pytest.approx(share, abs=margin)
    assert spoilt.mean() == pytest.approx(share, abs=margin)
    # One says nothing about the other.
    assert (lost & spoilt).mean() == pytest.approx(share**2, abs=margin)


def test_another_seed_hits_other_frames() -> None:
    one, other = (
        [FaultSettings(seed, drop=0.5).at(i, 0).missing for i in range(64)] for seed in (1, 2)
    )
    assert one != other


def test_without_faults_the_frames_are_the_sources_own() -> None:
    through = list(faulty(20, corrupt=0.0, seed=5))
    assert not FaultSettings(seed=5).any
    for mine, plain in zip(through, Still(20), strict=True):
        np.testing.assert_array_equal(mine.image, plain.image)
        assert (mine.index, mine.time_ns) == (plain.index, plain.time_ns)


# What each fault does


def test_a_freeze_is_silence_for_its_time_and_then_frames_come_again() -> None:
    source = faulty(200, freeze_s=0.3, freeze_every_s=1.0, live=True)
    arrivals = [(frame.index, time.monotonic()) for frame in source]
    silent = max(later[1] - earlier[1] for earlier, later in pairwise(arrivals))
    assert silent > 0.28
    assert [number for number, _ in arrivals] == [*range(100), *range(130, 200)]
    assert source.stats().lost == 30
    states = [change.state for change in source.stats().history]
    assert states == ["streaming", "frozen", "streaming", "ended"]
    assert source.stats().reconnects == 0


def test_a_source_that_is_not_live_is_silent_too_while_it_is_frozen() -> None:
    begin = time.monotonic()
    numbers = [frame.index for frame in faulty(140, freeze_s=0.2, freeze_every_s=1.0)]
    assert time.monotonic() - begin > 0.19
    assert numbers == [*range(100), *range(120, 140)]


def test_a_disconnected_source_waits_and_comes_back() -> None:
    source = faulty(350, disconnect_every_s=1.0, disconnect_s=0.05)
    assert len(list(source)) == 350 - 3 * 5
    assert source.stats().reconnects == 3
    assert source.stats().last_error == "simulated: disconnected"
    assert [c.state for c in source.stats().history].count("waiting") == 3


def test_a_source_that_is_frozen_as_it_comes_back_was_away_all_the_same() -> None:
    faults = {"freeze_s": 0.1, "freeze_every_s": 1.0}
    source = faulty(150, disconnect_every_s=1.0, disconnect_s=0.05, **faults)
    assert len(list(source)) == 140
    states = [change.state for change in source.stats().history]
    assert states == ["streaming", "waiting", "frozen", "streaming", "ended"]
    assert source.stats().reconnects == 1


def test_a_source_that_fails_for_good_says_so_after_its_last_good_frame() -> None:
    source = faulty(100, fail_after_s=0.5)
    seen: list[int] = []
    with pytest.raises(DataError, match="still: the simulated device was lost before frame 50"):
        seen.extend(frame.index for frame in source)
    assert source.stats().state == "failed"
    assert source.stats().captured == 50
    source.close()
    assert source.stats().state == "failed"


def test_a_jump_of_the_clock_moves_media_time_and_not_the_monotonic_clock() -> None:
    source = faulty(250, clock_jump_s=-3600.0, clock_jump_every_s=1.0)
    frames = list(source)
    steps = np.diff([frame.time_ns for frame in frames])
    jumps = np.flatnonzero(steps < 0)
    np.testing.assert_array_equal(jumps, [99, 199])
    assert set(steps[jumps]) == {-3600 * SECOND_NS + 10_000_000}
    assert all(b.captured_ns >= a.captured_ns for a, b in pairwise(frames))


def test_the_size_changes_in_mid_stream_and_back() -> None:
    source = faulty(300, resize_every_s=1.0)
    widths = [frame.width for frame in source]
    assert widths == [32] * 100 + [16] * 100 + [32] * 100
    assert source.stats().resized == 2


def test_a_live_source_keeps_its_rate_and_late_frames_were_captured_earlier() -> None:
    source = faulty(50, live=True, jitter_s=0.03)
    begin = time.monotonic_ns()
    ages = [(time.monotonic_ns() - frame.captured_ns) / 1e6 for frame in source]
    assert time.monotonic_ns() - begin > 0.45 * SECOND_NS
    assert source.live
    assert max(ages) > 10
    late = [FaultSettings(jitter_s=0.03).at(i, 0).late_ns / 1e6 for i in range(50)]
    assert max(late) <= 30
    assert all(age >= least - 1 for age, least in zip(ages, late, strict=True))


def test_a_garbled_picture_is_whole_above_and_visibly_wrong_below() -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 255, (120, 160, 3)).astype(np.uint8)
    for index in range(20):
        spoilt = garbled(picture, 1, index)
        wrong = (spoilt != picture).any(axis=(1, 2))
        first = int(np.flatnonzero(wrong)[0])
        assert first < 80
        assert not wrong[:first].any()
        assert wrong[first:].mean() > 0.9
        np.testing.assert_array_equal(spoilt, garbled(picture, 1, index))


def test_garbled_frames_are_passed_on_counted_and_leave_the_source_untouched() -> None:
    source = open_source("sim://line?frames=40&corrupt=0.3&seed=4&width=128&height=96")
    assert isinstance(source, FaultySource)
    plain = open_source("sim://line?frames=40&seed=4&width=128&height=96")
    changed = [
        mine.index
        for mine, whole in zip(source, plain, strict=True)
        if (mine.image != whole.image).any()
    ]
    expected = [i for i in range(40) if FaultSettings(seed=4, corrupt=0.3).at(i, 0).corrupt]
    assert changed == expected
    assert source.stats().corrupt == len(expected) > 0


# Ending


def test_a_frozen_source_can_be_stopped_from_another_thread() -> None:
    source = faulty(10**6, live=True, freeze_s=3000.0, freeze_every_s=3001.0)
    source = FaultySource(Late(), source.faults)
    reader = threading.Thread(target=lambda: list(source))
    reader.start()
    time.sleep(0.1)
    source.stop()
    reader.join(5)
    assert not reader.is_alive()
    assert source.stats().state == "ended"


class Late(Still):
    """Its second frame is due an hour after its first."""

    def __init__(self) -> None:
        super().__init__(2)

    def __iter__(self) -> Iterator[Frame]:
        image = np.zeros((24, 32, 3), np.uint8)
        for index in range(2):
            yield Frame(image, index, index * 3600 * SECOND_NS, time.monotonic_ns(), self.name)


def test_closing_closes_the_source_within() -> None:
    inner = Still(1)
    FaultySource(inner, FaultSettings()).close()
    assert inner.closed


# Asked for by URI


def test_a_uri_names_a_scene_and_its_faults() -> None:
    found = parse_simulation(
        "sim://traffic?seed=3&drop=0.01&freeze=5s&freeze_every=30s&corrupt=0.02&jitter=20ms"
        "&clock_jump=1h&disconnect_every=2min&live=1"
    )
    assert found.scene == TrafficSettings(seed=3)
    assert found.faults == FaultSettings(
        seed=3,
        live=True,
        drop=0.01,
        corrupt=0.02,
        jitter_s=0.02,
        freeze_s=5.0,
        freeze_every_s=30.0,
        clock_jump_s=3600.0,
        disconnect_every_s=120.0,
    )


def test_a_scene_without_faults_is_a_plain_source_and_one_with_faults_is_watched() -> None:
    plain = open_source("sim://line?rate=30")
    assert isinstance(plain, SimSource)
    assert plain.scene.settings == LineSettings(rate=30)
    assert not plain.live
    live = open_source("sim://traffic?live=1")
    assert live.live
    assert isinstance(live, Watched)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("sim://traffic?frezee=5s", ["frezee", "'freeze'"]),
        ("sim://traffic?freeze=5", ["freeze", "unit", "freeze=5s"]),
        ("sim://traffic?freeze=5m", ["freeze", "unit", "'5m'"]),
        ("sim://traffic?freeze=40s", ["freeze_s", "shorter", "30", "40"]),
        ("sim://traffic?drop=1.5", ["drop", "from 0 to 1", "1.5"]),
        ("sim://traffic?drop=often", ["drop", "number", "often"]),
        ("sim://traffic?jitter=-5ms", ["jitter_s", "from 0"]),
        ("sim://traffic?live=yes", ["live", "0 or 1", "yes"]),
        ("sim://line?lanes=2", ["unknown key", "lanes"]),
        ("sim://line?clock_jump_every=0s", ["clock_jump_every_s", "0.001 or more"]),
        ("sim://line?rate=0", ["rate", "from 1"]),
    ],
)
def test_a_wrong_fault_is_refused_with_what_would_be_right(uri: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_simulation(uri)
    for word in (*words, uri):
        assert word in str(caught.value)


def test_pictures_for_calibration_have_no_faults() -> None:
    with pytest.raises(ConfigError, match="no faults here"):
        parse_uri("sim://traffic?drop=0.5")
    with pytest.raises(ConfigError, match="simulated road"):
        parse_uri("sim://line")
    with pytest.raises(ConfigError, match="no faults here"):
        simulated_pictures("sim://line?drop=0.5")
    with pytest.raises(UnknownName, match="lines"):
        parse_simulation("sim://lines")
